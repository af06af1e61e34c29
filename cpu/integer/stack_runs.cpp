// Pushes behind each other, and pops, with RET behind them or not: the beginnings and ends of functions.
#include "cpu/integer/stack_runs.h"

#include "cpu/integer/forms.h"
#include "cpu/joined_ops.h"

namespace bhvm::integer {
namespace {

bool pushes(const Op& op) { return op.handler == plain<Push64> && op.src != gpr(kRsp); }
bool pops(const Op& op) { return op.handler == plain<Pop64> && op.dst != gpr(kRsp); }

}  // namespace

bool begins_stack_run(Handler translated) { return translated == plain<Push64> || translated == plain<Pop64>; }

std::size_t join_stack_run(std::span<Op> ops) {
  if (ops.empty() || !(pushes(ops[0]) || pops(ops[0]))) return 0;
  const bool push = pushes(ops[0]);
  std::size_t length = 1;
  while (length < ops.size() && length < kLongestStackRun && (push ? pushes(ops[length]) : pops(ops[length]))) ++length;
  if (length < 2) return 0;
  if (push) {
    ops[0].handler = kStackRuns.push[length - 2];
    return length;
  }
  const bool returns = length < ops.size() && ops[length].handler == static_cast<Handler>(ret<Stack64, false>);
  ops[0].handler = (returns ? kStackRuns.pop_and_return : kStackRuns.pop)[length - 2];
  return length + (returns ? 1 : 0);
}

}  // namespace bhvm::integer
