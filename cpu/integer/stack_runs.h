// The handlers of pushes behind each other, and of pops (cpu/integer/stack_runs.cpp).
#pragma once

#include "cpu/integer/steps.h"

namespace bhvm::integer {

template <class Run, class Onward = ByJump>
BHVM_HANDLER(run_alone) {
  if (BHVM_UNLIKELY(!Run::template run<Through::kTlb>(cpu, fast, op))) {
    BHVM_BECOME((plain<typename Run::Alone, Through::kSlow>));
  }
  BHVM_CONTINUE(op + Run::kOps);
}
template <class Run, Handler next>
BHVM_HANDLER(run_then) {
  if (BHVM_UNLIKELY(!Run::template run<Through::kTlb>(cpu, fast, op))) {
    BHVM_BECOME((plain<typename Run::Alone, Through::kSlow>));
  }
  op += Run::kOps;
  BHVM_BECOME(next);
}

}  // namespace bhvm::integer
