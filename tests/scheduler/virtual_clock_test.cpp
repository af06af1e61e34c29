#include "scheduler/virtual_clock.h"

#include <gtest/gtest.h>

#include "base/random_stream.h"

namespace bhvm {
namespace {

constexpr u64 kMax = ~u64{0};

TEST(VirtualClock, CountsInstructionsAtItsRate) {
  VirtualClock clock(1, 3);  // a third of a nanosecond each
  EXPECT_EQ(clock.time_at(2), 0u);
  EXPECT_EQ(clock.time_at(3), 1u);
  EXPECT_EQ(clock.instructions_until(1), 3u);
  clock.set_instructions(1);
  EXPECT_EQ(clock.instructions_until(1), 2u);
  EXPECT_EQ(clock.instructions_until(0), 0u);
  VirtualClock slow(7, 2);
  EXPECT_EQ(slow.time_at(3), 10u);
  EXPECT_EQ(slow.instructions_until(10), 3u);
  EXPECT_EQ(slow.instructions_until(11), 4u);
}

TEST(VirtualClock, IdlesForwardOnly) {
  VirtualClock clock;
  clock.set_instructions(100);
  clock.idle_until(250);
  EXPECT_EQ(clock.now_ns(), 250u);
  EXPECT_EQ(clock.idle_ns(), 150u);
  clock.idle_until(10);
  EXPECT_EQ(clock.now_ns(), 250u);
  EXPECT_EQ(clock.instructions_until(260), 10u);
}

TEST(VirtualClock, StandsStillAtTheEndOfTime) {
  VirtualClock clock(kMax, 1);
  EXPECT_EQ(clock.time_at(1), kMax);
  EXPECT_EQ(clock.time_at(kMax), kMax);
  EXPECT_EQ(clock.instructions_until(kMax), 1u);
  clock.set_instructions(5);
  clock.idle_until(kMax);
  EXPECT_EQ(clock.idle_ns(), 0u);
  VirtualClock fast(1, kMax);
  EXPECT_EQ(fast.time_at(kMax), 1u);
  EXPECT_EQ(fast.instructions_until(1), kMax);
  EXPECT_EQ(fast.instructions_until(2), kMax);  // more than can be counted
}

TEST(VirtualClock, UntilIsTheSmallestCountThatGetsThere) {
  RandomStream random(5, 0, "virtual clock test");
  const auto any = [&] { return (random.next() >> random.below(64)) | 1; };
  for (int round = 0; round < 100000; ++round) {
    VirtualClock clock(any(), any());
    clock.set_instructions(random.next() >> random.below(64));
    if (random.below(2) == 0) clock.idle_until(any());
    const u64 goal_ns = random.next() >> random.below(64);
    const u64 count = clock.instructions_until(goal_ns);
    const u64 start = clock.instructions();
    if (count == kMax || count > kMax - start) continue;  // not within 64 bits
    ASSERT_GE(clock.time_at(start + count), goal_ns);
    if (count > 0) {
      ASSERT_LT(clock.time_at(start + count - 1), goal_ns);
    }
    ASSERT_GE(clock.time_at(start + count), clock.now_ns());
  }
}

TEST(VirtualClock, ARateHoldsFromWhereItWasSet) {
  VirtualClock clock(1, 1, 1000);
  EXPECT_EQ(clock.now_ns(), 1000u) << "time at power-on";
  clock.set_instructions(100);
  clock.idle_until(1500);
  clock.set_rate(10, 1);
  EXPECT_EQ(clock.now_ns(), 1500u) << "no jump";
  EXPECT_EQ(clock.idle_ns(), 400u);
  EXPECT_EQ(clock.instructions_until(1501), 1u);
  EXPECT_EQ(clock.instructions_until(1531), 4u);
  clock.set_instructions(103);
  EXPECT_EQ(clock.now_ns(), 1530u);
  clock.set_rate(1, 3);
  clock.set_instructions(109);
  EXPECT_EQ(clock.now_ns(), 1532u);
  clock.postpone(1'000'000);
  EXPECT_EQ(clock.now_ns(), 1'001'532u);
}

TEST(VirtualClock, UntilIsTheSmallestCountAfterAChangeOfRateToo) {
  RandomStream random(4, 0, "rates");
  VirtualClock clock(1, 1, 77);
  u64 instructions = 0;
  for (int i = 0; i < 200; ++i) {
    instructions += random.below(1000);
    clock.set_instructions(instructions);
    const u64 before = clock.now_ns();
    clock.set_rate(1 + random.below(50), 1 + random.below(50));
    ASSERT_EQ(clock.now_ns(), before);
    const u64 target = before + 1 + random.below(10'000);
    const u64 count = clock.instructions_until(target);
    ASSERT_GE(clock.time_at(instructions + count), target);
    ASSERT_LT(clock.time_at(instructions + count - 1), target);
  }
}

TEST(VirtualClock, AStateGoesInAndOut) {
  VirtualClock clock(5, 4);
  clock.set_instructions(8);
  clock.idle_until(20);
  VirtualClock copy;
  copy.set_state(clock.state());
  EXPECT_EQ(copy.now_ns(), 20u);
  EXPECT_EQ(copy.time_at(12), 25u);
  copy.set_state({.instructions = 3, .idle_ns = 0, .rate_numerator = 0, .rate_denominator = 0});
  EXPECT_EQ(copy.now_ns(), 3u);
}

TEST(VirtualClockDeathTest, ARateHasNoZero) { EXPECT_DEATH(VirtualClock(0, 1), "rate has a zero"); }

}  // namespace
}  // namespace bhvm
