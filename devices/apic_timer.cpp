#include "devices/apic_timer.h"

namespace bhvm {

// Divide configuration register, bits 3, 1 and 0: 2, 4, 8, ... 128, and 1 last (SDM volume 3, figure 11-10).
u64 ApicTimer::divisor() const {
  const u32 value = state_->divide_configuration;
  const u32 index = (value & 3) | ((value >> 1) & 4);
  return index == 7 ? 1 : u64{2} << index;
}

u128 ApicTimer::elapsed_ticks() const {
  const u64 now = events_.now_ns();
  const u64 elapsed_ns = now < state_->start_ns ? 0 : now - state_->start_ns;
  return count_rate_.ticks_in(elapsed_ns) / divisor();
}

u32 ApicTimer::current_count() const {
  const ApicTimerState& s = *state_;
  if (s.mode == ApicTimerMode::kTscDeadline || s.start_count == 0) return 0;
  const u128 elapsed = elapsed_ticks();
  if (elapsed < s.start_count) return s.start_count - static_cast<u32>(elapsed);
  if (s.mode != ApicTimerMode::kPeriodic || s.initial_count == 0) return 0;
  return s.initial_count - static_cast<u32>((elapsed - s.start_count) % s.initial_count);
}

u32 ApicTimer::initial_count() const { return state_->mode == ApicTimerMode::kTscDeadline ? 0 : state_->initial_count; }

/// Makes the current count the beginning of what follows.
void ApicTimer::hold_count() {
  state_->start_count = current_count();
  state_->start_ns = events_.now_ns();
}

/// Arms the next expiry of the count, if it runs.
void ApicTimer::arm_count() {
  const ApicTimerState& s = *state_;
  events_.disarm(kExpiry);
  if (s.start_count == 0) return;
  u128 ticks = s.start_count;
  const u128 elapsed = elapsed_ticks();
  if (elapsed >= ticks && s.mode == ApicTimerMode::kPeriodic && s.initial_count != 0) {
    ticks += ((elapsed - ticks) / s.initial_count + 1) * s.initial_count;
  }
  const u64 time_ns = add_ns(s.start_ns, count_rate_.ns_until(ticks * divisor()));
  arm_expiry(time_ns);
}

void ApicTimer::arm_expiry(u64 time_ns) {
  if (time_ns == ClockRate::kNever) return;
  events_.arm(kExpiry, jitter_ != nullptr ? add_ns(time_ns, jitter_->draw()) : time_ns);
}

void ApicTimer::set_mode(ApicTimerMode mode) {
  ApicTimerState& s = *state_;
  if (mode == s.mode) return;
  if (mode == ApicTimerMode::kTscDeadline || s.mode == ApicTimerMode::kTscDeadline) {
    s.start_count = 0;
    s.tsc_deadline = 0;
    s.mode = mode;
    events_.disarm(kExpiry);
    return;
  }
  hold_count();
  s.mode = mode;
  arm_count();
}

void ApicTimer::set_initial_count(u32 count) {
  ApicTimerState& s = *state_;
  if (s.mode == ApicTimerMode::kTscDeadline) return;
  s.initial_count = count;
  s.start_count = count;
  s.start_ns = events_.now_ns();
  arm_count();
}

void ApicTimer::set_divide_configuration(u32 value) {
  if (state_->mode == ApicTimerMode::kTscDeadline) {
    state_->divide_configuration = value;
    return;
  }
  hold_count();
  state_->divide_configuration = value;
  arm_count();
}

u64 ApicTimer::tsc() const { return static_cast<u64>(tsc_rate_.ticks_in(events_.now_ns())) + state_->tsc_adjust; }

u64 ApicTimer::tsc_deadline() const { return state_->mode == ApicTimerMode::kTscDeadline ? state_->tsc_deadline : 0; }

/// Arms the smallest time at which the TSC is at or past the deadline. True when it is so now: the timer is disarmed.
bool ApicTimer::arm_deadline() {
  ApicTimerState& s = *state_;
  events_.disarm(kExpiry);
  if (s.tsc_deadline == 0) return false;
  const u64 now_tsc = tsc();
  if (now_tsc >= s.tsc_deadline) {
    s.tsc_deadline = 0;
    return true;
  }
  const u128 target = tsc_rate_.ticks_in(events_.now_ns()) + (s.tsc_deadline - now_tsc);
  const u64 time_ns = tsc_rate_.ns_until(target);
  arm_expiry(time_ns);
  return false;
}

bool ApicTimer::set_tsc_deadline(u64 deadline) {
  if (state_->mode != ApicTimerMode::kTscDeadline) return false;
  state_->tsc_deadline = deadline;
  return arm_deadline();
}

bool ApicTimer::set_tsc_adjust(u64 adjust) {
  state_->tsc_adjust = adjust;
  return state_->mode == ApicTimerMode::kTscDeadline && arm_deadline();
}

bool ApicTimer::clock_changed() {
  if (state_->mode == ApicTimerMode::kTscDeadline) return arm_deadline();
  arm_count();
  return false;
}

bool ApicTimer::on_expiry() {
  ApicTimerState& s = *state_;
  if (s.mode == ApicTimerMode::kTscDeadline) return arm_deadline();
  if (s.start_count == 0) return false;
  if (s.mode != ApicTimerMode::kPeriodic) {
    s.start_count = 0;
    return true;
  }
  arm_count();
  return true;
}

void ApicTimer::reset() {
  const u64 adjust = state_->tsc_adjust;
  *state_ = {};
  state_->tsc_adjust = adjust;
  events_.disarm(kExpiry);
}

}  // namespace bhvm
