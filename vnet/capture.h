// A capture of everything on a network, as a pcapng file: one interface for each port, named after it.
//
// A frame is seen where it enters (outbound, as the node sees it) and where it comes out (inbound), both with the same
// packet number (epb_packetid). Comments tell what the links did, in the words of LinkCounters: "lost to b" at the
// sender; "corrupted", "duplicate", "reordered" at the receiver. Packets stand in the order of their times.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "vnet/network_observer.h"
#include "vnet/pcapng_writer.h"

namespace bhvm {

class Capture final : public NetworkObserver {
 public:
  /// `ports` are the network's, by name.
  explicit Capture(std::vector<std::string> ports);

  /// The bytes that have come together since the last call: append them to the file.
  std::vector<u8> take() { return writer_.take(); }
  /// Writes what is still on its way; the end of the capture.
  void finish();

  void frame_sent(u64 time_ns, u32 port, u64 packet_id, std::span<const u8> frame) override;
  void frame_dropped(u64 time_ns, u32 from, u32 to, u64 packet_id, FrameLoss reason) override;
  void frame_arrives(u32 from, u32 to, u64 packet_id, const Arrival& arrival) override;

 private:
  struct Packet {
    u32 port = 0;
    PacketDirection direction = PacketDirection::kOutbound;
    u64 packet_id = 0;
    std::string comment;
    std::vector<u8> frame;
  };
  using Order = std::pair<u64, u64>;  // time and sequence

  Packet& add(u64 time_ns, u32 port, PacketDirection direction, u64 packet_id, std::span<const u8> frame);
  void write_before(u64 time_ns);

  std::vector<std::string> ports_;
  PcapngWriter writer_;
  std::map<Order, Packet> waiting_;  // until nothing earlier can come any more
  Packet* last_sent_ = nullptr;      // in waiting_; comments are added to it
  u64 sequence_ = 0;
};

}  // namespace bhvm
