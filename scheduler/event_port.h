// EventPort: all that a chip sees of time. It can read the clock and arm its own events; it knows nobody else.
//
// A clock chip is given the board's oscillator: its "now" and the times it arms are what the oscillator shows. All
// other chips live in machine time.
#pragma once

#include "scheduler/event_queue.h"
#include "scheduler/oscillator.h"
#include "scheduler/virtual_clock.h"

namespace bhvm {

class EventPort {
 public:
  EventPort(EventQueue& queue, const VirtualClock& clock, u32 target)
      : queue_(&queue), clock_(&clock), target_(target) {}
  EventPort(EventQueue& queue, const VirtualClock& clock, const Oscillator& oscillator, u32 target)
      : queue_(&queue), clock_(&clock), oscillator_(&oscillator), target_(target) {}

  u64 now_ns() const {
    const u64 now_ns = clock_->now_ns();
    return oscillator_ != nullptr ? oscillator_->shown_at(now_ns) : now_ns;
  }
  void arm(u32 kind, u64 time_ns, u64 argument = 0) {
    queue_->schedule(oscillator_ != nullptr ? oscillator_->time_when(time_ns) : time_ns, target_, kind, argument);
  }
  void disarm(u32 kind) { queue_->cancel(target_, kind); }
  bool armed(u32 kind) const { return queue_->pending(target_, kind); }

 private:
  EventQueue* queue_;
  const VirtualClock* clock_;
  const Oscillator* oscillator_ = nullptr;  // none: machine time
  u32 target_;
};

}  // namespace bhvm
