// Ops with one dispatch between them and what follows.
//
// Where two or three frequent ops stand one behind the other, the first one gets a handler that does them all: each
// runs straight into the next, by a jump whose target is known. The others stay as they are, for a fault in one of them
// and for whoever comes to it alone, so nothing but the number of indirect jumps changes.
#pragma once

#include <span>

#include "cpu/op.h"

namespace bhvm {

struct JoinedPair {
  Handler first, second;
  Handler joined;  // of the first op
};
struct JoinedThree {
  Handler first, second, third;
  Handler joined;
};
struct JoinedRows {
  std::span<const JoinedPair> pairs;
  std::span<const JoinedThree> threes;
};

/// To be called last on a block's ops, data among them included (their handler is nullptr).
void join_ops(std::span<Op> ops);

// Which ones: counted (docs/PERFORMANCE.md).
namespace integer {
JoinedRows joined_rows();

/// Joins a run of pushes or pops at the front; returns how many ops that were, 0 when there is none.
std::size_t join_stack_run(std::span<Op> ops);
}  // namespace integer

namespace sse {
// Those with a vector instruction among them; once more for hosts that have the instructions (cpu/sse/vector.h).
inline namespace any_host {
JoinedRows joined_rows();
}  // namespace any_host
#if BHVM_SSE_HOSTS
inline namespace sse42_host {
JoinedRows joined_rows();
}  // namespace sse42_host
#endif
}  // namespace sse

}  // namespace bhvm
