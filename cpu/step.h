// Steps: what a hot op does, without the dispatch behind it.
//
// A Step has
//   using Small = ...  the kind of small op that holds its operands (cpu/small_ops.h), if there is one
//   template <Through through> static bool run(Cpu& cpu, FastData fast, const auto* op)
// which does the work of an op, or of a small one, and says whether that succeeded. Of a large immediate it reads the
// low kImmediate bytes, if it has that. plain<Step> is the handler that does the step and goes on;
// cpu/joined_handlers.h lets frequent ones run straight into what follows them. A step that misses the fast TLB hands
// its op to plain<Step, Through::kSlow>. With kTlb, false says nothing but that the other way is needed; nothing has
// changed then. With kSlow, `cpu.fault` is set.
#pragma once

#include "cpu/handler.h"

namespace bhvm {

template <class Step, Through through = Through::kTlb, class Onward = ByJump, class OpType = Op>
BHVM_HANDLER(plain) {
  BHVM_ACCESS(Step::template run<through>(cpu, fast, as<OpType>(op)), plain<Step, Through::kSlow, Onward, OpType>);
  BHVM_NEXT;
}

}  // namespace bhvm
