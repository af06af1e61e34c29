// A capture file in memory: pcapng (draft-ietf-opsawg-pcapng), one section, Ethernet interfaces, time in nanoseconds.
//
// It writes bytes for somebody else to store: take() what has come together, as often as one likes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace bhvm {

enum class PacketDirection : u8 { kInbound = 1, kOutbound = 2 };  // epb_flags, bits 0 and 1

struct CapturedPacket {
  u32 interface = 0;
  u64 time_ns = 0;
  PacketDirection direction = PacketDirection::kOutbound;
  u64 packet_id = 0;         // the same packet seen at two interfaces has the same
  std::string_view comment;  // empty: none
  std::span<const u8> frame;
};

class PcapngWriter {
 public:
  /// `interfaces` are names; a packet's interface is an index into them.
  PcapngWriter(std::string_view application, const std::vector<std::string>& interfaces);

  void write(const CapturedPacket& packet);
  /// All bytes since the last call.
  std::vector<u8> take();

 private:
  std::vector<u8> bytes_;
};

}  // namespace bhvm
