#include "vnet/capture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/random_stream.h"
#include "tests/vnet/frames.h"
#include "tests/vnet/pcapng_reader.h"
#include "vnet/network.h"

namespace bhvm {
namespace {

using test::frame_of;
using test::kAll;
using test::PcapngFile;
using test::PcapngPacket;

const std::vector<std::string> kPorts = {"alpha", "beta", "gamma"};

NetworkConfig config_of(const LinkConfig& link) { return {kPorts, link}; }

std::vector<std::string> comments(const PcapngFile& file) {
  std::vector<std::string> out;
  for (const PcapngPacket& packet : file.packets) out.push_back(packet.comment);
  return out;
}

TEST(Capture, ShowsAFrameWhereItEntersAndWhereItComesOut) {
  Network network(config_of({}), 0);
  Capture capture(kPorts);
  network.set_observer(&capture);
  std::vector<Delivery> out;
  network.transmit(1'000, 0, frame_of(kAll, 1, 5), out);
  capture.finish();
  const PcapngFile file = test::read_pcapng(capture.take());
  EXPECT_EQ(file.interfaces, kPorts);
  ASSERT_EQ(file.packets.size(), 3u);
  EXPECT_EQ(file.packets[0].interface, 0u);
  EXPECT_FALSE(file.packets[0].inbound);
  EXPECT_EQ(file.packets[0].time_ns, 1'000u);
  for (const u32 port : {1U, 2U}) {
    const PcapngPacket& packet = file.packets[port];
    EXPECT_EQ(packet.interface, port);
    EXPECT_TRUE(packet.inbound);
    EXPECT_EQ(packet.time_ns, out[port - 1].time_ns);
    EXPECT_EQ(packet.frame, file.packets[0].frame);
    EXPECT_EQ(packet.packet_id, file.packets[0].packet_id);
  }
}

TEST(Capture, SaysWhatTheLinksDid) {
  LinkConfig every;
  every.corrupt_ppb = every.duplicate_ppb = every.reorder_ppb = LinkConfig::kCertain;
  Network network(config_of(every), 0);
  LinkConfig loses;
  loses.loss_ppb = LinkConfig::kCertain;
  network.set_link(1, 0, loses);
  network.set_blocked(1, 2, true);
  Capture capture(kPorts);
  network.set_observer(&capture);
  std::vector<Delivery> out;
  network.transmit(0, 0, frame_of(kAll, 1, 0), out);
  network.transmit(0, 1, frame_of(1, 2, 0), out);
  network.transmit(0, 1, frame_of(3, 2, 0), out);
  network.clog(2, 0);
  network.transmit(1, 2, frame_of(1, 3, 0), out);
  capture.finish();
  std::vector<std::string> found = comments(test::read_pcapng(capture.take()));
  std::ranges::sort(found);
  EXPECT_EQ(found, (std::vector<std::string>{"", "corrupted, reordered", "corrupted, reordered", "duplicate, reordered",
                                             "duplicate, reordered", "held to alpha", "lost to alpha",
                                             "lost to alpha, blocked to gamma"}));
}

TEST(Capture, AgreesWithTheCountersAndIsInTheOrderOfTime) {
  LinkConfig link;
  link.latency_ns = 300'000;
  link.jitter_ns = 1'000'000;
  link.loss_ppb = link.duplicate_ppb = link.reorder_ppb = link.corrupt_ppb = LinkConfig::kCertain / 10;
  link.bandwidth_bps = 10'000'000;
  link.queue_bytes = 1'000;
  Network network(config_of(link), 3);
  Capture capture(kPorts);
  network.set_observer(&capture);
  RandomStream random(0, 0, "capture-test");
  std::vector<Delivery> out;
  std::vector<u8> bytes;
  const auto drain = [&] {
    const std::vector<u8> more = capture.take();
    bytes.insert(bytes.end(), more.begin(), more.end());
  };
  u64 time_ns = 0;
  for (u32 i = 0; i < 5'000; ++i) {
    time_ns += random.below(100'000);
    const u32 from = static_cast<u32>(random.below(3));
    const u8 to = random.below(5) == 0 ? kAll : static_cast<u8>(1 + random.below(3));
    network.transmit(time_ns, from, frame_of(to, static_cast<u8>(from + 1), i, 46 + random.below(200)), out);
    if (random.below(100) == 0) drain();
    if (random.below(200) == 0) network.clog(from, (from + 1) % 3);
    if (random.below(200) == 0) network.release(time_ns, from, (from + 1) % 3, out);
  }
  capture.finish();
  drain();

  const PcapngFile file = test::read_pcapng(bytes);
  EXPECT_TRUE(std::ranges::is_sorted(file.packets, {}, &PcapngPacket::time_ns));
  std::map<u64, u32> sender;
  std::map<std::pair<u32, u32>, LinkCounters> seen;
  for (const PcapngPacket& packet : file.packets) {
    if (!packet.inbound) {
      sender[packet.packet_id] = packet.interface;
      continue;
    }
    LinkCounters& c = seen[{sender.at(packet.packet_id), packet.interface}];
    ++c.delivered_frames;
    c.delivered_bytes += packet.frame.size();
    if (packet.comment.find("duplicate") != std::string::npos) {
      ++c.duplicated;
      continue;
    }
    if (packet.comment.find("corrupted") != std::string::npos) ++c.corrupted;
    if (packet.comment.find("reordered") != std::string::npos) ++c.reordered;
  }
  std::size_t frames_out = 0;
  for (u32 from = 0; from < 3; ++from) {
    for (u32 to = 0; to < 3; ++to) {
      if (from == to) continue;
      const LinkCounters& counted = network.counters(from, to);
      EXPECT_EQ((seen[{from, to}].delivered_frames), counted.delivered_frames);
      EXPECT_EQ((seen[{from, to}].delivered_bytes), counted.delivered_bytes);
      EXPECT_EQ((seen[{from, to}].duplicated), counted.duplicated);
      EXPECT_EQ((seen[{from, to}].corrupted), counted.corrupted);
      EXPECT_EQ((seen[{from, to}].reordered), counted.reordered);
      frames_out += counted.delivered_frames;
    }
  }
  EXPECT_EQ(frames_out, out.size());
  EXPECT_EQ(sender.size(), 5'000u);
}

TEST(Capture, WatchingChangesNothing) {
  LinkConfig link;
  link.loss_ppb = link.corrupt_ppb = LinkConfig::kCertain / 2;
  Network watched(config_of(link), 3);
  Network alone(config_of(link), 3);
  Capture capture(kPorts);
  watched.set_observer(&capture);
  std::vector<Delivery> out;
  for (u32 i = 0; i < 500; ++i) {
    watched.transmit(i, i % 3, frame_of(kAll, 1, i), out);
    alone.transmit(i, i % 3, frame_of(kAll, 1, i), out);
  }
  EXPECT_EQ(watched.hash(), alone.hash());
}

}  // namespace
}  // namespace bhvm
