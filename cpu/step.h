// Steps: what a hot op does, without the dispatch behind it.
//
// A Step has
//   template <Through through> static bool run(Cpu& cpu, FastEntry* fast, const Op* op)
// which does the op's work and says whether that succeeded. plain<Step> is the handler that does the step and goes on;
// cpu/joined_handlers.h lets frequent ones run straight into what follows them. A step that misses the fast TLB hands
// its op to plain<Step, Through::kSlow>, in a row too: each of the ops stays complete and in its place. With kTlb,
// false says nothing but that the other way is needed; nothing has changed then. With kSlow, `cpu.fault` is set.
#pragma once

#include "cpu/handler.h"

namespace bhvm {

template <class Step, Through through = Through::kTlb, class Onward = ByJump>
BHVM_HANDLER(plain) {
  BHVM_ACCESS(Step::template run<through>(cpu, fast, op), plain<Step, Through::kSlow>);
  BHVM_NEXT;
}

}  // namespace bhvm
