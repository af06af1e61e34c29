// The virtual clock: time is counted, not measured.
//
//   now = base + instructions retired since the base x (numerator / denominator) + idle time skipped
//
// The base is power-on, or the last change of the rate. Everything that tells time in the machine (TSC, LAPIC timer,
// HPET, PM timer, RTC) reads this clock, through the oscillator. The product is taken in 128 bits, so the clock is
// exact over the life of any run. Time ends at 2^64-1 ns (584 years): the clock stands still there.
#pragma once

#include "base/types.h"

namespace bhvm {

struct VirtualClockState {
  u64 instructions = 0;       // retired since power-on
  u64 idle_ns = 0;            // skipped while the CPU was halted
  u64 rate_numerator = 1;     // nanoseconds ...
  u64 rate_denominator = 1;   // ... per this many instructions
  u64 base_instructions = 0;  // retired when the rate began to hold ...
  u64 base_ns = 0;            // ... and the time then, without the idle time
};

class VirtualClock {
 public:
  VirtualClock() = default;
  /// One instruction takes numerator/denominator nanoseconds; both are at least 1.
  VirtualClock(u64 numerator, u64 denominator, u64 power_on_ns = 0);

  u64 instructions() const { return state_.instructions; }
  u64 idle_ns() const { return state_.idle_ns; }
  u64 now_ns() const { return time_at(state_.instructions); }
  /// The time when `instructions` will have retired, if there is no more idling before. REQUIRES: not before the base.
  u64 time_at(u64 instructions) const;
  /// How many more instructions may retire before `time_ns` is reached: the smallest n with time_at(instructions + n)
  /// >= time_ns; 0 when that time is already there, 2^64-1 when it takes more than that.
  u64 instructions_until(u64 time_ns) const;

  void set_instructions(u64 instructions) { state_.instructions = instructions; }
  /// Skips idle time so that now_ns() >= time_ns; never goes back.
  void idle_until(u64 time_ns);
  /// One instruction takes numerator/denominator nanoseconds from now on; both are at least 1.
  void set_rate(u64 numerator, u64 denominator);

  /// As if power-on had been this much later.
  void postpone(u64 by_ns) { state_.base_ns += by_ns; }

  const VirtualClockState& state() const { return state_; }
  /// Takes over a saved state; a zero in the rate (never saved by a clock) counts as 1.
  void set_state(const VirtualClockState& state);

 private:
  VirtualClockState state_;
};

}  // namespace bhvm
