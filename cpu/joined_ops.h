// Ops with one dispatch between them and what follows.
//
// Where frequent ops stand one behind the other, the first one gets a handler that does them all: each runs straight
// into the next, by a jump whose target is known. The others stay complete, for a fault in one of them and for whoever
// comes to it alone, so nothing but the number of indirect jumps changes.
//
// Which ops these are, the parts, and which of them are joined, the rows, was counted (bench/joined).
#pragma once

#include <array>
#include <span>

#include "cpu/op.h"
#include "cpu/small_ops.h"

namespace bhvm {

struct OpNotes;

inline constexpr std::size_t kMostJoined = 6;

/// What may be joined.
struct JoinedPart {
  Handler translated = nullptr;  // the handler that translators give it, which goes on by one jump
  Handler handler = nullptr;     // the same of an op of the kind that it is in a block
  OpKind kind = OpKind::kOp;
  u8 imm_size = sizeof(Op::imm);  // how many bytes of its immediate count
};

/// Ops that share a dispatch: the numbers of `count` parts, at least two, and the handler of the first op then, of
/// their kinds. Parts are numbered from 1 on, those of integer::joined_parts() before those of sse::joined_parts().
struct JoinedRow {
  std::array<u16, kMostJoined> parts{};
  u16 count = 0;
  Handler joined = nullptr;
};

/// The number of the part that a translator gives this handler; 0 when it is none.
u16 part_of(Handler translated);

/// To be called last on a block's ops, as translators write them. From the front on, the longest row that fits is
/// taken. In `kinds`, as many as `ops`, is then which kind of op each handler is for.
void join_ops(std::span<Op> ops, std::span<const OpNotes> notes, std::span<OpKind> kinds);

namespace integer {
std::span<const JoinedPart> joined_parts();
std::span<const JoinedRow> joined_rows();

/// Can a run of pushes or pops begin with an op that has this handler?
bool begins_stack_run(Handler translated);
/// Joins the run at the front; returns how many ops that were, 0 when there is none.
std::size_t join_stack_run(std::span<Op> ops);
}  // namespace integer

namespace sse {
/// Those with a vector instruction among them: for the best kind of host that the build knows (cpu/sse/vector.h) alone.
std::span<const JoinedPart> joined_parts();
std::span<const JoinedRow> joined_rows();
}  // namespace sse

}  // namespace bhvm
