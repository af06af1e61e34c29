// The guest's MXCSR and the host's floating point.
//
// SSE arithmetic runs on the host's own SSE unit. While guest code is dispatched the host's MXCSR holds the guest's
// rounding control, flush-to-zero and denormals-are-zero, all exceptions masked, and gathers the guest's sticky flags;
// s.mxcsr is then behind by those flags. enter_guest_fp() and leave_guest_fp() stand around the dispatch and around
// everything that leaves it for other code (system instructions); in between, sync_mxcsr() and load_mxcsr() are how
// MXCSR is read and written.
//
// Code decoded while an exception is unmasked computes in software (cpu/sse/soft_unit.h) and hands its flags to
// add_flags(). On hosts without SSE all code does, and s.mxcsr is always up to date.
#pragma once

#include "cpu/cpu.h"
#include "cpu/sse/mxcsr.h"

/// The host has SSE, and arithmetic runs on it. BHVM_SOFT_SSE asks for the software instead.
#if defined(__x86_64__) && !defined(BHVM_SOFT_SSE)
#define BHVM_HOST_SSE 1
#else
#define BHVM_HOST_SSE 0
#endif

namespace bhvm {

#if BHVM_HOST_SSE
BHVM_INLINE u32 host_mxcsr() {
  u32 value;
  asm volatile("stmxcsr %0" : "=m"(value));
  return value;
}
BHVM_INLINE void set_host_mxcsr(u32 value) { asm volatile("ldmxcsr %0" : : "m"(value)); }
#endif

/// From here on the host computes as the guest does.
void enter_guest_fp(Cpu& cpu);
/// Brings s.mxcsr up to date and gives the host its own mode back.
void leave_guest_fp(Cpu& cpu);

/// Within the dispatch: brings the sticky flags into s.mxcsr.
void sync_mxcsr(Cpu& cpu);
/// Within the dispatch: sets sticky flags.
void add_flags(Cpu& cpu, u32 flags);
/// Within the dispatch: replaces MXCSR. `value` has no reserved bits set. Does not call update_mode().
void load_mxcsr(Cpu& cpu, u32 value);

}  // namespace bhvm
