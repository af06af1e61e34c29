// FrameSink: where a network device's Ethernet frames go (a port of a link, a capture).
#pragma once

#include <span>

#include "base/types.h"

namespace bhvm {

class FrameSink {
 public:
  /// One Ethernet frame, from the destination address on, without the frame check sequence.
  virtual void send_frame(std::span<const u8> frame) = 0;

 protected:
  ~FrameSink() = default;
};

}  // namespace bhvm
