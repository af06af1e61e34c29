// The task-state segment as a source of stacks for more privileged levels (SDM 3, 7.2.1 and 7.7).
#pragma once

#include "cpu/cpu.h"

namespace bhvm {

/// RSPn, n = 0 to 2, of the 64-bit TSS. #TS(TR selector + ext) when it is beyond the TSS limit.
bool read_tss_rsp(Cpu& cpu, unsigned level, u64& rsp, u32 ext);
/// ISTn, n = 1 to 7.
bool read_tss_ist(Cpu& cpu, unsigned ist, u64& rsp, u32 ext);

/// Outside IA-32e mode: the stack segment and pointer for `level` from a 16- or 32-bit TSS, checked as for a change to
/// that level, with the accessed bit set. #TS or #SS, with `ext`, otherwise.
bool load_inner_stack(Cpu& cpu, u8 level, u32 ext, SegmentState& ss, u32& sp);

}  // namespace bhvm
