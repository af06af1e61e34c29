// Runs one instruction in the interpreter: a guest at privilege level 0, in 64-bit code unless asked otherwise, all
// memory mapped one to one, an interrupt table whose handlers halt.
#pragma once

#include <memory>
#include <span>

#include "bus/cpu_port.h"
#include "cpu/cpu.h"
#include "machine_state.h"

namespace bhvm::sse_test {

/// RAM, and what is mapped, ends here.
inline constexpr u64 kMappedEnd = kDataAddress + (u64{2} << 20);

class GuestExecutor {
 public:
  GuestExecutor();
  ~GuestExecutor();

  /// Puts the instruction, with a HLT behind it, at an address of its own.
  void load(std::span<const u8> instruction);
  MachineState run(const MachineState& before);
  Cpu& cpu() { return *cpu_; }
  /// Control registers of the runs to come.
  u64 cr0 = 0x80000031;
  u64 cr4 = 0x620;  // PAE, OSFXSR, OSXMMEXCPT
  /// Compatibility mode.
  bool code32 = false;

 private:
  class NoBoard;
  GuestMemory memory_;
  std::unique_ptr<Mmu> mmu_;
  std::unique_ptr<NoBoard> board_;
  std::unique_ptr<Cpu> cpu_;
  u64 code_ = 0x10000;
  u64 next_code_ = 0x10000;
};

}  // namespace bhvm::sse_test
