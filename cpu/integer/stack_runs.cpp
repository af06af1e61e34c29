// Pushes behind each other, and pops, with RET behind them or not: the beginnings and ends of functions.
#include "cpu/integer/stack_runs.h"

#include <array>
#include <utility>

#include "cpu/integer/forms.h"
#include "cpu/integer/jump_handlers.h"
#include "cpu/joined_ops.h"

namespace bhvm::integer {
namespace {

constexpr std::size_t kLongest = 6;  // the registers that a function saves

/// Handlers by the number of ops, from 2 on.
using ByLength = std::array<Handler, kLongest - 1>;
template <unsigned... i>
constexpr ByLength push_runs(std::integer_sequence<unsigned, i...>) {
  return {run_alone<PushRun<i + 2>>...};
}
template <unsigned... i>
constexpr ByLength pop_runs(std::integer_sequence<unsigned, i...>) {
  return {run_alone<PopRun<i + 2>>...};
}
template <unsigned... i>
constexpr ByLength pop_runs_and_return(std::integer_sequence<unsigned, i...>) {
  return {run_then<PopRun<i + 2>, ret<Stack64, false>>...};
}
using Lengths = std::make_integer_sequence<unsigned, kLongest - 1>;
constexpr ByLength kPush = push_runs(Lengths());
constexpr ByLength kPop = pop_runs(Lengths());
constexpr ByLength kPopReturn = pop_runs_and_return(Lengths());

bool pushes(const Op& op) { return op.handler == plain<Push64> && op.src != gpr(kRsp); }
bool pops(const Op& op) { return op.handler == plain<Pop64> && op.dst != gpr(kRsp); }

}  // namespace

std::size_t join_stack_run(std::span<Op> ops) {
  if (ops.empty() || !(pushes(ops[0]) || pops(ops[0]))) return 0;
  const bool push = pushes(ops[0]);
  std::size_t length = 1;
  while (length < ops.size() && length < kLongest && (push ? pushes(ops[length]) : pops(ops[length]))) ++length;
  if (length < 2) return 0;
  if (push) {
    ops[0].handler = kPush[length - 2];
    return length;
  }
  const bool returns = length < ops.size() && ops[length].handler == static_cast<Handler>(ret<Stack64, false>);
  ops[0].handler = (returns ? kPopReturn : kPop)[length - 2];
  return length + (returns ? 1 : 0);
}

}  // namespace bhvm::integer
