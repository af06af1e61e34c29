// bhvm's half of a lockstep run: RAM and the processor, and no device.
//
// What a device would have answered is recorded as a rule: the run then takes the result from QEMU.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "cpu/cpu.h"
#include "oracle/lockstep/qemu_state.h"
#include "oracle/lockstep/rules.h"

namespace bhvm::lockstep {

class BhvmSide final : public CpuPort {
 public:
  static Result<std::unique_ptr<BhvmSide>> create(u64 memory_bytes);

  /// RAM and registers of QEMU at the kernel's first instruction. What the log does not show is at its reset value.
  void start(std::span<const u8> ram, const QemuState& state);

  enum class Step : u8 { kDone, kShutdown, kUnsupported };
  /// One instruction, all of it: a fault is delivered, a REP instruction runs to its end.
  Step step();
  /// Takes an interrupt at this boundary. False when it is blocked here.
  bool interrupt(u8 vector);
  /// Passes over an instruction that only QEMU executes.
  void skip(u64 length);
  /// The fault that QEMU raised and bhvm has no reason to.
  bool raise(u8 vector, u32 error_code);
  void adopt_flags(u64 rflags);

  /// What the last step read from outside, if anything.
  std::optional<Rule> outside_read() const { return outside_read_; }
  /// Are interrupts held back for the next instruction (after STI, MOV SS, POP SS)?
  bool shadow() const { return cpu_->s.shadow_at == cpu_->s.instructions; }

  Cpu& cpu() { return *cpu_; }
  const CpuState& state() const { return cpu_->s; }
  GuestMemory& memory() { return memory_; }

 private:
  explicit BhvmSide(GuestMemory memory) : memory_(std::move(memory)), mmu_(memory_) {}

  u64 read_physical(PhysicalAddress, unsigned) override;
  void write_physical(PhysicalAddress, unsigned, u64) override {}
  u32 read_port(u16, unsigned) override;
  void write_port(u16, unsigned, u32) override {}
  int acknowledge_interrupt() override;
  u64 tsc_at(u64 instructions) override { return instructions; }
  void tsc_adjusted(u64) override {}
  bool read_msr(u32, u64&) override { return false; }
  bool write_msr(u32, u64) override { return false; }
  u64 read_cr8() override;
  void write_cr8(u64) override {}
  u64 random() override { return 0; }

  GuestMemory memory_;
  Mmu mmu_;
  std::unique_ptr<Cpu> cpu_;
  int vector_ = -1;
  std::optional<Rule> outside_read_;
};

}  // namespace bhvm::lockstep
