// The learning switch (IEEE 802.1D, 7.8): which ports a frame goes to.
//
// The source address of a frame tells at which port a station is; a station that moves is found at its new port by its
// next frame. Entries do not age. A port is believed at most kAddressesMax addresses, so that a guest that makes them
// up keeps nobody else from being learned.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "base/types.h"

namespace bhvm {

struct LearnedAddress {
  std::array<u8, 6> mac{};
  u32 port = 0;
};

struct LearningSwitchCounters {
  u64 unicast = 0;   // frames to a learned address
  u64 flooded = 0;   // frames to all ports: group addresses, and addresses not learned
  u64 filtered = 0;  // frames to the port they came from, and frames without a header
  bool operator==(const LearningSwitchCounters&) const = default;
};

struct LearningSwitchState {
  std::vector<LearnedAddress> addresses;  // ascending by mac
  LearningSwitchCounters counters;
};

class LearningSwitch {
 public:
  static constexpr u64 kHeaderSize = 14;
  static constexpr u64 kAddressesMax = 64;  // learned at one port

  explicit LearningSwitch(u32 ports) : ports_(ports) {}

  /// Learns from a frame that came in at `port`, and yields the ports it goes to, ascending. The span is good until the
  /// next call.
  std::span<const u32> forward(u32 port, std::span<const u8> frame);

  const LearningSwitchCounters& counters() const { return state_.counters; }
  const LearningSwitchState& state() const { return state_; }
  void set_state(const LearningSwitchState& state) { state_ = state; }

 private:
  void learn(const std::array<u8, 6>& mac, u32 port);
  const LearnedAddress* find(const std::array<u8, 6>& mac) const;

  u32 ports_;
  LearningSwitchState state_;
  std::vector<u32> destinations_;
};

}  // namespace bhvm
