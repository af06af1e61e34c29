// ClockRate: exact conversion between virtual nanoseconds and the ticks of a clock of so many hertz.
//
// Tick n comes at the smallest whole nanosecond t with ticks_in(t) >= n, so an event armed for ns_until(n) sees the
// counter at n or beyond, and never a nanosecond earlier than it could. All products are taken in 128 bits.
#pragma once

#include "base/check.h"
#include "base/types.h"

namespace bhvm {

inline constexpr u64 kNanosecondsPerSecond = 1'000'000'000;

class ClockRate {
 public:
  static constexpr u64 kNever = ~u64{0};

  explicit ClockRate(u64 hz) : hz_(hz) { BHVM_CHECK(hz != 0, "a clock needs a frequency above zero"); }

  u64 hz() const { return hz_; }
  /// Whole ticks in `ns` nanoseconds: floor(ns * hz / 10^9).
  u128 ticks_in(u64 ns) const { return static_cast<u128>(ns) * hz_ / kNanosecondsPerSecond; }
  /// The fewest nanoseconds that hold `ticks` ticks: ceil(ticks * 10^9 / hz); kNever when that exceeds 64 bits.
  u64 ns_until(u128 ticks) const {
    if (ticks > ticks_in(kNever)) return kNever;  // the product below then stays under 2^64 * hz, rounded up
    return static_cast<u64>((ticks * kNanosecondsPerSecond + (hz_ - 1)) / hz_);
  }

 private:
  u64 hz_;
};

/// a + b, or ClockRate::kNever when that exceeds 64 bits.
constexpr u64 add_ns(u64 a, u64 b) { return a + b < a ? ClockRate::kNever : a + b; }

}  // namespace bhvm
