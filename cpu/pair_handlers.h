// The handlers of joined ops, for the tables of rows (cpu/pairs.h).
#pragma once

#include "cpu/pairs.h"
#include "cpu/step.h"

namespace bhvm {

/// Does `First`, and runs straight into the handler of the next op.
template <class First, Handler next>
BHVM_HANDLER(then) {
  if (BHVM_UNLIKELY(!First::template run<Through::kTlb>(cpu, fast, op))) BHVM_BECOME((plain<First, Through::kSlow>));
  op += 1;
  BHVM_BECOME(next);
}

template <class First, Handler next>
constexpr JoinedPair pair() {
  return {plain<First>, next, then<First, next>};
}
template <class First, class Second, Handler next>
constexpr JoinedThree three() {
  return {plain<First>, plain<Second>, next, then<First, then<Second, next>>};
}

}  // namespace bhvm
