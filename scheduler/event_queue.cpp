#include "scheduler/event_queue.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace bhvm {
namespace {

bool fires_before(const Event& a, const Event& b) {
  return std::tie(a.time_ns, a.sequence, a.target, a.kind) < std::tie(b.time_ns, b.sequence, b.target, b.kind);
}

}  // namespace

void EventQueue::schedule(u64 time_ns, u32 target, u32 kind, u64 argument) {
  cancel(target, kind);
  const Event event{time_ns, state_.next_sequence++, target, kind, argument};
  state_.events.insert(std::upper_bound(state_.events.begin(), state_.events.end(), event, fires_before), event);
}

void EventQueue::cancel(u32 target, u32 kind) {
  std::erase_if(state_.events, [&](const Event& event) { return event.target == target && event.kind == kind; });
}

void EventQueue::cancel_all(u32 target) {
  std::erase_if(state_.events, [&](const Event& event) { return event.target == target; });
}

bool EventQueue::pending(u32 target, u32 kind) const {
  return std::any_of(state_.events.begin(), state_.events.end(),
                     [&](const Event& event) { return event.target == target && event.kind == kind; });
}

std::optional<Event> EventQueue::pop_due(u64 now_ns) {
  if (state_.events.empty() || state_.events.front().time_ns > now_ns) return std::nullopt;
  const Event event = state_.events.front();
  state_.events.erase(state_.events.begin());
  return event;
}

void EventQueue::postpone(u64 by_ns) {
  for (Event& event : state_.events) event.time_ns += std::min(by_ns, kNever - event.time_ns);
}

void EventQueue::set_state(EventQueueState state) {
  std::sort(state.events.begin(), state.events.end(), fires_before);
  state_.next_sequence = state.next_sequence;
  state_.events.clear();
  for (const Event& event : state.events) {
    if (pending(event.target, event.kind)) continue;
    state_.events.push_back(event);
    state_.next_sequence = std::max(state_.next_sequence, event.sequence + 1);
  }
}

}  // namespace bhvm
