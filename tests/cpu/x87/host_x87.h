// The host's own x87 FPU as a reference: runs the bytes of one instruction on a given state. x86-64 hosts only.
#pragma once

#include <array>
#include <span>

#include "base/types.h"
#include "cpu/x87/x87_state.h"

#if defined(__x86_64__) && defined(__linux__)
#define BHVM_HOST_HAS_X87 1
#else
#define BHVM_HOST_HAS_X87 0
#endif

namespace bhvm::test {

/// Memory operand of an instruction, addressed by RSI: `[rsi]` is ModRM rm = 6 with mod = 0.
using HostMemory = std::array<u8, 16>;

#if BHVM_HOST_HAS_X87
/// Is the host's FPU the one that bhvm's behaves like? Intel's; others differ where the SDM leaves room, in C1, in the
/// pointers and in what unmasked exceptions leave behind.
bool host_is_reference();

class HostX87 {
 public:
  /// `instruction`: at most 15 bytes, without exceptions pending in the states it is run on.
  explicit HostX87(std::span<const u8> instruction);
  ~HostX87();
  HostX87(const HostX87&) = delete;
  HostX87& operator=(const HostX87&) = delete;

  struct Outcome {
    u64 rflags = 0;
    bool rip_updated = false;   // FIP points to the instruction
    bool data_updated = false;  // FDP points to `memory`
  };
  /// Runs it: `rflags` are the arithmetic flags before.
  Outcome run(X87State& x87, HostMemory& memory, u64 rflags = 0x202);

 private:
  u8* code_ = nullptr;
  u64 instruction_address_ = 0;
};
#endif

/// First line of a test that compares with the host.
#define BHVM_NEEDS_REFERENCE_X87() \
  if (!::bhvm::test::host_is_reference()) GTEST_SKIP() << "the host has no Intel x87 FPU to compare with"

}  // namespace bhvm::test
