// ACPI fixed hardware (ACPI 6.4, 4.8): the PM1a event and control registers, the PM timer and the SCI.
//
// The hardware is always in ACPI mode: there is no SMI command port and SCI_EN always reads 1. Writing SLP_EN with the
// sleep type of S5 powers the machine off; other sleep types do nothing. Events are the timer's carry, the power button
// and what the guest itself enables; there are no general-purpose events.
//
// The PM timer is 32 bits wide (FADT flag TMR_VAL_EXT) and computed from virtual time. Its status bit is made up for
// at the next look; an event is armed only while it is enabled and clear. The SCI is a level.
#pragma once

#include "bus/address_map.h"
#include "bus/line.h"
#include "devices/clock_rate.h"
#include "devices/machine_control.h"
#include "scheduler/event_port.h"

namespace bhvm {

/// Offsets of the registers in the chip's ports.
enum class AcpiPmRegister : u8 { kPm1Status = 0, kPm1Enable = 2, kPm1Control = 4, kPmTimer = 8 };

struct AcpiPmState {
  u16 status = 0;     // PM1_STS
  u16 enable = 0;     // PM1_EN
  u16 control = 0;    // PM1_CNT without SCI_EN and the write-only bits
  u64 synced_ns = 0;  // the timer's carries up to here are in status
};

class AcpiPm final : public Chip {
 public:
  static constexpr u64 kSize = 0x10;
  static constexpr u64 kTimerHz = 3'579'545;
  static constexpr u16 kSoftOffType = 5;  // SLP_TYP of S5, as the DSDT's \_S5 has it

  AcpiPm(EventPort events, Line sci, MachineControl& machine);

  u64 read(u64 offset, unsigned size) override;
  void write(u64 offset, unsigned size, u64 value) override;
  void on_event(u32 kind, u64 argument);
  void reset();

  /// Somebody pressed the power button: PWRBTN_STS. Means something to a guest only if its FADT says that the button
  /// is a fixed feature (flag PWR_BUTTON clear).
  void press_power_button();

  /// Around a change of the oscillator: what is due by the old time, then what the new time means.
  void clock_changing();
  void clock_changed();

  const AcpiPmState& state() const { return state_; }
  /// Takes over a saved state: drives no line, arms no event.
  void set_state(const AcpiPmState& state) { state_ = state; }

 private:
  u64 timer_at(u64 time_ns) const { return static_cast<u64>(rate_.ticks_in(time_ns)); }
  void synchronize();
  void refresh();
  void write_control(u16 value);

  EventPort events_;
  Line sci_;
  MachineControl* machine_;
  ClockRate rate_{kTimerHz};
  AcpiPmState state_;
};

}  // namespace bhvm
