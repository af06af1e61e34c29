// Ops with one dispatch between them and what follows.
//
// Where frequent ops stand one behind the other, the first one gets a handler that does them all: each runs straight
// into the next, and the others have no handlers in the block (behind_in_row()). Where one of them misses the fast TLB,
// what is left of the row is done op by op, by handlers that each part has for that.
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

/// What may be joined: an op, or a run of ops that are all the same part.
struct JoinedPart {
  Handler translated = nullptr;   // the handler that translators give it; nullptr of runs
  Handler handler = nullptr;      // the same of an op of the kind that it is in a block
  Handler in_row = nullptr;       // that goes on with the next op of a row that is done op by op; nullptr of runs
  Handler slow_in_row = nullptr;  // the same off the fast path; nullptr of jumps and runs
  u16 of_each = 0;                // the number of the part that each op is
  u8 ops = 1;
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

/// Goes on with a row op by op, when the next one has to be done off the fast path: cpu.rest_of_row says which it is.
BHVM_HANDLER(go_slowly_in_row);
/// Goes on behind the op that was cpu.rest_of_row's.
BHVM_HANDLER(go_on_in_row);

/// The number of the part that a translator gives this handler; 0 when it is none.
u16 part_of(Handler translated);

/// To be called last on a block's ops, as translators write them. From the front on, the longest row that fits is
/// taken. Ops behind others of their row have no handler then. In `kinds`, as many as `ops`, is which kind of op each
/// is.
void join_ops(std::span<Op> ops, std::span<const OpNotes> notes, std::span<OpKind> kinds);

namespace integer {
std::span<const JoinedPart> joined_parts();
std::span<const JoinedRow> joined_rows();

inline constexpr std::size_t kLongestStackRun = 6;  // the registers that a function saves
/// How many pushes, or pops, there are at the front of some ops, up to that many; none of RSP.
std::size_t stack_run(std::span<const Op> ops);
}  // namespace integer

namespace sse {
/// Those with a vector instruction among them: for the best kind of host that the build knows (cpu/sse/vector.h) alone.
std::span<const JoinedPart> joined_parts();
std::span<const JoinedRow> joined_rows();
}  // namespace sse

}  // namespace bhvm
