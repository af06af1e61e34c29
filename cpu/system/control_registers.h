// Control and debug registers, HLT, time-stamp reads, TLB and cache control (SDM 2; SDM 3, 2.5, 4.10 and 9.9).
//
// Clearing CR0.PE is unsupported: bhvm has no real mode.
#pragma once

#include "cpu/system_op.h"

namespace bhvm {

bool mov_to_control(Cpu& cpu, const Op& op);    // src; number, size
bool mov_from_control(Cpu& cpu, const Op& op);  // dst; number, size
bool mov_to_debug(Cpu& cpu, const Op& op);
bool mov_from_debug(Cpu& cpu, const Op& op);
bool lmsw(Cpu& cpu, const Op& op);  // r/m16
bool smsw(Cpu& cpu, const Op& op);  // r/m
bool clts(Cpu& cpu, const Op& op);
bool invlpg(Cpu& cpu, const Op& op);         // the address
bool clflush(Cpu& cpu, const Op& op);        // the address
bool cache_nothing(Cpu& cpu, const Op& op);  // INVD, WBINVD: no caches
bool hlt(Cpu& cpu, const Op& op);
bool rdpmc(Cpu& cpu, const Op& op);

// These run inside a block: guests read the time in loops.
BHVM_HANDLER(rdtsc);
BHVM_HANDLER(rdtscp);

/// IA32_TIME_STAMP_COUNTER as the current instruction sees it.
u64 time_stamp(const Cpu& cpu);

/// Writes IA32_EFER: reserved bits and LME under paging are #GP(0).
bool write_efer(Cpu& cpu, u64 value);

}  // namespace bhvm
