#include "vnet/network.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "state/archive.h"
#include "tests/vnet/frames.h"

namespace bhvm {
namespace {

using test::frame_of;
using test::kAll;
using test::tag_of;

NetworkConfig config_of(u32 ports) {
  NetworkConfig config;
  for (u32 i = 0; i < ports; ++i) config.ports.push_back(fmt::format("node-{}", i));
  config.link.bandwidth_bps = 0;
  return config;
}

/// A network in which every port's station (its number + 1) is learned.
Network learned(u32 ports, u64 seed = 0) {
  Network network(config_of(ports), seed);
  std::vector<Delivery> out;
  for (u32 i = 0; i < ports; ++i) network.transmit(0, i, frame_of(kAll, static_cast<u8>(i + 1), 0), out);
  return network;
}

TEST(Network, CarriesAFrameToItsPort) {
  Network network = learned(3);
  std::vector<Delivery> out;
  network.transmit(500, 0, frame_of(3, 1, 42), out);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].port, 2u);
  EXPECT_EQ(out[0].time_ns, 100'500u);
  EXPECT_EQ(out[0].frame, frame_of(3, 1, 42));
  EXPECT_EQ(network.counters(0, 2).frames, 2u) << "with the broadcast";
  EXPECT_EQ(network.counters(0, 1).frames, 1u);
}

TEST(Network, EveryDirectionIsALinkOfItsOwn) {
  Network network = learned(2);
  LinkConfig slow = network.link(0, 1);
  slow.latency_ns = 5'000'000;
  network.set_link(0, 1, slow);
  std::vector<Delivery> out;
  network.transmit(0, 0, frame_of(2, 1, 0), out);
  network.transmit(0, 1, frame_of(1, 2, 0), out);
  EXPECT_EQ(out[0].time_ns, 5'000'000u);
  EXPECT_EQ(out[1].time_ns, 100'000u);
  EXPECT_EQ(network.minimum_latency_ns(), 100'000u);
  network.set_link(1, 0, slow);
  EXPECT_EQ(network.minimum_latency_ns(), 5'000'000u);
}

TEST(Network, APartitionInOneDirectionLetsTheOtherPass) {
  Network network = learned(3);
  network.set_blocked(0, 1, true);
  std::vector<Delivery> out;
  network.transmit(0, 0, frame_of(2, 1, 0), out);
  EXPECT_TRUE(out.empty());
  network.transmit(0, 0, frame_of(kAll, 1, 0), out);
  ASSERT_EQ(out.size(), 1u) << "the flood reaches the third";
  EXPECT_EQ(out[0].port, 2u);
  network.transmit(0, 1, frame_of(1, 2, 0), out);
  EXPECT_EQ(out.size(), 2u);
  EXPECT_EQ(network.counters(0, 1).blocked, 2u);
}

TEST(Network, AClogEndsWithItsFrames) {
  Network network = learned(2);
  network.clog(0, 1);
  std::vector<Delivery> out;
  for (u32 i = 0; i < 3; ++i) network.transmit(i, 0, frame_of(2, 1, i), out);
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(network.waiting(0, 1), 3u);
  network.release(1'000'000, 0, 1, out);
  EXPECT_EQ(network.waiting(0, 1), 0u);
  ASSERT_EQ(out.size(), 3u);
  for (u32 i = 0; i < 3; ++i) {
    EXPECT_EQ(tag_of(out[i].frame), i);
    EXPECT_EQ(out[i].time_ns, 1'100'000u);
  }
  EXPECT_FALSE(network.clogged(0, 1));
}

TEST(Network, ALinkKeepsItsDrawsWhenNodesAreAdded) {
  const auto lost = [](NetworkConfig config) {
    config.link.loss_ppb = LinkConfig::kCertain / 2;
    Network network(std::move(config), 4);
    std::vector<Delivery> out;
    std::vector<u32> tags;
    for (u32 i = 0; i < 200; ++i) network.transmit(i, 0, frame_of(kAll, 1, i), out);
    for (const Delivery& delivery : out) {
      if (delivery.port == network.ports() - 1) tags.push_back(tag_of(delivery.frame));
    }
    return tags;
  };
  NetworkConfig more = config_of(2);
  more.ports = {"node-0", "between", "node-1"};
  EXPECT_EQ(lost(config_of(2)), lost(more));
}

// A storm of hostile frames: what is kept stays small, and two networks agree to the last bit.
void storm(Network& network, u64 seed, u32 frames, u64 start_ns = 0) {
  RandomStream random(seed, 0, "storm");
  std::vector<Delivery> out;
  for (u32 i = 0; i < frames; ++i) {
    const u64 time_ns = start_ns + i * 100;
    std::vector<u8> frame(random.below(4) == 0 ? random.below(64) : random.below(2000));
    for (u8& byte : frame) byte = static_cast<u8>(random.below(random.below(2) == 0 ? 4 : 256));
    const u32 from = static_cast<u32>(random.below(network.ports()));
    const u32 to = (from + 1 + static_cast<u32>(random.below(network.ports() - 1))) % network.ports();
    LinkConfig config = network.link(from, to);
    switch (random.below(40)) {
      case 0:
        network.clog(from, to);
        break;
      case 1:
        network.release(time_ns, from, to, out);
        break;
      case 2:
        network.set_blocked(from, to, random.below(2) == 0);
        break;
      case 3:
        config.loss_ppb = static_cast<u32>(random.below(LinkConfig::kCertain));
        break;
      case 4:
        config.corrupt_ppb = static_cast<u32>(random.below(LinkConfig::kCertain));
        break;
      case 5:
        config.duplicate_ppb = static_cast<u32>(random.below(LinkConfig::kCertain));
        break;
      case 6:
        config.reorder_ppb = static_cast<u32>(random.below(LinkConfig::kCertain));
        break;
      case 7:
        config.latency_ns = 1 + random.below(10'000'000);
        break;
      case 8:
        config.bandwidth_bps = random.below(2) == 0 ? 0 : 1000 + random.below(100'000'000);
        break;
      case 9:
        config.queue_bytes = random.below(100'000);
        break;
      case 10:
        config.jitter_ns = random.below(1'000'000);
        break;
      default:
        break;
    }
    network.set_link(from, to, config);
    const u64 latency_ns = network.minimum_latency_ns();
    out.clear();
    network.transmit(time_ns, from, frame, out);
    for (const Delivery& delivery : out) {
      ASSERT_GE(delivery.time_ns, time_ns + latency_ns);
      ASSERT_NE(delivery.port, from);
      ASSERT_EQ(delivery.frame.size(), frame.size());
    }
  }
}

TEST(Network, AStormOfAnythingLeavesTheBooksInBalance) {
  Network a(config_of(4), 5);
  Network b(config_of(4), 5);
  storm(a, 1, 20'000);
  storm(b, 1, 20'000);
  EXPECT_EQ(a.hash(), b.hash());
  for (const LinkState& link : a.state().links) {
    const LinkCounters& c = link.counters;
    EXPECT_EQ(c.frames, c.delivered_frames - c.duplicated + c.lost + c.blocked + c.overflowed + link.held.size());
    u64 held = 0;
    for (const HeldFrame& frame : link.held) held += frame.bytes.size();
    EXPECT_EQ(held, link.held_bytes);
  }
}

TEST(Network, GoesOnFromASavedState) {
  Network a(config_of(3), 5);
  storm(a, 1, 5'000);
  Writer writer;
  save(writer, a.state());
  Reader reader(writer.bytes());
  NetworkState state;
  ASSERT_TRUE(load(reader, state));
  Network b(config_of(3), 99);
  ASSERT_TRUE(b.set_state(state).ok());
  EXPECT_EQ(a.hash(), b.hash());
  storm(a, 2, 5'000, 1'000'000);
  storm(b, 2, 5'000, 1'000'000);
  EXPECT_EQ(a.hash(), b.hash());
  Network c(config_of(4), 5);
  EXPECT_FALSE(c.set_state(state).ok());
}

TEST(NetworkDeathTest, TimeDoesNotGoBack) {
  Network network = learned(2);
  std::vector<Delivery> out;
  network.transmit(10, 0, frame_of(2, 1, 0), out);
  EXPECT_DEATH(network.transmit(9, 0, frame_of(2, 1, 0), out), "after a later one");
  EXPECT_DEATH(network.set_blocked(0, 0, true), "no such link");
  EXPECT_DEATH(network.transmit(10, 2, frame_of(2, 1, 0), out), "does not have");
}

}  // namespace
}  // namespace bhvm
