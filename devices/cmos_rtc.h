// The real-time clock and CMOS memory (MC146818A), with the PC's index and data ports and century byte (32h).
//
// The date is computed from virtual time: seconds since 1970 at an instant when a second began, plus what has passed.
// While registers are being set (SET, or the divider held in reset) the ten clock bytes stand still and are plain
// memory; when the clock runs again they become the date, whatever was written there carrying over (second 75 is second
// 15 of the next minute). Setting the date while the clock runs works the same, byte by byte. The weekday is not
// computed from the date but counted on from what was written (at power-on it is right).
//
// Flags in register C are made up for when somebody looks; an event is armed only for an enabled interrupt whose flag
// is clear. The interrupt pin is a level: IRQF.
#pragma once

#include <array>

#include "bus/line.h"
#include "devices/register_bytes.h"
#include "scheduler/event_port.h"

namespace bhvm {

/// CMOS addresses (MC146818A, figure 8; century: FADT).
enum class CmosRegister : u8 {
  kSeconds = 0x00,
  kSecondsAlarm = 0x01,
  kMinutes = 0x02,
  kMinutesAlarm = 0x03,
  kHours = 0x04,
  kHoursAlarm = 0x05,
  kDayOfWeek = 0x06,
  kDayOfMonth = 0x07,
  kMonth = 0x08,
  kYear = 0x09,
  kRegisterA = 0x0A,
  kRegisterB = 0x0B,
  kRegisterC = 0x0C,
  kRegisterD = 0x0D,
  kCentury = 0x32,
};

struct CmosRtcState {
  u8 index = 0;                // as selected through port 70h
  std::array<u8, 128> cmos{};  // while the clock runs, its bytes are what was shown last
  i64 base_s = 0;              // seconds since 1970 ...
  u64 base_ns = 0;             // ... at this virtual time; wraps below zero, for a second that began before power-on
  u64 synced_ns = 0;           // register C tells of everything up to here
  u8 weekday_shift = 0;        // days by which the weekday differs from the date's
};

class CmosRtc final : public ByteChip {
 public:
  static constexpr u64 kSize = 2;

  /// `epoch_s`: the date at virtual time 0, in seconds since 1970 (UTC); dates past the year 9999 count as its end.
  CmosRtc(EventPort events, Line irq, u64 epoch_s);

  void on_event(u32 kind, u64 argument);
  /// Power-on: the date is again what it would be, had nobody set it.
  void reset();

  /// The date moves on by whole seconds.
  void advance_date(u64 seconds);
  /// Around a change of the oscillator: what is due by the old time, then what the new time means.
  void clock_changing();
  void clock_changed();

  const CmosRtcState& state() const { return state_; }
  /// Takes over a saved state: drives no line, arms no event. Impossible dates are brought into the years 0..9999.
  void set_state(const CmosRtcState& state);

 private:
  u8 read_byte(u64 offset) override;
  void write_byte(u64 offset, u8 value) override;

  u8& reg(CmosRegister r) { return state_.cmos[static_cast<u8>(r)]; }
  u8 reg(CmosRegister r) const { return state_.cmos[static_cast<u8>(r)]; }
  bool divider_held() const;
  bool stands_still() const;
  u8 encode(unsigned value) const;
  unsigned decode(u8 value) const;
  u8 encode_hour(unsigned hour) const;
  unsigned decode_hour(u8 value) const;
  u64 elapsed_ns(u64 time_ns) const { return time_ns - state_.base_ns; }
  i64 seconds_at(u64 time_ns) const;
  void show_date(i64 seconds);
  void take_date();
  bool update_in_progress() const;
  u64 periodic_hz() const;
  i64 next_alarm(i64 after) const;
  void synchronize();
  void refresh();
  void write_cmos(CmosRegister index, u8 value);
  void write_control(CmosRegister index, u8 value);

  EventPort events_;
  Line irq_;
  i64 epoch_s_;
  CmosRtcState state_;
};

}  // namespace bhvm
