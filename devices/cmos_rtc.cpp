#include "devices/cmos_rtc.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "devices/clock_rate.h"

namespace bhvm {
namespace {

using Register = CmosRegister;

constexpr u32 kFlag = 0;  // event kind

// Register A.
constexpr u8 kUpdateInProgress = 0x80;
constexpr u8 kDividerHeld = 0x60;  // both of DV2, DV1
constexpr u8 kRateSelect = 0x0F;
// Register B; its interrupt enables and register C's flags have the same places.
constexpr u8 kSet = 0x80;
constexpr u8 kPeriodic = 0x40;
constexpr u8 kAlarm = 0x20;
constexpr u8 kUpdateEnded = 0x10;
constexpr u8 kBinary = 0x04;
constexpr u8 k24Hours = 0x02;
constexpr u8 kInterruptRequest = 0x80;  // register C

constexpr u8 kAfternoon = 0x80;                             // of an hour in 12-hour mode
constexpr u8 kAlarmAny = 0xC0;                              // an alarm byte from here on matches everything
constexpr u64 kUpdateLead_ns = 244'000;                     // UIP rises this long before the update (figure 15)
constexpr u64 kFirstUpdate_ns = kNanosecondsPerSecond / 2;  // after the divider is let go
constexpr i64 kDay_s = 86'400;

constexpr i64 seconds_of(int year) {
  using namespace std::chrono;
  return sys_seconds(sys_days(std::chrono::year(year) / 1 / 1)).time_since_epoch().count();
}
constexpr i64 kDateMin = seconds_of(0);
constexpr i64 kDateMax = seconds_of(10'000) - 1;

constexpr u8 kClockBytes[] = {0x00, 0x02, 0x04, 0x06, 0x07, 0x08, 0x09, 0x32};

bool is_clock_byte(Register r) {
  return std::find(std::begin(kClockBytes), std::end(kClockBytes), static_cast<u8>(r)) != std::end(kClockBytes);
}

/// 0 is Sunday, as 1 in the register.
unsigned weekday_of(i64 seconds) {
  const std::chrono::sys_days day =
      std::chrono::floor<std::chrono::days>(std::chrono::sys_seconds(std::chrono::seconds(seconds)));
  return std::chrono::weekday(day).c_encoding();
}

/// The first tick of a clock of `hz` that is later than `elapsed_ns` after its beginning.
u64 next_tick_ns(u64 hz, u64 elapsed_ns) {
  const ClockRate rate(hz);
  return rate.ns_until(rate.ticks_in(elapsed_ns) + 1);
}

}  // namespace

CmosRtc::CmosRtc(EventPort events, Line irq, u64 epoch_s)
    : events_(events), irq_(irq), epoch_s_(static_cast<i64>(std::min<u64>(epoch_s, kDateMax))) {
  reset();
}

void CmosRtc::reset() {
  state_ = {};
  state_.base_s = epoch_s_;
  state_.synced_ns = events_.now_ns();
  reg(Register::kRegisterA) = 0x26;  // 32.768 kHz, 1024 Hz periodic rate
  reg(Register::kRegisterB) = k24Hours;
  reg(Register::kRegisterD) = 0x80;  // VRT: the battery is good
  events_.disarm(kFlag);
  irq_.set(false);
}

void CmosRtc::set_state(const CmosRtcState& state) {
  state_ = state;
  state_.base_s = std::clamp(state.base_s, kDateMin, kDateMax);
  state_.index &= 0x7F;
  state_.weekday_shift %= 7;
}

// ---- The date ----

bool CmosRtc::divider_held() const { return (reg(Register::kRegisterA) & kDividerHeld) == kDividerHeld; }
bool CmosRtc::stands_still() const { return divider_held() || (reg(Register::kRegisterB) & kSet) != 0; }

u8 CmosRtc::encode(unsigned value) const {
  if ((reg(Register::kRegisterB) & kBinary) != 0) return static_cast<u8>(value);
  return static_cast<u8>(value / 10 << 4 | value % 10);
}

unsigned CmosRtc::decode(u8 value) const {
  if ((reg(Register::kRegisterB) & kBinary) != 0) return value;
  return (value >> 4) * 10u + (value & 0xFu);
}

u8 CmosRtc::encode_hour(unsigned hour) const {
  if ((reg(Register::kRegisterB) & k24Hours) != 0) return encode(hour);
  return encode(hour % 12 == 0 ? 12 : hour % 12) | (hour >= 12 ? kAfternoon : u8{0});
}

unsigned CmosRtc::decode_hour(u8 value) const {
  if ((reg(Register::kRegisterB) & k24Hours) != 0) return decode(value);
  return decode(value & ~kAfternoon) % 12 + ((value & kAfternoon) != 0 ? 12 : 0);
}

i64 CmosRtc::seconds_at(u64 time_ns) const {
  return state_.base_s + static_cast<i64>(elapsed_ns(time_ns) / kNanosecondsPerSecond);
}

/// Writes a date into the clock bytes, in the format of register B.
void CmosRtc::show_date(i64 seconds) {
  using namespace std::chrono;
  const sys_seconds time{std::chrono::seconds(seconds)};
  const sys_days day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  const unsigned year = static_cast<unsigned>(static_cast<int>(date.year())) % 10'000;
  reg(Register::kSeconds) = encode(static_cast<unsigned>(clock.seconds().count()));
  reg(Register::kMinutes) = encode(static_cast<unsigned>(clock.minutes().count()));
  reg(Register::kHours) = encode_hour(static_cast<unsigned>(clock.hours().count()));
  reg(Register::kDayOfWeek) = encode((weekday_of(seconds) + state_.weekday_shift) % 7 + 1);
  reg(Register::kDayOfMonth) = encode(static_cast<unsigned>(date.day()));
  reg(Register::kMonth) = encode(static_cast<unsigned>(date.month()));
  reg(Register::kYear) = encode(year % 100);
  reg(Register::kCentury) = encode(year / 100);
}

/// Makes the clock bytes the date of now. The second that runs keeps its phase.
void CmosRtc::take_date() {
  using namespace std::chrono;
  const int year = static_cast<int>(decode(reg(Register::kCentury)) * 100 + decode(reg(Register::kYear)));
  const int month = static_cast<int>(decode(reg(Register::kMonth)));
  const int day = static_cast<int>(decode(reg(Register::kDayOfMonth)));
  const sys_days date = sys_days(std::chrono::year(year % 10'000) / January / 1 + months(month - 1)) + days(day - 1);
  const i64 clock_s = decode_hour(reg(Register::kHours)) * i64{3600} + decode(reg(Register::kMinutes)) * i64{60} +
                      decode(reg(Register::kSeconds));
  const i64 seconds = date.time_since_epoch().count() * kDay_s + clock_s;
  const unsigned weekday = decode(reg(Register::kDayOfWeek)) + 6;  // Sunday is 1
  state_.base_ns += elapsed_ns(events_.now_ns()) / kNanosecondsPerSecond * kNanosecondsPerSecond;
  state_.base_s = std::clamp(seconds, kDateMin, kDateMax);
  state_.weekday_shift = static_cast<u8>((weekday + 7 - weekday_of(state_.base_s)) % 7);
}

bool CmosRtc::update_in_progress() const {
  const u64 phase_ns = elapsed_ns(events_.now_ns()) % kNanosecondsPerSecond;
  return !stands_still() && phase_ns >= kNanosecondsPerSecond - kUpdateLead_ns;
}

// ---- Flags and the interrupt ----

/// Rate of the periodic interrupt with a 32.768 kHz crystal (table 5); 0: none.
u64 CmosRtc::periodic_hz() const {
  const unsigned select = reg(Register::kRegisterA) & kRateSelect;
  if (select == 0 || divider_held()) return 0;
  return select <= 2 ? u64{512} >> select : u64{65'536} >> select;
}

/// The first second later than `after` that the alarm bytes match; the largest i64 when none does.
i64 CmosRtc::next_alarm(i64 after) const {
  const auto matches = [&](Register r, u8 shown) { return reg(r) >= kAlarmAny || reg(r) == shown; };
  const i64 midnight = after - ((after % kDay_s) + kDay_s) % kDay_s;
  for (i64 s = after + 1; s <= after + kDay_s;) {
    const unsigned clock = static_cast<unsigned>((s - midnight) % kDay_s);
    if (!matches(Register::kHoursAlarm, encode_hour(clock / 3600))) {
      s += 3600 - clock % 3600;
    } else if (!matches(Register::kMinutesAlarm, encode(clock / 60 % 60))) {
      s += 60 - clock % 60;
    } else if (!matches(Register::kSecondsAlarm, encode(clock % 60))) {
      ++s;
    } else {
      return s;
    }
  }
  return std::numeric_limits<i64>::max();
}

/// Brings register C's flags up to now.
void CmosRtc::synchronize() {
  const u64 now = events_.now_ns();
  u8& flags = reg(Register::kRegisterC);
  if (const u64 hz = periodic_hz(); hz != 0) {
    const ClockRate rate(hz);
    if (rate.ticks_in(elapsed_ns(now)) > rate.ticks_in(elapsed_ns(state_.synced_ns))) flags |= kPeriodic;
  }
  if (!stands_still()) {
    const i64 before_s = seconds_at(state_.synced_ns);
    const i64 now_s = seconds_at(now);
    if (now_s > before_s) flags |= kUpdateEnded;
    if (now_s > before_s && next_alarm(before_s) <= now_s) flags |= kAlarm;
  }
  state_.synced_ns = now;
}

/// Drives the pin and arms the first enabled flag that is still clear. After synchronize().
void CmosRtc::refresh() {
  u8& flags = reg(Register::kRegisterC);
  const u8 enabled = reg(Register::kRegisterB);
  const u8 wanted = kPeriodic | kAlarm | kUpdateEnded;
  const bool request = (flags & enabled & wanted) != 0;
  flags = static_cast<u8>((flags & wanted) | (request ? kInterruptRequest : 0));
  irq_.set(request);

  const u64 elapsed = elapsed_ns(state_.synced_ns);
  const u8 awaited = static_cast<u8>(enabled & ~flags & wanted);
  u64 first = ClockRate::kNever;  // after base_ns
  if (const u64 hz = periodic_hz(); (awaited & kPeriodic) != 0 && hz != 0) first = next_tick_ns(hz, elapsed);
  if (!stands_still()) {
    if ((awaited & kUpdateEnded) != 0) first = std::min(first, next_tick_ns(1, elapsed));
    if ((awaited & kAlarm) != 0) {
      const i64 alarm_s = next_alarm(seconds_at(state_.synced_ns));
      if (alarm_s != std::numeric_limits<i64>::max()) {
        first = std::min(first, ClockRate(1).ns_until(static_cast<u64>(alarm_s - state_.base_s)));
      }
    }
  }
  events_.disarm(kFlag);
  if (first == ClockRate::kNever) return;
  const u64 time_ns = add_ns(state_.synced_ns, first - elapsed);
  if (time_ns != ClockRate::kNever) events_.arm(kFlag, time_ns);
}

void CmosRtc::on_event(u32, u64) {
  synchronize();
  refresh();
}

void CmosRtc::advance_date(u64 seconds) {
  synchronize();
  const u64 room = static_cast<u64>(kDateMax - state_.base_s);
  state_.base_s += static_cast<i64>(std::min(seconds, room));
  refresh();
}

void CmosRtc::clock_changing() { synchronize(); }

void CmosRtc::clock_changed() {
  if (events_.now_ns() >= state_.synced_ns) {
    on_event(kFlag, 0);
    return;
  }
  state_.synced_ns = events_.now_ns();
  // A jump back to before the base: the base goes back with it, by whole seconds.
  if (const i64 elapsed = static_cast<i64>(elapsed_ns(state_.synced_ns)); elapsed < 0) {
    constexpr i64 kSecond_ns = static_cast<i64>(kNanosecondsPerSecond);
    const i64 seconds = (-(elapsed + 1)) / kSecond_ns + 1;
    state_.base_s = std::max(state_.base_s - seconds, kDateMin);
    state_.base_ns -= static_cast<u64>(seconds) * kNanosecondsPerSecond;
  }
  refresh();
}

// ---- Registers ----

u8 CmosRtc::read_byte(u64 offset) {
  if (offset != 1) return 0xFF;  // the index port is write-only
  const Register index = static_cast<Register>(state_.index);
  switch (index) {
    case Register::kRegisterA:
      return reg(index) | (update_in_progress() ? kUpdateInProgress : u8{0});
    case Register::kRegisterC: {
      synchronize();
      refresh();
      const u8 flags = reg(index);
      reg(index) = 0;
      refresh();
      return flags;
    }
    default:
      break;
  }
  if (is_clock_byte(index) && !stands_still()) {
    synchronize();
    show_date(seconds_at(state_.synced_ns));
  }
  return reg(index);
}

void CmosRtc::write_byte(u64 offset, u8 value) {
  if (offset == 0) state_.index = value & 0x7F;  // bit 7 masks NMI, of which there is none
  if (offset == 1) write_cmos(static_cast<Register>(state_.index), value);
}

void CmosRtc::write_cmos(Register index, u8 value) {
  synchronize();
  if (index == Register::kRegisterA || index == Register::kRegisterB) {
    write_control(index, value);
  } else if (index == Register::kRegisterC || index == Register::kRegisterD) {
    return;
  } else if (is_clock_byte(index) && !stands_still()) {
    show_date(seconds_at(state_.synced_ns));
    reg(index) = value;
    take_date();
  } else {
    reg(index) = value;
  }
  refresh();
}

/// Registers A and B: the clock may stop or go on.
void CmosRtc::write_control(Register index, u8 value) {
  const bool stood_still = stands_still();
  const bool was_held = divider_held();
  if (!stood_still) show_date(seconds_at(state_.synced_ns));  // in the old format, as the chip's RAM has it
  const bool set = index == Register::kRegisterB && (value & kSet) != 0;
  if (index == Register::kRegisterA) {
    reg(index) = static_cast<u8>(value & ~kUpdateInProgress);
  } else {
    reg(index) = static_cast<u8>(set ? value & ~kUpdateEnded : value);  // SET clears UIE
  }
  if (was_held && !divider_held()) state_.base_ns = state_.synced_ns - kFirstUpdate_ns;
  if (stood_still && !stands_still()) take_date();
}

}  // namespace bhvm
