#include "devices/hpet.h"

#include "devices/clock_rate.h"
#include "devices/register_bytes.h"

namespace bhvm {
namespace {

using Register = HpetRegister;

constexpr u32 kMatch = 0;  // event kind

// GEN_CONF (2.3.5).
constexpr u64 kEnable = 1 << 0;
constexpr u64 kLegacyRoute = 1 << 1;

// Tn_CONF_CAP (2.3.8).
constexpr u64 kLevelType = 1 << 1;
constexpr u64 kInterruptEnable = 1 << 2;
constexpr u64 kPeriodic = 1 << 3;
constexpr u64 kPeriodicCapable = 1 << 4;
constexpr u64 kSize64Capable = 1 << 5;
constexpr u64 kValueSet = 1 << 6;
constexpr u64 k32BitMode = 1 << 8;
constexpr u64 kRouteMask = 0x1F << 9;
constexpr unsigned kRouteShift = 9;

constexpr u64 kTimerStride = 0x20;
constexpr u64 kTimersEnd = 0x100 + kHpetTimerCount * kTimerStride;

constexpr u64 offset_of(Register r) { return static_cast<u64>(r); }

bool has(const HpetTimerState& timer, u64 bit) { return (timer.configuration & bit) != 0; }
u64 width_mask(const HpetTimerState& timer) { return has(timer, k32BitMode) ? 0xFFFF'FFFF : ~u64{0}; }
u32 route(const HpetTimerState& timer) { return (timer.configuration & kRouteMask) >> kRouteShift; }

}  // namespace

Hpet::Hpet(EventPort events, const HpetWiring& wiring) : events_(events), wiring_(wiring) { reset(); }

void Hpet::reset() {
  const bool rtc_input = state_.rtc_input;
  state_ = {};
  state_.rtc_input = rtc_input;
  for (HpetTimerState& timer : state_.timers) timer.comparator = timer.period = ~u64{0};
  events_.disarm(kMatch);
  drive_lines();
}

bool Hpet::running() const { return (state_.configuration & kEnable) != 0; }

u64 Hpet::count() const {
  if (!running()) return state_.start_count;
  const u64 now = events_.now_ns();
  return state_.start_count + (now < state_.start_ns ? 0 : (now - state_.start_ns) / kTickNs);
}

// ---- Matches ----

/// Ticks after `from` to the next match; at least 1. `never`: further than the counter counts.
u64 Hpet::match_distance(const HpetTimerState& timer, u64 from, bool& never) const {
  const u64 mask = width_mask(timer);
  const u64 distance = (timer.comparator - from) & mask;
  never = distance == 0 && mask == ~u64{0};
  return distance != 0 ? distance : mask + 1;
}

/// Deals with the matches since the last look.
void Hpet::synchronize() {
  const u64 now_count = count();
  const u64 passed = now_count - state_.synced_count;
  for (u32 i = 0; i < kHpetTimerCount; ++i) {
    HpetTimerState& timer = state_.timers[i];
    bool never = false;
    const u64 distance = match_distance(timer, state_.synced_count, never);
    if (never || distance > passed) continue;
    const u64 period = timer.period & width_mask(timer);
    if (has(timer, kPeriodic) && period != 0) {
      const u64 matches = 1 + (passed - distance) / period;
      timer.comparator = (timer.comparator + matches * period) & width_mask(timer);
    }
    match(i);
  }
  state_.synced_count = now_count;
}

/// A level-triggered timer sets its status bit, which holds the line; an edge-triggered one pulses it.
void Hpet::match(u32 index) {
  const HpetTimerState& timer = state_.timers[index];
  if (has(timer, kLevelType)) {
    state_.interrupt_status |= u64{1} << index;
    drive_lines();
  } else if (const Line* line = output(index); interrupts(index) && line != nullptr) {
    line->set(true);
    drive_lines();
  }
}

/// Arms the first match of a timer that can interrupt and does not do so already.
void Hpet::arm() {
  events_.disarm(kMatch);
  if (!running()) return;
  u64 first = ClockRate::kNever;
  for (u32 i = 0; i < kHpetTimerCount; ++i) {
    const HpetTimerState& timer = state_.timers[i];
    const bool asserted = has(timer, kLevelType) && (state_.interrupt_status >> i & 1) != 0;
    if (!interrupts(i) || output(i) == nullptr || asserted) continue;
    bool never = false;
    const u64 distance = match_distance(timer, state_.synced_count, never);
    if (never) continue;
    const u128 ticks = static_cast<u128>(state_.synced_count - state_.start_count) + distance;
    const u128 time_ns = ticks * kTickNs + state_.start_ns;
    if (time_ns < first) first = static_cast<u64>(time_ns);
  }
  if (first != ClockRate::kNever) events_.arm(kMatch, first);
}

void Hpet::on_event(u32, u64) {
  synchronize();
  arm();
}

void Hpet::clock_changing() { synchronize(); }

// A jump forward runs over the matches in between; one back only makes those to come later.
void Hpet::clock_changed() {
  if (static_cast<i64>(count() - state_.synced_count) >= 0) {
    synchronize();
  } else {
    state_.synced_count = count();
  }
  arm();
}

// ---- Lines ----

const Line* Hpet::output(u32 index) const {
  if ((state_.configuration & kLegacyRoute) != 0 && index < 2) {
    return index == 0 ? &wiring_.legacy_timer0 : &wiring_.legacy_timer1;
  }
  const u32 input = route(state_.timers[index]);
  return (wiring_.route_capability >> input & 1) != 0 ? &wiring_.routes[input] : nullptr;
}

bool Hpet::interrupts(u32 index) const { return running() && has(state_.timers[index], kInterruptEnable); }

/// The level of every output: that of the level-triggered timers on it.
void Hpet::drive_lines() const {
  const auto level = [&](const Line* line) {
    bool any = false;
    for (u32 i = 0; i < kHpetTimerCount; ++i) {
      any |= output(i) == line && interrupts(i) && has(state_.timers[i], kLevelType) &&
             (state_.interrupt_status >> i & 1) != 0;
    }
    return any;
  };
  const bool legacy = (state_.configuration & kLegacyRoute) != 0;
  wiring_.legacy_timer0.set(legacy && level(&wiring_.legacy_timer0));
  wiring_.legacy_timer1.set(legacy ? level(&wiring_.legacy_timer1) : state_.rtc_input);
  for (u32 i = 0; i < 32; ++i) {
    if ((wiring_.route_capability >> i & 1) != 0) wiring_.routes[i].set(level(&wiring_.routes[i]));
  }
}

void Hpet::set_line(u32 index, bool level) {
  if (index != kRtcInput) return;
  state_.rtc_input = level;
  drive_lines();
}

// ---- Registers ----

u64 Hpet::read(u64 offset, unsigned size) {
  synchronize();
  return register_bytes(read_register(offset & ~u64{7}), offset & 7, size);
}

void Hpet::write(u64 offset, unsigned size, u64 value) {
  if ((size != 4 && size != 8) || offset % size != 0) return;
  synchronize();
  const u64 first = offset & 7;
  const u64 mask = low_bytes_mask(size) << (8 * first);
  write_register(offset - first, mask, (value << (8 * first)) & mask);
  arm();
}

u64 Hpet::read_register(u64 offset) const {
  switch (static_cast<Register>(offset)) {
    case Register::kGeneralCapabilities:
      return kPeriodFs << 32 | kBlockId;
    case Register::kGeneralConfiguration:
      return state_.configuration;
    case Register::kGeneralInterruptStatus:
      return state_.interrupt_status;
    case Register::kMainCounter:
      return count();
    default:
      break;
  }
  if (offset < offset_of(Register::kTimerConfiguration) || offset >= kTimersEnd) return 0;
  const u32 index = static_cast<u32>((offset - 0x100) / kTimerStride);
  const HpetTimerState& timer = state_.timers[index];
  switch (static_cast<Register>(offset - index * kTimerStride)) {
    case Register::kTimerConfiguration:
      return (timer.configuration & ~kValueSet) | kSize64Capable | (index == 0 ? kPeriodicCapable : 0) |
             u64{wiring_.route_capability} << 32;
    case Register::kTimerComparator:
      return timer.comparator;
    default:
      return 0;  // no FSB route
  }
}

/// `mask` tells the bytes written; `value` has zeros elsewhere.
void Hpet::write_register(u64 offset, u64 mask, u64 value) {
  const auto merged = [&](u64 old) { return (old & ~mask) | value; };
  switch (static_cast<Register>(offset)) {
    case Register::kGeneralConfiguration:
      write_configuration(merged(state_.configuration));
      return;
    case Register::kGeneralInterruptStatus:
      state_.interrupt_status &= ~value;
      drive_lines();
      return;
    case Register::kMainCounter:  // writable while halted (2.3.7)
      if (!running()) state_.start_count = state_.synced_count = merged(state_.start_count);
      return;
    default:
      break;
  }
  if (offset < offset_of(Register::kTimerConfiguration) || offset >= kTimersEnd) return;
  const u32 index = static_cast<u32>((offset - 0x100) / kTimerStride);
  switch (static_cast<Register>(offset - index * kTimerStride)) {
    case Register::kTimerConfiguration:
      write_timer_configuration(index, merged(state_.timers[index].configuration));
      return;
    case Register::kTimerComparator:
      write_comparator(index, mask, value);
      return;
    default:
      return;
  }
}

void Hpet::write_configuration(u64 value) {
  const u64 changed = state_.configuration ^ value;
  if ((changed & kEnable) != 0) {  // otherwise the counter keeps its phase
    state_.start_count = count();
    state_.start_ns = events_.now_ns();
  }
  state_.configuration = value & (kEnable | kLegacyRoute);
  drive_lines();
}

void Hpet::write_timer_configuration(u32 index, u64 value) {
  HpetTimerState& timer = state_.timers[index];
  u64 writable = kLevelType | kInterruptEnable | k32BitMode;
  if (index == 0) writable |= kPeriodic | kValueSet;
  const u64 input = (value & kRouteMask) >> kRouteShift;
  if ((wiring_.route_capability >> input & 1) != 0) writable |= kRouteMask;  // 2.3.8: else the old route stays
  timer.configuration = (timer.configuration & ~writable) | (value & writable);
  timer.comparator &= width_mask(timer);
  timer.period &= width_mask(timer);
  drive_lines();
}

/// A periodic timer's comparator is written only after VAL_SET, which one write uses up; without, the write sets the
/// period alone (2.3.9.2.2).
void Hpet::write_comparator(u32 index, u64 mask, u64 value) {
  HpetTimerState& timer = state_.timers[index];
  const auto merged = [&](u64 old) { return ((old & ~mask) | value) & width_mask(timer); };
  timer.period = merged(timer.period);
  if (!has(timer, kPeriodic) || has(timer, kValueSet)) {
    timer.comparator = merged(timer.comparator);
    if (running() && timer.comparator == (state_.synced_count & width_mask(timer))) {
      if (has(timer, kPeriodic)) timer.comparator = (timer.comparator + timer.period) & width_mask(timer);
      match(index);
    }
  }
  timer.configuration &= ~kValueSet;
}

}  // namespace bhvm
