// NetworkObserver: who watches every frame of a network, for a capture or a statistic. Watching changes nothing.
#pragma once

#include <span>

#include "base/types.h"
#include "vnet/link.h"

namespace bhvm {

class NetworkObserver {
 public:
  /// A frame enters the network at a port. The packet's number is its own, and the same at all ports.
  virtual void frame_sent(u64 time_ns, u32 port, u64 packet_id, std::span<const u8> frame) = 0;
  /// The link from `from` to `to` does not deliver the frame, or not yet (FrameLoss::kHeld). Of the frame last sent, or
  /// of one that was held.
  virtual void frame_dropped(u64 time_ns, u32 from, u32 to, u64 packet_id, FrameLoss reason) = 0;
  /// The frame will come out of the port `to` at arrival.time_ns, which may lie ahead of what is sent next.
  virtual void frame_arrives(u32 from, u32 to, u64 packet_id, const Arrival& arrival) = 0;

 protected:
  ~NetworkObserver() = default;
};

}  // namespace bhvm
