#include "cpu/sse/host_fp.h"

#include "base/planted_fault.h"

namespace bhvm {

#if BHVM_HOST_SSE
namespace {

/// What the arithmetic runs under for a guest's value: code that runs on the host has all exceptions masked.
constexpr u32 for_host(u32 guest) { return guest | mxcsr::kMasks; }

}  // namespace

void enter_guest_fp(Cpu& cpu) {
  cpu.saved_host_mxcsr = host_mxcsr();
  set_host_mxcsr(for_host(cpu.s.mxcsr));
}

void leave_guest_fp(Cpu& cpu) {
  sync_mxcsr(cpu);
  set_host_mxcsr(cpu.saved_host_mxcsr);
}

void sync_mxcsr(Cpu& cpu) {
  const u32 before = cpu.s.mxcsr;
  cpu.s.mxcsr = (cpu.s.mxcsr & ~mxcsr::kFlags) | (host_mxcsr() & mxcsr::kFlags);
  if (planted(PlantedFault::kDenormalNotSticky) && cpu.s.mxcsr != before) cpu.s.mxcsr &= ~(before & mxcsr::kDe);
}

void add_flags(Cpu&, u32 flags) { set_host_mxcsr(host_mxcsr() | flags); }

void load_mxcsr(Cpu& cpu, u32 value) {
  cpu.s.mxcsr = value;
  set_host_mxcsr(for_host(value));
}

#else

void enter_guest_fp(Cpu&) {}
void leave_guest_fp(Cpu&) {}
void sync_mxcsr(Cpu&) {}
void add_flags(Cpu& cpu, u32 flags) { cpu.s.mxcsr |= flags; }
void load_mxcsr(Cpu& cpu, u32 value) { cpu.s.mxcsr = value; }

#endif

}  // namespace bhvm
