// The board's end of the network cable: frames out with the exact time, and frames that will come in, kept until
// theirs.
//
// Frames to come are plain data in the order of their times. They are no events of the event queue: whoever owns the
// other end schedules them whenever it likes before they are due, and that moment must leave no trace (an event takes a
// sequence number). A frame is due before the events of the same nanosecond.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "devices/virtio/frame_sink.h"
#include "scheduler/virtual_clock.h"

namespace bhvm {

struct ScheduledFrame {
  u64 time_ns = 0;
  std::vector<u8> bytes;
};

struct NetworkPortState {
  std::vector<ScheduledFrame> frames;  // ascending by time; of one time in the order they were scheduled
};

class NetworkPort final : public FrameSink {
 public:
  static constexpr u64 kNever = ~u64{0};
  using Output = std::function<void(u64 time_ns, std::span<const u8> frame)>;

  explicit NetworkPort(const VirtualClock& clock) : clock_(&clock) {}

  /// Who gets what the guest sends from now on; an empty function discards it. Not state.
  void set_output(Output output) { output_ = std::move(output); }
  void send_frame(std::span<const u8> frame) override;

  void schedule(u64 time_ns, std::vector<u8> bytes);
  u64 next_time_ns() const { return state_.frames.empty() ? kNever : state_.frames.front().time_ns; }
  /// Takes the first frame if it is due at `now_ns`.
  std::optional<ScheduledFrame> pop_due(u64 now_ns);

  const NetworkPortState& state() const { return state_; }
  /// Takes over a saved state, put in order if it is not.
  void set_state(const NetworkPortState& state);

 private:
  const VirtualClock* clock_;
  Output output_;
  NetworkPortState state_;
};

}  // namespace bhvm
