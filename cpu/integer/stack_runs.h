// The handlers of pushes behind each other, and of pops (cpu/integer/stack_runs.cpp).
#pragma once

#include <array>
#include <utility>

#include "cpu/integer/jump_handlers.h"
#include "cpu/integer/steps.h"

namespace bhvm::integer {

template <class Run, class OpType = Run::Small>
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

template <unsigned... i>
constexpr StackRuns stack_runs(std::integer_sequence<unsigned, i...>) {
  return {{run_alone<PushRun<i + 2>>...},
          {run_alone<PopRun<i + 2>>...},
          {run_then<PopRun<i + 2>, ret<Stack64, false, Through::kTlb, ByJump, ReturnOp>>...}};
}
inline constexpr StackRuns kStackRuns = stack_runs(std::make_integer_sequence<unsigned, kLongestStackRun - 1>());

}  // namespace bhvm::integer
