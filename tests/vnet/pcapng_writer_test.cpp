#include "vnet/pcapng_writer.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/vnet/pcapng_reader.h"

namespace bhvm {
namespace {

using test::PcapngFile;
using test::read_pcapng;

TEST(PcapngWriter, WritesTheBytesOfTheDraft) {
  PcapngWriter writer("x", {"ab"});
  const std::vector<u8> expected = {
      0x0A, 0x0D, 0x0D, 0x0A, 0x28, 0, 0, 0, 0x4D, 0x3C, 0x2B, 0x1A, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF,
      0xFF, 0xFF, 0xFF, 0xFF, 4,    0, 1, 0, 'x',  0,    0,    0,    0, 0, 0, 0, 0x28, 0,    0,    0,  //
      1,    0,    0,    0,    0x28, 0, 0, 0, 1,    0,    0,    0,    0, 0, 0, 0, 2,    0,    2,    0,
      'a',  'b',  0,    0,    9,    0, 1, 0, 9,    0,    0,    0,    0, 0, 0, 0, 0x28, 0,    0,    0};
  EXPECT_EQ(writer.take(), expected);
  const std::vector<u8> frame = {0xAA, 0xBB, 0xCC};
  writer.write({0, 0x0000000112345678, PacketDirection::kInbound, 7, "hey", frame});
  const std::vector<u8> packet = {6,    0,    0,    0, 0x44, 0,   0,   0,   0, 0, 0, 0,    1,    0,    0, 0, 0x78,
                                  0x56, 0x34, 0x12, 3, 0,    0,   0,   3,   0, 0, 0, 0xAA, 0xBB, 0xCC, 0, 2, 0,
                                  4,    0,    1,    0, 0,    0,   5,   0,   8, 0, 7, 0,    0,    0,    0, 0, 0,
                                  0,    1,    0,    3, 0,    'h', 'e', 'y', 0, 0, 0, 0,    0,    0x44, 0, 0, 0};
  EXPECT_EQ(writer.take(), packet);
  EXPECT_TRUE(writer.take().empty());
}

TEST(PcapngWriter, AnythingCanBeReadBack) {
  PcapngWriter writer("bhvm", {"one", "", std::string(100, 'n')});
  for (u32 size = 0; size < 70; ++size) {
    const std::vector<u8> frame(size, static_cast<u8>(size));
    const std::string comment(size % 7, 'c');
    writer.write({size % 3, u64{size} << 33, PacketDirection::kOutbound, ~u64{0} - size, comment, frame});
  }
  const std::string endless(100'000, 'c');
  writer.write({0, 0, PacketDirection::kInbound, 0, endless, {}});
  const PcapngFile file = read_pcapng(writer.take());
  EXPECT_EQ(file.interfaces, (std::vector<std::string>{"one", "", std::string(100, 'n')}));
  ASSERT_EQ(file.packets.size(), 71u);
  for (u32 size = 0; size < 70; ++size) {
    const test::PcapngPacket& packet = file.packets[size];
    EXPECT_EQ(packet.interface, size % 3);
    EXPECT_EQ(packet.time_ns, u64{size} << 33);
    EXPECT_FALSE(packet.inbound);
    EXPECT_EQ(packet.packet_id, ~u64{0} - size);
    EXPECT_EQ(packet.comment, std::string(size % 7, 'c'));
    EXPECT_EQ(packet.frame, std::vector<u8>(size, static_cast<u8>(size)));
  }
  EXPECT_EQ(file.packets[70].comment.size(), 65535u) << "an option holds no more";
}

}  // namespace
}  // namespace bhvm
