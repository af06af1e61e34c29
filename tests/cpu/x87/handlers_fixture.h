// An interpreter that runs one instruction at a time on a given x87 state.
#pragma once

#include <gtest/gtest.h>

#include "host_x87.h"
#include "tests/cpu/harness.h"

namespace bhvm::test {

class X87Handlers : public ::testing::Test {
 protected:
  /// Runs one instruction; the state must be in place.
  RunExit step(std::initializer_list<u8> code) { return step(std::vector<u8>(code)); }
  RunExit step(const std::vector<u8>& code) {
    h.place(kCode, code);
    h.cpu.s.rip = kCode;
    return h.cpu.run(1);
  }
  X87State& x87() { return h.cpu.s.x87; }
  void set_memory(u64 address, const HostMemory& memory) { h.place(address, memory); }
  HostMemory memory_at(u64 address) {
    HostMemory memory;
    h.memory.read({address}, memory.data(), memory.size());
    return memory;
  }
  /// Takes exceptions to a handler at kHandler + 16 * vector, error codes are not looked at.
  void install_idt() {
    for (u64 vector = 0; vector < 32; ++vector) {
      const u64 handler = kHandlers + 16 * vector;
      h.write64(kIdt + 16 * vector, (handler & 0xFFFF) | u64{0x10} << 16 | u64{0x8E00} << 32 | (handler >> 16) << 48);
      h.write64(kIdt + 16 * vector + 8, 0);
    }
    CpuState s = h.cpu.s;
    s.idtr = {kIdt, 0xFFF};
    h.write64(kGdt + 16, 0x00AF9B000000FFFF);
    h.write64(kGdt + 24, 0x00CF93000000FFFF);
    s.gdtr = {kGdt, 0xFF};
    h.cpu.set_state(s);
  }
  /// The vector whose handler was entered, or -1.
  int raised() const {
    const u64 rip = h.cpu.s.rip;
    return rip >= kHandlers && rip < kHandlers + 512 ? static_cast<int>((rip - kHandlers) / 16) : -1;
  }

  static constexpr u64 kIdt = 0x8000;
  static constexpr u64 kGdt = 0x9000;
  static constexpr u64 kHandlers = 0xA000;
  Harness h;
};

}  // namespace bhvm::test
