#include "cpu/sse/host_fp.h"

namespace bhvm {
namespace {

/// The host's own MXCSR while the guest's mode is loaded. MXCSR belongs to the thread, and so does its saved value.
thread_local u32 saved_host_mxcsr = mxcsr::kReset;

}  // namespace

#if !BHVM_HOST_SSE
namespace {
thread_local u32 simulated_mxcsr = mxcsr::kReset;
}
u32 host_mxcsr() { return simulated_mxcsr; }
void set_host_mxcsr(u32 value) { simulated_mxcsr = value; }
#endif

void enter_guest_fp(Cpu& cpu) {
  saved_host_mxcsr = host_mxcsr();
  set_host_mxcsr(mxcsr::for_host(cpu.s.mxcsr));
}

void leave_guest_fp(Cpu& cpu) {
  sync_mxcsr(cpu);
  set_host_mxcsr(saved_host_mxcsr);
}

void sync_mxcsr(Cpu& cpu) { cpu.s.mxcsr = (cpu.s.mxcsr & ~mxcsr::kFlags) | (host_mxcsr() & mxcsr::kFlags); }

void load_mxcsr(Cpu& cpu, u32 value) {
  cpu.s.mxcsr = value;
  set_host_mxcsr(mxcsr::for_host(value));
}

}  // namespace bhvm
