// The event queue: what will happen, when, to whom. Plain data in a total order.
//
// Events are ordered by (time, sequence). The sequence number is handed out when an event is scheduled, so two events
// of the same nanosecond fire in the order they were scheduled, on every host. An event is never a closure: the queue
// is state like any other and is saved, loaded and hashed with the machine.
//
// A target (a chip, a port) has at most one pending event of each kind; scheduling it again moves it.
#pragma once

#include <optional>
#include <vector>

#include "base/types.h"

namespace bhvm {

struct Event {
  u64 time_ns = 0;   // virtual time
  u64 sequence = 0;  // breaks ties
  u32 target = 0;    // who: given out by the board
  u32 kind = 0;      // what: private to the target
  u64 argument = 0;  // private to the target
};

struct EventQueueState {
  u64 next_sequence = 0;
  std::vector<Event> events;  // ascending by (time_ns, sequence)
};

class EventQueue {
 public:
  static constexpr u64 kNever = ~u64{0};

  /// Schedules the event (target, kind) at `time_ns`, replacing a pending one of the same target and kind.
  void schedule(u64 time_ns, u32 target, u32 kind, u64 argument = 0);
  /// Removes the pending event (target, kind), if there is one.
  void cancel(u32 target, u32 kind);
  /// Removes all pending events of a target.
  void cancel_all(u32 target);
  bool pending(u32 target, u32 kind) const;
  /// Virtual time of the first event; kNever when the queue is empty.
  u64 next_time_ns() const { return state_.events.empty() ? kNever : state_.events.front().time_ns; }
  /// Takes the first event if it is due at `now_ns`.
  std::optional<Event> pop_due(u64 now_ns);

  /// Moves all pending events into the future.
  void postpone(u64 by_ns);

  const EventQueueState& state() const { return state_; }
  /// Takes over a saved state. A state that did not come from state() is put in order: sorted, the first event of each
  /// (target, kind) kept, the sequence counter raised above all events.
  void set_state(EventQueueState state);

 private:
  EventQueueState state_;
};

}  // namespace bhvm
