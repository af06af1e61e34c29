// Frames for the tests of the network.
#pragma once

#include <span>
#include <vector>

#include "base/types.h"

namespace bhvm::test {

/// An Ethernet frame from station `from` to station `to` (kAll: broadcast), with a payload of `size` bytes that holds
/// `tag` in its first four.
inline constexpr u8 kAll = 0xFF;

inline std::vector<u8> frame_of(u8 to, u8 from, u32 tag, std::size_t size = 46) {
  std::vector<u8> frame(14 + size, 0);
  for (std::size_t i = 0; i < 6; ++i) frame[i] = to == kAll ? 0xFF : u8{0};
  if (to != kAll) frame[0] = 2, frame[5] = to;
  frame[6] = 2, frame[11] = from;
  frame[12] = 0x88, frame[13] = 0xB5;  // local experimental EtherType 1
  for (std::size_t i = 0; i < 4; ++i) frame[14 + i] = static_cast<u8>(tag >> (8 * i));
  return frame;
}

inline u32 tag_of(std::span<const u8> frame) {
  u32 tag = 0;
  for (std::size_t i = 0; i < 4; ++i) tag |= u32{frame[14 + i]} << (8 * i);
  return tag;
}

}  // namespace bhvm::test
