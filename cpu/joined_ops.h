// Ops with one dispatch between them and what follows.
//
// Where frequent ops stand one behind the other, the first one gets a handler that does them all: each runs straight
// into the next, by a jump whose target is known. The others stay as they are, for a fault in one of them and for
// whoever comes to it alone, so nothing but the number of indirect jumps changes.
#pragma once

#include <array>
#include <span>

#include "cpu/op.h"

namespace bhvm {

inline constexpr std::size_t kMostJoined = 6;

/// Ops that share a dispatch: the handlers of `count` of them, at least two, and the one of the first op then.
struct JoinedRow {
  std::array<Handler, kMostJoined> handlers{};
  std::size_t count = 0;
  Handler joined = nullptr;
};

/// To be called last on a block's ops, data among them included (their handler is nullptr). From the front on, the
/// longest row that fits is taken.
void join_ops(std::span<Op> ops);

// Which ones: counted (bench/joined).
namespace integer {
std::span<const JoinedRow> joined_rows();

/// Joins a run of pushes or pops at the front; returns how many ops that were, 0 when there is none.
std::size_t join_stack_run(std::span<Op> ops);
}  // namespace integer

namespace sse {
/// Those with a vector instruction among them: for the best kind of host that the build knows (cpu/sse/vector.h) alone.
std::span<const JoinedRow> joined_rows();
}  // namespace sse

}  // namespace bhvm
