#include "devices/acpi_pm.h"

#include "devices/register_bytes.h"

namespace bhvm {
namespace {

using Register = AcpiPmRegister;

constexpr u32 kTimerCarry = 0;  // event kind

// PM1_STS and PM1_EN (4.8.3.1).
constexpr u16 kTimer = 1 << 0;
constexpr u16 kGlobal = 1 << 5;
constexpr u16 kPowerButton = 1 << 8;
constexpr u16 kSleepButton = 1 << 9;
constexpr u16 kRtc = 1 << 10;
constexpr u16 kEnableWritable = kTimer | kGlobal | kPowerButton | kSleepButton | kRtc;

// PM1_CNT (4.8.3.2).
constexpr u16 kSciEnable = 1 << 0;
constexpr u16 kSleepTypeMask = 7 << 10;
constexpr unsigned kSleepTypeShift = 10;
constexpr u16 kSleepEnable = 1 << 13;
constexpr u16 kControlWritable = 1 << 1 | kSleepTypeMask;  // BM_RLD, SLP_TYP

constexpr unsigned kCarryBit = 31;  // TMR_STS: this bit of the timer has changed

constexpr u64 offset_of(Register r) { return static_cast<u64>(r); }

}  // namespace

AcpiPm::AcpiPm(EventPort events, Line sci, MachineControl& machine) : events_(events), sci_(sci), machine_(&machine) {
  reset();
}

void AcpiPm::reset() {
  state_ = {};
  state_.synced_ns = events_.now_ns();
  refresh();
}

void AcpiPm::synchronize() {
  const u64 now = events_.now_ns();
  if (timer_at(now) >> kCarryBit != timer_at(state_.synced_ns) >> kCarryBit) state_.status |= kTimer;
  state_.synced_ns = now;
}

/// Drives the SCI and arms the timer's next carry if it is awaited. After synchronize().
void AcpiPm::refresh() {
  sci_.set((state_.status & state_.enable) != 0);
  events_.disarm(kTimerCarry);
  if ((state_.enable & ~state_.status & kTimer) == 0) return;
  const u128 carry = (static_cast<u128>(timer_at(state_.synced_ns) >> kCarryBit) + 1) << kCarryBit;
  const u64 time_ns = rate_.ns_until(carry);
  if (time_ns != ClockRate::kNever) events_.arm(kTimerCarry, time_ns);
}

void AcpiPm::on_event(u32, u64) {
  synchronize();
  refresh();
}

void AcpiPm::clock_changing() { synchronize(); }

void AcpiPm::clock_changed() {
  synchronize();
  refresh();
}

void AcpiPm::press_power_button() {
  synchronize();
  state_.status |= kPowerButton;
  refresh();
}

// The registers lie side by side: an access of any size takes the bytes it covers.
u64 AcpiPm::read(u64 offset, unsigned size) {
  synchronize();
  refresh();
  const u64 control = state_.control | kSciEnable;
  const u64 low = state_.status | u64{state_.enable} << 16 | control << 32;
  const u64 timer = timer_at(state_.synced_ns) & 0xFFFF'FFFF;
  if (offset >= offset_of(Register::kPmTimer)) return register_bytes(timer, offset - 8, size);
  const u64 high_part = offset == 0 ? 0 : timer << (8 * (8 - offset));
  return (register_bytes(low, offset, size) | high_part) & low_bytes_mask(size);
}

void AcpiPm::write(u64 offset, unsigned size, u64 value) {
  if (offset >= offset_of(Register::kPmTimer)) return;  // the timer is read-only
  synchronize();
  const u64 cleared = with_register_bytes(0, offset, size, value);
  const u64 written = with_register_bytes(u64{state_.enable} << 16 | u64{state_.control} << 32, offset, size, value);
  state_.status = static_cast<u16>(state_.status & ~cleared);  // write 1 to clear
  state_.enable = static_cast<u16>(written >> 16) & kEnableWritable;
  refresh();
  write_control(static_cast<u16>(written >> 32));
}

void AcpiPm::write_control(u16 value) {
  state_.control = value & kControlWritable;
  const bool soft_off = (value & kSleepTypeMask) >> kSleepTypeShift == kSoftOffType;
  if ((value & kSleepEnable) != 0 && soft_off) machine_->power_off();
}

}  // namespace bhvm
