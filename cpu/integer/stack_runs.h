// The handlers of pushes behind each other, and of pops (cpu/integer/stack_runs.cpp).
#pragma once

#include <array>
#include <utility>

#include "cpu/integer/jump_handlers.h"
#include "cpu/integer/steps.h"

namespace bhvm::integer {

template <class Run, class Onward = ByJump, class OpType = Run::Small>
BHVM_HANDLER(run_alone) {
  if (BHVM_UNLIKELY(!Run::template run<Through::kTlb>(cpu, fast, as<OpType>(op)))) {
    BHVM_BECOME((plain<typename Run::Alone, Through::kSlow, ByJump, OpType>));
  }
  BHVM_CONTINUE(reinterpret_cast<const Op*>(as<OpType>(op) + Run::kOps));
}
template <class Run, Handler next, class OpType = Run::Small>
BHVM_HANDLER(run_then) {
  if (BHVM_UNLIKELY(!Run::template run<Through::kTlb>(cpu, fast, as<OpType>(op)))) {
    BHVM_BECOME((plain<typename Run::Alone, Through::kSlow, ByJump, OpType>));
  }
  op = reinterpret_cast<const Op*>(as<OpType>(op) + Run::kOps);
  BHVM_BECOME_INLINE(next);
}

inline constexpr std::size_t kLongestStackRun = 6;  // the registers that a function saves

/// Handlers of runs by the number of ops, from 2 on.
struct StackRuns {
  std::array<Handler, kLongestStackRun - 1> push, pop, pop_and_return;
};

template <class Onward, unsigned... i>
constexpr StackRuns stack_runs(std::integer_sequence<unsigned, i...>) {
  return {{run_alone<PushRun<i + 2>, Onward>...},
          {run_alone<PopRun<i + 2>, Onward>...},
          {run_then<PopRun<i + 2>, ret<Stack64, false, Through::kTlb, Onward, ReturnOp>>...}};
}
template <class Onward>
inline constexpr StackRuns kStackRuns =
    stack_runs<Onward>(std::make_integer_sequence<unsigned, kLongestStackRun - 1>());

/// Those that go on by two jumps; nullptr in builds without.
const StackRuns* stack_runs_by_two_jumps();

}  // namespace bhvm::integer
