// The oscillator: what the clock chips of a board count.
//
// A machine's time (scheduler/virtual_clock) is when things happen: instructions, disks, the network. Its oscillator is
// what its own clocks show of that: TSC, local APIC timer, HPET, PM timer and RTC all read it and nothing else. A
// healthy one shows exactly the time since power-on. A fault makes it run fast or slow, or jump, and every clock of the
// machine goes with it while the world around keeps its pace.
//
//   shown = base + (time - origin) x (numerator / denominator)
//
// The product is taken in 128 bits. A change begins at the nanosecond it is made at; what is shown never falls below 0.
#pragma once

#include "base/types.h"

namespace bhvm {

struct OscillatorState {
  u64 origin_ns = 0;         // machine time at which ...
  u64 base_ns = 0;           // ... this was shown; from there on
  u64 rate_numerator = 1;    // nanoseconds shown ...
  u64 rate_denominator = 1;  // ... per this many of machine time
};

class Oscillator {
 public:
  static constexpr u64 kNever = ~u64{0};

  Oscillator() = default;
  /// Shows 0 at machine time `power_on_ns`.
  explicit Oscillator(u64 power_on_ns) { state_.origin_ns = power_on_ns; }

  /// What is shown at a machine time not before the last change.
  u64 shown_at(u64 time_ns) const;
  /// The first machine time at which `shown_ns` or more is shown: at or after the last change; kNever when it exceeds
  /// 64 bits.
  u64 time_when(u64 shown_ns) const;

  /// From machine time `now_ns` on: numerator/denominator nanoseconds shown per nanosecond, without a jump. Both are at
  /// least 1.
  void set_rate(u64 now_ns, u64 numerator, u64 denominator);
  /// At machine time `now_ns` what is shown jumps by `delta_ns`.
  void step(u64 now_ns, i64 delta_ns);

  /// As if power-on had been this much later: shows the same when the machine's time is that much further.
  void postpone(u64 by_ns) { state_.origin_ns += by_ns; }

  const OscillatorState& state() const { return state_; }
  /// Takes over a saved state; a zero in the rate counts as 1.
  void set_state(const OscillatorState& state);

 private:
  OscillatorState state_;
};

}  // namespace bhvm
