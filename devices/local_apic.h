// The local APIC in xAPIC mode (SDM volume 3, chapter 11), of a machine with one processor.
//
// It has the register page, the timer with its three modes, priorities (TPR, PPR, IRR, ISR), interprocessor interrupts
// to itself, the error status register and EOI messages to the I/O APIC. It does not have: x2APIC mode (the processor
// must not claim it: setting IA32_APIC_BASE.EXTD is #GP), relocation of the page (a write with another base is #GP, so
// the page stays where the board put it), EOI-broadcast suppression, or sources for LINT0, LINT1, the thermal sensor
// and performance counters, whose LVT registers only remember. INIT, start-up, SMI and ExtINT messages are accepted
// and dropped: there is nothing behind them.
//
// INTR follows IRR, ISR and TPR at every change: it is asserted while the highest request is above the processor
// priority. NMI is pulsed. The board owns the lines and the I/O APIC.
#pragma once

#include <array>

#include "bus/address_map.h"
#include "bus/line.h"
#include "devices/apic_timer.h"
#include "devices/interrupt_message.h"

namespace bhvm {

/// Offsets in the register page (SDM volume 3, table 11-1); those of eight words name the first.
enum class LocalApicRegister : u16 {
  kId = 0x020,
  kVersion = 0x030,
  kTpr = 0x080,
  kPpr = 0x0A0,
  kEoi = 0x0B0,
  kLdr = 0x0D0,
  kDfr = 0x0E0,
  kSvr = 0x0F0,
  kIsr = 0x100,
  kTmr = 0x180,
  kIrr = 0x200,
  kEsr = 0x280,
  kIcrLow = 0x300,
  kIcrHigh = 0x310,
  kLvtTimer = 0x320,
  kLvtThermal = 0x330,
  kLvtPerformance = 0x340,
  kLvtLint0 = 0x350,
  kLvtLint1 = 0x360,
  kLvtError = 0x370,
  kInitialCount = 0x380,
  kCurrentCount = 0x390,
  kDivideConfiguration = 0x3E0,
};

struct LocalApicState {
  u64 apic_base = 0;  // IA32_APIC_BASE
  u8 id = 0;
  u8 tpr = 0;
  u32 ldr = 0;
  u32 dfr = 0;
  u32 svr = 0;
  u32 icr_low = 0;
  u32 icr_high = 0;
  u32 esr = 0;          // as read
  u32 esr_pending = 0;  // becomes esr at the next write to it
  std::array<u32, 8> isr{};
  std::array<u32, 8> tmr{};
  std::array<u32, 8> irr{};
  std::array<u32, 6> lvt{};  // from kLvtTimer on
  ApicTimerState timer;
};

struct LocalApicConfig {
  u64 base = 0xFEE00000;  // where the board attaches the page
  u64 timer_hz = 0;       // the core crystal clock (CPUID 15H, ECX)
  u64 tsc_hz = 0;
  TimerJitter* timer_jitter = nullptr;  // none: timers are exact
};

class LocalApic final : public Chip, public InterruptDestination {
 public:
  static constexpr u64 kSize = 0x1000;
  static constexpr u32 kMsrApicBase = 0x1B;
  static constexpr u32 kMsrTscDeadline = 0x6E0;

  LocalApic(EventPort events, Line intr, Line nmi, const LocalApicConfig& config);
  LocalApic(const LocalApic&) = delete;
  LocalApic& operator=(const LocalApic&) = delete;

  /// Who hears the end of level-triggered interrupts; the I/O APIC is made after the local APIC, hence not wiring of
  /// the constructor.
  void connect(EoiListener& listener) { eoi_listener_ = &listener; }

  /// Registers are 32 bits wide at 16-byte strides. A read of any size yields the register's bytes, zeros in between.
  /// A write counts when it is 4 or 8 bytes at a stride (the upper half is dropped); others are ignored. A register
  /// that does not exist sets "illegal register address" in the ESR. A disabled APIC is an empty bus.
  u64 read(u64 offset, unsigned size) override;
  void write(u64 offset, unsigned size, u64 value) override;
  void on_event(u32 kind, u64 argument);
  void reset();

  bool deliver(const InterruptMessage& message) override;
  /// The vector to run; the spurious vector when no request is above the processor priority; -1 when the APIC is
  /// disabled in IA32_APIC_BASE.
  int acknowledge();

  /// IA32_APIC_BASE and IA32_TSC_DEADLINE. False: #GP(0), also for every other index.
  bool read_msr(u32 index, u64& value) const;
  bool write_msr(u32 index, u64 value);
  u64 read_cr8() const { return state_.tpr >> 4; }
  void write_cr8(u64 value);
  /// IA32_TSC_ADJUST has changed; the deadline follows.
  void tsc_adjusted(u64 adjust);
  /// The oscillator jumped or goes at another rate; the timer follows.
  void clock_changed();

  const LocalApicState& state() const { return state_; }
  /// Takes over a saved state: drives no line, arms no event.
  void set_state(const LocalApicState& state) { state_ = state; }

 private:
  bool enabled() const;
  bool software_enabled() const;
  u8 processor_priority() const;
  bool interrupt_pending() const;
  void update_line() const { intr_.set(enabled() && interrupt_pending()); }
  u32 read_register(u64 offset);
  void write_register(u64 offset, u32 value);
  void write_lvt(u64 index, u32 value);
  void write_svr(u32 value);
  void end_of_interrupt();
  void send_ipi();
  bool addressed(const InterruptMessage& message) const;
  bool accept(const InterruptMessage& message);
  void request(u8 vector, bool level);
  void fire_lvt(LocalApicRegister lvt);
  void report_error(u32 bit);
  void reset_registers();

  Line intr_;
  Line nmi_;
  EoiListener* eoi_listener_ = nullptr;
  u64 base_;
  LocalApicState state_;
  ApicTimer timer_;
};

}  // namespace bhvm
