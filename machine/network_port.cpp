#include "machine/network_port.h"

#include <algorithm>

namespace bhvm {

void NetworkPort::send_frame(std::span<const u8> frame) {
  if (output_) output_(clock_->now_ns(), frame);
}

void NetworkPort::schedule(u64 time_ns, std::vector<u8> bytes) {
  const auto at = std::ranges::upper_bound(state_.frames, time_ns, {}, &ScheduledFrame::time_ns);
  state_.frames.insert(at, {time_ns, std::move(bytes)});
}

std::optional<ScheduledFrame> NetworkPort::pop_due(u64 now_ns) {
  if (next_time_ns() > now_ns || state_.frames.empty()) return std::nullopt;
  ScheduledFrame frame = std::move(state_.frames.front());
  state_.frames.erase(state_.frames.begin());
  return frame;
}

void NetworkPort::set_state(const NetworkPortState& state) {
  state_.frames.clear();
  for (const ScheduledFrame& frame : state.frames) schedule(frame.time_ns, frame.bytes);
}

}  // namespace bhvm
