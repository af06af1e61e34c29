// FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XRSTOR, XGETBV and XSETBV, as system instructions (SDM 1, 10.5 and chapter 13).
//
// State components: x87 (bit 0 of XCR0) and SSE (bit 1), in the standard format only: CPUID leaf 0DH must claim
// XSAVEOPT at most and an area of 576 bytes. XINUSE is exact: a component is in use when it differs from its initial
// configuration. Outside 64-bit mode XMM8 to XMM15 are neither saved nor restored.
#pragma once

#include "cpu/cpu.h"

namespace bhvm::x87 {

namespace xcr0 {
inline constexpr u64 kX87 = 1 << 0;
inline constexpr u64 kSse = 1 << 1;
inline constexpr u64 kSupported = kX87 | kSse;
}  // namespace xcr0

inline constexpr unsigned kFxAreaSize = 512;
inline constexpr unsigned kXsaveAreaSize = 576;

/// Op::src: 1 for REX.W.
bool fxsave(Cpu& cpu, const Op& op);
bool fxrstor(Cpu& cpu, const Op& op);
bool xsave(Cpu& cpu, const Op& op);
bool xsaveopt(Cpu& cpu, const Op& op);
bool xrstor(Cpu& cpu, const Op& op);
bool xgetbv(Cpu& cpu, const Op& op);
bool xsetbv(Cpu& cpu, const Op& op);

}  // namespace bhvm::x87
