// The local APIC's timer (SDM volume 3, 11.5.4): one-shot, periodic and TSC-deadline, exact to the nanosecond.
//
// Nothing is counted: the current count is computed from the virtual time since the count began, and the n-th expiry
// of a periodic timer from that same beginning, so it does not drift however the period divides into nanoseconds.
// While the timer runs, exactly one event of kind `kExpiry` is armed.
//
// A board may give it jitter: an expiry then comes that much late, and the one after it is as if it had come in time.
//
// The timer works on a state that its local APIC owns; whether an expiry is masked is the local APIC's business.
#pragma once

#include "base/types.h"
#include "devices/clock_rate.h"
#include "devices/timer_jitter.h"
#include "scheduler/event_port.h"

namespace bhvm {

/// LVT timer register, bits 18:17.
enum class ApicTimerMode : u8 { kOneShot = 0, kPeriodic = 1, kTscDeadline = 2, kReserved = 3 };

struct ApicTimerState {
  ApicTimerMode mode = ApicTimerMode::kOneShot;
  u32 initial_count = 0;
  u32 divide_configuration = 0;
  u32 start_count = 0;  // the current count at start_ns; 0: the timer stands
  u64 start_ns = 0;
  u64 tsc_deadline = 0;  // IA32_TSC_DEADLINE; 0: disarmed
  u64 tsc_adjust = 0;    // IA32_TSC_ADJUST, as last told
};

class ApicTimer {
 public:
  static constexpr u32 kExpiry = 0;  // event kind

  /// `jitter` may be null.
  ApicTimer(EventPort events, ClockRate count_rate, ClockRate tsc_rate, ApicTimerState& state, TimerJitter* jitter)
      : events_(events), count_rate_(count_rate), tsc_rate_(tsc_rate), state_(&state), jitter_(jitter) {}

  /// Between one-shot and periodic the count runs on; to and from TSC-deadline the timer is disarmed.
  void set_mode(ApicTimerMode mode);
  /// Starts the count; 0 stops it. Ignored in TSC-deadline mode.
  void set_initial_count(u32 count);
  /// Takes effect at once: the current count stays, the ticks that follow have the new length.
  void set_divide_configuration(u32 value);
  u32 current_count() const;
  /// Initial count as read back: 0 in TSC-deadline mode.
  u32 initial_count() const;

  /// IA32_TSC_DEADLINE: reads 0 and ignores writes outside TSC-deadline mode. True when the deadline has passed
  /// already: the timer expires now.
  bool set_tsc_deadline(u64 deadline);
  u64 tsc_deadline() const;
  /// IA32_TSC_ADJUST is `adjust` from now on. True when the deadline is passed by it.
  bool set_tsc_adjust(u64 adjust);
  /// The TSC with its adjustment, now.
  u64 tsc() const;

  /// What the oscillator shows has jumped or goes at another rate. True when the deadline is passed by it.
  bool clock_changed();
  /// The armed event came: stops or arms the next. False when there was nothing to expire.
  bool on_expiry();
  /// Stops the timer and forgets everything but IA32_TSC_ADJUST, which is the processor's.
  void reset();

 private:
  u64 divisor() const;
  u128 elapsed_ticks() const;
  void hold_count();
  void arm_count();
  bool arm_deadline();
  void arm_expiry(u64 time_ns);

  EventPort events_;
  ClockRate count_rate_;
  ClockRate tsc_rate_;
  ApicTimerState* state_;
  TimerJitter* jitter_;
};

}  // namespace bhvm
