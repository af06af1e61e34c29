// The handlers of joined ops once more, going on by two jumps (cpu/dispatch.h): all in one file, so that those that run
// stand side by side. For hosts that have the vector instructions (cpu/sse/vector.h).
#include "cpu/integer/stack_runs.h"
#include "cpu/sse/row_parts.h"

namespace bhvm {
namespace {

constexpr Handler kParts[] = {
#define BHVM_JOINED_PART(number, ...) joined_handler<ByTwoJumps, __VA_ARGS__>(),
#include "cpu/integer/joined_parts.inc"
#include "cpu/sse/joined_parts.inc"
#undef BHVM_JOINED_PART
};
constexpr Handler kRows[] = {
#define BHVM_JOINED_ROW(...) joined_handler<ByTwoJumps, __VA_ARGS__>(),
#include "cpu/integer/joined_rows.inc"
#include "cpu/sse/joined_rows.inc"
#undef BHVM_JOINED_ROW
};

}  // namespace

namespace two_jumps {
std::span<const Handler> joined_parts() { return kParts; }
std::span<const Handler> joined_rows() { return kRows; }
}  // namespace two_jumps

const integer::StackRuns* integer::stack_runs_by_two_jumps() { return &kStackRuns<ByTwoJumps>; }

}  // namespace bhvm
