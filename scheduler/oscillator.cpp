#include "scheduler/oscillator.h"

#include <algorithm>

#include "base/check.h"

namespace bhvm {
namespace {

u64 saturate(u128 value) { return value > ~u64{0} ? ~u64{0} : static_cast<u64>(value); }

}  // namespace

u64 Oscillator::shown_at(u64 time_ns) const {
  const u64 elapsed_ns = time_ns - std::min(time_ns, state_.origin_ns);
  if (state_.rate_numerator == state_.rate_denominator) return saturate(u128{state_.base_ns} + elapsed_ns);
  return saturate(static_cast<u128>(elapsed_ns) * state_.rate_numerator / state_.rate_denominator + state_.base_ns);
}

u64 Oscillator::time_when(u64 shown_ns) const {
  if (shown_ns == kNever) return kNever;
  if (shown_ns <= state_.base_ns) return state_.origin_ns;
  // The smallest n with floor(n * numerator / denominator) >= d is ceil(d * denominator / numerator).
  const u128 product = static_cast<u128>(shown_ns - state_.base_ns) * state_.rate_denominator;
  const u128 elapsed_ns = (product + (state_.rate_numerator - 1)) / state_.rate_numerator;
  return saturate(elapsed_ns + state_.origin_ns);
}

void Oscillator::set_rate(u64 now_ns, u64 numerator, u64 denominator) {
  BHVM_CHECK(numerator != 0 && denominator != 0, "an oscillator's rate has a zero in it");
  state_ = {now_ns, shown_at(now_ns), numerator, denominator};
}

void Oscillator::step(u64 now_ns, i64 delta_ns) {
  const u64 shown_ns = shown_at(now_ns);
  const u64 distance_ns = delta_ns < 0 ? u64{0} - static_cast<u64>(delta_ns) : static_cast<u64>(delta_ns);
  state_.origin_ns = now_ns;
  state_.base_ns =
      delta_ns < 0 ? shown_ns - std::min(shown_ns, distance_ns) : saturate(static_cast<u128>(shown_ns) + distance_ns);
}

void Oscillator::set_state(const OscillatorState& state) {
  state_ = state;
  state_.rate_numerator = std::max<u64>(state.rate_numerator, 1);
  state_.rate_denominator = std::max<u64>(state.rate_denominator, 1);
}

}  // namespace bhvm
