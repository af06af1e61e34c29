#include "vnet/link.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <set>

#include "state/hash_state.h"
#include "tests/vnet/frames.h"

namespace bhvm {
namespace {

using test::frame_of;
using test::tag_of;
using testing::HasSubstr;

constexpr u64 kGap_ns = 1'000'000;  // between two frames: the link is idle again
constexpr u32 kHalf = LinkConfig::kCertain / 2;

LinkConfig plain() {
  LinkConfig config;
  config.latency_ns = 100'000;
  config.bandwidth_bps = 0;
  return config;
}

/// Sends `count` frames, tagged from 0 on, one every `gap_ns`.
std::vector<Arrival> send(Link& link, u32 count, u64 gap_ns = kGap_ns) {
  std::vector<Arrival> out;
  for (u32 i = 0; i < count; ++i) link.carry(i * gap_ns, i, frame_of(2, 1, i), out);
  return out;
}

std::vector<u32> tags(const std::vector<Arrival>& arrivals) {
  std::vector<u32> out;
  for (const Arrival& arrival : arrivals) out.push_back(tag_of(arrival.frame));
  return out;
}

void expect_balance(const Link& link) {
  const LinkCounters& c = link.counters();
  EXPECT_EQ(c.frames, c.delivered_frames - c.duplicated + c.lost + c.blocked + c.overflowed + link.state().held.size());
}

TEST(Link, DeliversEveryFrameAfterTheLatency) {
  Link link(1, "a/b", plain());
  const std::vector<Arrival> arrivals = send(link, 100);
  ASSERT_EQ(arrivals.size(), 100u);
  for (u32 i = 0; i < 100; ++i) {
    EXPECT_EQ(arrivals[i].time_ns, i * kGap_ns + 100'000);
    EXPECT_EQ(arrivals[i].frame, frame_of(2, 1, i));
    EXPECT_FALSE(arrivals[i].corrupted || arrivals[i].duplicate || arrivals[i].reordered);
  }
  EXPECT_EQ(link.counters(),
            (LinkCounters{.frames = 100, .bytes = 100 * 60, .delivered_frames = 100, .delivered_bytes = 100 * 60}));
}

TEST(Link, LosesTheShareItIsTold) {
  LinkConfig config = plain();
  config.loss_ppb = kHalf;
  Link link(1, "a/b", config);
  const std::vector<Arrival> arrivals = send(link, 10'000);
  EXPECT_EQ(link.counters().lost, 10'000 - arrivals.size());
  EXPECT_NEAR(static_cast<double>(arrivals.size()), 5'000, 250) << "five standard deviations";
  expect_balance(link);
}

TEST(Link, CertainAndImpossibleAreExact) {
  LinkConfig config = plain();
  config.loss_ppb = LinkConfig::kCertain;
  Link loses(1, "a/b", config);
  EXPECT_TRUE(send(loses, 1000).empty());
  EXPECT_EQ(loses.counters().lost, 1000u);

  config = plain();
  config.duplicate_ppb = config.corrupt_ppb = config.reorder_ppb = LinkConfig::kCertain;
  Link doubles(1, "a/b", config);
  EXPECT_EQ(send(doubles, 1000).size(), 2000u);
  EXPECT_EQ(doubles.counters().duplicated, 1000u);
  EXPECT_EQ(doubles.counters().corrupted, 1000u);
  EXPECT_EQ(doubles.counters().reordered, 1000u);
  expect_balance(doubles);
}

TEST(Link, CorruptsExactlyOneBitAnywhere) {
  LinkConfig config = plain();
  config.corrupt_ppb = LinkConfig::kCertain;
  Link link(1, "a/b", config);
  std::set<std::size_t> bytes_hit;
  const std::vector<Arrival> arrivals = send(link, 2000);
  for (u32 i = 0; i < arrivals.size(); ++i) {
    const std::vector<u8> sent = frame_of(2, 1, i);
    EXPECT_TRUE(arrivals[i].corrupted);
    ASSERT_EQ(arrivals[i].frame.size(), sent.size());
    int bits = 0;
    for (std::size_t k = 0; k < sent.size(); ++k) {
      const int differing = std::popcount(static_cast<u8>(sent[k] ^ arrivals[i].frame[k]));
      if (differing != 0) bytes_hit.insert(k);
      bits += differing;
    }
    EXPECT_EQ(bits, 1);
  }
  EXPECT_EQ(bytes_hit.size(), 60u) << "first and last byte included";
}

TEST(Link, AnEmptyFrameHasNothingToCorrupt) {
  LinkConfig config = plain();
  config.corrupt_ppb = LinkConfig::kCertain;
  Link link(1, "a/b", config);
  std::vector<Arrival> out;
  link.carry(0, 0, {}, out);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_FALSE(out[0].corrupted);
}

TEST(Link, TheSecondCopyIsWholeAndRightBehindTheFirst) {
  LinkConfig config = plain();
  config.duplicate_ppb = config.corrupt_ppb = LinkConfig::kCertain;
  Link link(1, "a/b", config);
  const std::vector<Arrival> arrivals = send(link, 10);
  ASSERT_EQ(arrivals.size(), 20u);
  for (u32 i = 0; i < 10; ++i) {
    EXPECT_FALSE(arrivals[2 * i].duplicate);
    EXPECT_TRUE(arrivals[2 * i + 1].duplicate);
    EXPECT_EQ(arrivals[2 * i + 1].time_ns, arrivals[2 * i].time_ns);
    EXPECT_EQ(arrivals[2 * i + 1].frame, frame_of(2, 1, i));
  }
}

TEST(Link, JitterAddsAtMostWhatItMayAndKeepsTheOrder) {
  LinkConfig config = plain();
  config.jitter_ns = 500'000;
  Link link(1, "a/b", config);
  const std::vector<Arrival> arrivals = send(link, 2000, 10'000);
  u64 most = 0;
  for (u32 i = 0; i < 2000; ++i) {
    ASSERT_EQ(tag_of(arrivals[i].frame), i);
    ASSERT_GE(arrivals[i].time_ns, i * 10'000 + 100'000) << "never sooner than the latency";
    ASSERT_LE(arrivals[i].time_ns, i * 10'000 + 600'000);
    if (i > 0) {
      ASSERT_GE(arrivals[i].time_ns, arrivals[i - 1].time_ns);
    }
    most = std::max(most, arrivals[i].time_ns - i * 10'000);
  }
  EXPECT_GT(most, 590'000u) << "the whole range is used";
}

TEST(Link, LaterFramesOvertakeAReorderedOne) {
  LinkConfig config = plain();
  config.reorder_ppb = LinkConfig::kCertain / 10;
  config.reorder_delay_ns = 1'000'000;
  Link link(1, "a/b", config);
  std::vector<Arrival> arrivals = send(link, 2000, 10'000);
  for (u32 i = 0; i < 2000; ++i) {
    const u64 due_ns = i * 10'000 + 100'000;
    if (arrivals[i].reordered) {
      ASSERT_GT(arrivals[i].time_ns, due_ns);
      ASSERT_LE(arrivals[i].time_ns, due_ns + 1'000'000);
    } else {
      ASSERT_EQ(arrivals[i].time_ns, due_ns) << "the others are as they were";
    }
  }
  EXPECT_NEAR(static_cast<double>(link.counters().reordered), 200, 70);
  std::ranges::sort(arrivals, {}, &Arrival::time_ns);
  EXPECT_FALSE(std::ranges::is_sorted(tags(arrivals)));
}

TEST(Link, BandwidthSpacesFramesOut) {
  LinkConfig config = plain();
  config.bandwidth_bps = 48'000'000;  // 60 bytes in 10 us
  Link link(1, "a/b", config);
  const std::vector<Arrival> arrivals = send(link, 100, 0);
  ASSERT_EQ(arrivals.size(), 100u);
  for (u32 i = 0; i < 100; ++i) EXPECT_EQ(arrivals[i].time_ns, (i + 1) * 10'000 + 100'000);
}

TEST(Link, AFullQueueDropsTheTail) {
  LinkConfig config = plain();
  config.bandwidth_bps = 48'000'000;
  config.queue_bytes = 600;  // with the frame that is leaving: ten of 60 bytes
  Link link(1, "a/b", config);
  EXPECT_EQ(tags(send(link, 100, 0)), (std::vector<u32>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(link.counters().overflowed, 90u);
  expect_balance(link);
  std::vector<Arrival> out;
  EXPECT_EQ(link.carry(10'000, 100, frame_of(2, 1, 100), out), FrameLoss::kNone) << "one has left";
  EXPECT_EQ(link.carry(10'000, 101, frame_of(2, 1, 101), out), FrameLoss::kOverflowed);
}

TEST(Link, AFrameThatFindsTheLinkFreeNeedsNoQueue) {
  LinkConfig config = plain();
  config.bandwidth_bps = 48'000'000;
  config.queue_bytes = 0;
  Link link(1, "a/b", config);
  EXPECT_EQ(send(link, 100, 10'000).size(), 100u);
  EXPECT_EQ(send(link, 2, 0).size(), 0u) << "the past frames are still leaving";
}

TEST(Link, ABlockedLinkDropsAll) {
  Link link(1, "a/b", plain());
  link.set_blocked(true);
  std::vector<Arrival> out;
  EXPECT_EQ(link.carry(0, 0, frame_of(2, 1, 0), out), FrameLoss::kBlocked);
  link.set_blocked(false);
  EXPECT_EQ(link.carry(0, 1, frame_of(2, 1, 1), out), FrameLoss::kNone);
  EXPECT_EQ(tags(out), std::vector<u32>{1});
  EXPECT_EQ(link.counters().blocked, 1u);
  expect_balance(link);
}

TEST(Link, ACloggedLinkHoldsFramesAndLetsThemGoInOrder) {
  LinkConfig config = plain();
  config.queue_bytes = 300;
  Link link(1, "a/b", config);
  link.clog();
  EXPECT_TRUE(send(link, 7, 10).empty());
  EXPECT_EQ(link.counters().clogged, 5u);
  EXPECT_EQ(link.counters().overflowed, 2u) << "a clog holds what the queue holds";
  expect_balance(link);
  std::vector<Arrival> out;
  std::vector<u64> ids;
  for (const HeldFrame& held : link.release()) {
    ids.push_back(held.packet_id);
    EXPECT_EQ(link.resume(5'000'000, held.bytes, out), FrameLoss::kNone);
  }
  EXPECT_EQ(ids, (std::vector<u64>{0, 1, 2, 3, 4}));
  EXPECT_EQ(tags(out), (std::vector<u32>{0, 1, 2, 3, 4}));
  for (const Arrival& arrival : out) EXPECT_EQ(arrival.time_ns, 5'100'000u);
  expect_balance(link);
  EXPECT_EQ(link.counters().frames, 7u) << "a frame that was held is counted once";
  EXPECT_EQ(send(link, 1).size(), 1u);
}

TEST(Link, OneKindOfFaultDoesNotShiftAnother) {
  LinkConfig corrupts = plain();
  corrupts.corrupt_ppb = kHalf / 5;
  LinkConfig all = corrupts;
  all.loss_ppb = kHalf / 2;
  all.duplicate_ppb = kHalf / 3;
  all.reorder_ppb = kHalf / 4;
  all.jitter_ns = 777;
  all.bandwidth_bps = 10'000'000;
  Link a(9, "a/b", corrupts);
  Link b(9, "a/b", all);
  std::vector<std::vector<u8>> of_a(3000);
  std::vector<Arrival> out;
  for (u32 i = 0; i < of_a.size(); ++i) {
    out.clear();
    a.carry(i * kGap_ns, i, frame_of(2, 1, i), out);
    of_a[i] = out[0].frame;
  }
  u32 compared = 0;
  for (u32 i = 0; i < of_a.size(); ++i) {
    out.clear();
    if (i % 50 == 0) b.set_blocked(i % 100 == 0);
    b.carry(i * kGap_ns, i, frame_of(2, 1, i), out);
    if (out.empty()) continue;
    ++compared;
    EXPECT_EQ(out[0].frame, of_a[i]) << "frame " << i << " is corrupted in the same bit, or as little";
  }
  EXPECT_GT(compared, 800u);
}

TEST(Link, TheSeedAndTheNameChooseTheFrames) {
  LinkConfig config = plain();
  config.loss_ppb = kHalf;
  const auto run = [&](u64 seed, const char* name) {
    Link link(seed, name, config);
    return tags(send(link, 200));
  };
  EXPECT_EQ(run(1, "a/b"), run(1, "a/b"));
  EXPECT_NE(run(1, "a/b"), run(2, "a/b"));
  EXPECT_NE(run(1, "a/b"), run(1, "b/a"));
}

TEST(Link, GoesOnFromASavedState) {
  LinkConfig config = plain();
  config.loss_ppb = config.corrupt_ppb = config.duplicate_ppb = config.reorder_ppb = kHalf;
  config.jitter_ns = 1000;
  config.bandwidth_bps = 1'000'000;
  Link link(1, "a/b", config);
  send(link, 100);
  link.clog();
  send(link, 3);
  Writer writer;
  save(writer, link.state());
  Reader reader(writer.bytes());
  LinkState state;
  ASSERT_TRUE(load(reader, state));
  Link other(7, "x/y", plain());
  other.set_state(state);
  EXPECT_EQ(hash_state(other.state()), hash_state(link.state()));
  for (Link* one : {&link, &other}) {
    for (const HeldFrame& held : one->release()) {
      std::vector<Arrival> out;
      one->resume(1'000'000'000, held.bytes, out);
    }
    send(*one, 100);
  }
  EXPECT_EQ(hash_state(other.state()), hash_state(link.state()));
}

TEST(Link, MistakesAreSentences) {
  const auto message = [](auto&& change) {
    LinkConfig config;
    change(config);
    const Status status = validate(config);
    return status ? std::string() : status.error().message;
  };
  EXPECT_EQ(message([](LinkConfig&) {}), "");
  EXPECT_THAT(message([](LinkConfig& c) { c.latency_ns = 0; }), HasSubstr("latency"));
  EXPECT_THAT(message([](LinkConfig& c) { c.jitter_ns = ~u64{0}; }), HasSubstr("jitter"));
  EXPECT_THAT(message([](LinkConfig& c) { c.reorder_delay_ns = ~u64{0}; }), HasSubstr("reordering delay"));
  EXPECT_THAT(message([](LinkConfig& c) { c.loss_ppb = LinkConfig::kCertain + 1; }), HasSubstr("loss"));
  EXPECT_THAT(message([](LinkConfig& c) { c.duplicate_ppb = ~u32{0}; }), HasSubstr("duplication"));
  EXPECT_THAT(message([](LinkConfig& c) { c.reorder_ppb = ~u32{0}; }), HasSubstr("reordering"));
  EXPECT_THAT(message([](LinkConfig& c) { c.corrupt_ppb = ~u32{0}; }), HasSubstr("corruption"));
  EXPECT_THAT(message([](LinkConfig& c) { c.bandwidth_bps = 1; }), HasSubstr("bandwidth"));
  EXPECT_THAT(message([](LinkConfig& c) { c.queue_bytes = ~u64{0}; }), HasSubstr("queue"));
}

}  // namespace
}  // namespace bhvm
