// A reader of pcapng, for tests: written from the draft, not from the writer.
#pragma once

#include <gtest/gtest.h>

#include <span>
#include <string>
#include <vector>

#include "base/types.h"

namespace bhvm::test {

struct PcapngPacket {
  u32 interface = 0;
  u64 time_ns = 0;
  bool inbound = false;
  u64 packet_id = 0;
  std::string comment;
  std::vector<u8> frame;
};

struct PcapngFile {
  std::vector<std::string> interfaces;
  std::vector<PcapngPacket> packets;
};

inline u64 little_endian(std::span<const u8> bytes, std::size_t at, std::size_t size) {
  u64 value = 0;
  for (std::size_t i = size; i-- > 0;) value = value << 8 | bytes[at + i];
  return value;
}

/// Calls `visit(code, value)` for each option from `at` on.
template <class Visit>
void visit_options(std::span<const u8> block, std::size_t at, Visit visit) {
  while (at + 4 <= block.size()) {
    const u64 code = little_endian(block, at, 2);
    const u64 size = little_endian(block, at + 2, 2);
    if (code == 0) return;
    ASSERT_LE(at + 4 + size, block.size());
    visit(code, block.subspan(at + 4, size));
    at += 4 + (size + 3) / 4 * 4;
  }
}

inline std::string text_of(std::span<const u8> bytes) { return {bytes.begin(), bytes.end()}; }

inline PcapngFile read_pcapng(std::span<const u8> bytes) {
  PcapngFile file;
  std::size_t at = 0;
  while (at + 12 <= bytes.size()) {
    const u64 type = little_endian(bytes, at, 4);
    const u64 length = little_endian(bytes, at + 4, 4);
    EXPECT_EQ(length % 4, 0u);
    if (length < 12 || length > bytes.size() - at) break;
    EXPECT_EQ(little_endian(bytes, at + length - 4, 4), length) << "the length stands at both ends";
    const std::span<const u8> body = bytes.subspan(at + 8, length - 12);
    if (type == 1) {
      std::string name;
      visit_options(body, 8, [&](u64 code, std::span<const u8> value) {
        if (code == 2) name = text_of(value);
        if (code == 9) {
          EXPECT_EQ(value[0], 9);
        }
      });
      file.interfaces.push_back(name);
    } else if (type == 6) {
      PcapngPacket packet;
      packet.interface = static_cast<u32>(little_endian(body, 0, 4));
      packet.time_ns = little_endian(body, 4, 4) << 32 | little_endian(body, 8, 4);
      const u64 size = little_endian(body, 12, 4);
      const std::span<const u8> frame = body.subspan(20, size);
      packet.frame.assign(frame.begin(), frame.end());
      visit_options(body, 20 + (size + 3) / 4 * 4, [&](u64 code, std::span<const u8> value) {
        if (code == 1) packet.comment = text_of(value);
        if (code == 2) packet.inbound = (value[0] & 3) == 1;
        if (code == 5) packet.packet_id = little_endian(value, 0, 8);
      });
      file.packets.push_back(std::move(packet));
    } else {
      EXPECT_EQ(type, 0x0A0D0D0Au);
      EXPECT_EQ(at, 0u) << "one section";
    }
    at += length;
  }
  EXPECT_EQ(at, bytes.size());
  return file;
}

}  // namespace bhvm::test
