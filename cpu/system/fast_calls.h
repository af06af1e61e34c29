// SYSCALL, SYSRET, SYSENTER, SYSEXIT and the FS and GS bases (SDM 2; SDM 3, 5.8.7 and 5.8.8).
#pragma once

#include "cpu/system_op.h"

namespace bhvm {

bool syscall(Cpu& cpu, const Op& op);
bool sysret(Cpu& cpu, const Op& op);  // Params::size 8: to 64-bit code, 4: to compatibility mode
bool sysenter(Cpu& cpu, const Op& op);
bool sysexit(Cpu& cpu, const Op& op);  // Params::size as SYSRET

// These change no mode and stay inside their block.
BHVM_HANDLER(swapgs);
template <SegmentIndex segment, class T>
BHVM_HANDLER(read_segment_base);  // dst
template <SegmentIndex segment, class T>
BHVM_HANDLER(write_segment_base);  // src

}  // namespace bhvm
