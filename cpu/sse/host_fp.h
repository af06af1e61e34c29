// The guest's MXCSR and the host's floating point.
//
// SSE arithmetic runs on the host's own SSE unit. While guest code is dispatched the host's MXCSR holds the guest's
// rounding control, flush-to-zero and denormals-are-zero, all exceptions masked, and gathers the guest's sticky flags;
// s.mxcsr is then behind by those flags. enter_guest_fp() and leave_guest_fp() stand around the dispatch and around
// everything that leaves it for other code (system instructions); in between, sync_mxcsr() and load_mxcsr() are how
// MXCSR is read and written.
//
// On hosts without SSE a thread's simulated register takes the place of MXCSR and the arithmetic is
// cpu/sse/soft_float.h.
#pragma once

#include "cpu/cpu.h"

/// The host has SSE, and arithmetic runs on it. BHVM_SOFT_SSE asks for the software instead.
#if defined(__x86_64__) && !defined(BHVM_SOFT_SSE)
#define BHVM_HOST_SSE 1
#else
#define BHVM_HOST_SSE 0
#endif

namespace bhvm {

namespace mxcsr {
inline constexpr u32 kIe = 1 << 0;  // invalid operation
inline constexpr u32 kDe = 1 << 1;  // denormal operand
inline constexpr u32 kZe = 1 << 2;  // zero divide
inline constexpr u32 kOe = 1 << 3;  // overflow
inline constexpr u32 kUe = 1 << 4;  // underflow
inline constexpr u32 kPe = 1 << 5;  // precision
inline constexpr u32 kFlags = 0x3F;
inline constexpr u32 kPreComputation = kIe | kDe | kZe;
inline constexpr u32 kDaz = 1 << 6;
inline constexpr unsigned kMaskShift = 7;
inline constexpr u32 kMasks = kFlags << kMaskShift;
inline constexpr u32 kUm = kUe << kMaskShift;
inline constexpr unsigned kRoundingShift = 13;
inline constexpr u32 kRounding = 3 << kRoundingShift;
inline constexpr u32 kFz = 1 << 15;
/// MXCSR_MASK: the bits that exist; setting another is #GP (SDM 1, 11.6.6).
inline constexpr u32 kWritable = 0xFFFF;
inline constexpr u32 kReset = 0x1F80;

/// What the arithmetic runs under for a guest's value. Flush-to-zero has no effect while underflow is unmasked
/// (SDM 1, 10.2.3.3).
constexpr u32 for_host(u32 guest) {
  const bool flush = (guest & kFz) != 0 && (guest & kUm) != 0;
  return (guest & (kFlags | kDaz | kRounding)) | kMasks | (flush ? kFz : 0);
}
}  // namespace mxcsr

/// The MXCSR that arithmetic runs under.
#if BHVM_HOST_SSE
BHVM_INLINE u32 host_mxcsr() {
  u32 value;
  asm volatile("stmxcsr %0" : "=m"(value));
  return value;
}
BHVM_INLINE void set_host_mxcsr(u32 value) { asm volatile("ldmxcsr %0" : : "m"(value)); }
#else
u32 host_mxcsr();
void set_host_mxcsr(u32 value);
#endif

/// From here on the host computes as the guest does.
void enter_guest_fp(Cpu& cpu);
/// Brings s.mxcsr up to date and gives the host its own mode back.
void leave_guest_fp(Cpu& cpu);

/// Within the dispatch: brings the sticky flags into s.mxcsr.
void sync_mxcsr(Cpu& cpu);
/// Within the dispatch: replaces MXCSR. `value` has no reserved bits set. Does not call update_mode().
void load_mxcsr(Cpu& cpu, u32 value);

}  // namespace bhvm
