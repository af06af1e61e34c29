#include "scheduler/virtual_clock.h"

#include <algorithm>

#include "base/check.h"

namespace bhvm {
namespace {

constexpr u64 kMax = ~u64{0};

u64 saturate(u128 value) { return value > kMax ? kMax : static_cast<u64>(value); }

}  // namespace

VirtualClock::VirtualClock(u64 numerator, u64 denominator, u64 power_on_ns) {
  state_.base_ns = power_on_ns;
  set_rate(numerator, denominator);
}

u64 VirtualClock::time_at(u64 instructions) const {
  if (state_.rate_numerator == 1 && state_.rate_denominator == 1) {  // spares the division
    return saturate(u128{instructions - state_.base_instructions} + state_.base_ns + state_.idle_ns);
  }
  const u128 product = static_cast<u128>(instructions - state_.base_instructions) * state_.rate_numerator;
  return saturate(product / state_.rate_denominator + state_.base_ns + state_.idle_ns);
}

u64 VirtualClock::instructions_until(u64 time_ns) const {
  if (now_ns() >= time_ns) return 0;
  // The smallest N with floor(N * numerator / denominator) >= d is ceil(d * denominator / numerator). Neither the
  // product nor the rounding term overflows: (2^64-1)^2 + 2^64-2 < 2^128.
  const u64 running_ns = time_ns - state_.idle_ns - state_.base_ns;
  const u128 product = static_cast<u128>(running_ns) * state_.rate_denominator;
  const u128 total = (product + (state_.rate_numerator - 1)) / state_.rate_numerator;
  return saturate(total - (state_.instructions - state_.base_instructions));
}

void VirtualClock::idle_until(u64 time_ns) {
  if (const u64 now = now_ns(); now < time_ns) state_.idle_ns += time_ns - now;
}

void VirtualClock::set_rate(u64 numerator, u64 denominator) {
  BHVM_CHECK(numerator != 0 && denominator != 0, "the virtual clock's rate has a zero in it");
  state_.base_ns = now_ns() - state_.idle_ns;
  state_.base_instructions = state_.instructions;
  state_.rate_numerator = numerator;
  state_.rate_denominator = denominator;
}

void VirtualClock::set_state(const VirtualClockState& state) {
  state_ = state;
  state_.rate_numerator = std::max<u64>(state.rate_numerator, 1);
  state_.rate_denominator = std::max<u64>(state.rate_denominator, 1);
  state_.base_instructions = std::min(state.base_instructions, state.instructions);
}

}  // namespace bhvm
