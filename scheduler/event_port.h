// EventPort: all that a chip sees of time. It can read the clock and arm its own events; it knows nobody else.
#pragma once

#include "scheduler/event_queue.h"
#include "scheduler/virtual_clock.h"

namespace bhvm {

class EventPort {
 public:
  EventPort(EventQueue& queue, const VirtualClock& clock, u32 target)
      : queue_(&queue), clock_(&clock), target_(target) {}

  u64 now_ns() const { return clock_->now_ns(); }
  void arm(u32 kind, u64 time_ns, u64 argument = 0) { queue_->schedule(time_ns, target_, kind, argument); }
  void disarm(u32 kind) { queue_->cancel(target_, kind); }
  bool armed(u32 kind) const { return queue_->pending(target_, kind); }

 private:
  EventQueue* queue_;
  const VirtualClock* clock_;
  u32 target_;
};

}  // namespace bhvm
