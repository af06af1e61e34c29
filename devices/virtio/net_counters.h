// What became of the frames at a network card, so that none goes without an account.
//
// Counters of the object that serves the card, for reports: no guest can see them, so they are no state. They are
// neither saved nor hashed, and a machine made of a snapshot counts from 0.
#pragma once

#include "base/types.h"

namespace bhvm {

/// Of the frames that came in: `delivered`, one of the losses below it, or still waiting in the card.
struct NetCounters {
  u64 delivered = 0;   // into buffers of the driver
  u64 queue_full = 0;  // the driver had given no buffer, and the card held as many as it can
  u64 not_ready = 0;   // no driver, or the cable was pulled
  u64 wrong_size = 0;  // shorter than a header, or longer than the MTU allows
  u64 no_room = 0;     // larger than the driver's next buffer, without VIRTIO_NET_F_MRG_RXBUF
  u64 reset = 0;       // waited in the card when the driver reset it
  // Of those that the driver gave to the card:
  u64 sent = 0;
  u64 send_refused = 0;  // the cable was pulled, a wrong size, or an offload that was never offered
  bool operator==(const NetCounters&) const = default;
  NetCounters& operator+=(const NetCounters& other);
};

}  // namespace bhvm
