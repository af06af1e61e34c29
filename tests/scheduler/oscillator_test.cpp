#include "scheduler/oscillator.h"

#include <gtest/gtest.h>

#include "base/random_stream.h"

namespace bhvm {
namespace {

constexpr u64 kMax = ~u64{0};

TEST(Oscillator, AHealthyOneShowsTheTimeSincePowerOn) {
  const Oscillator oscillator(500);
  EXPECT_EQ(oscillator.shown_at(500), 0u);
  EXPECT_EQ(oscillator.shown_at(1234), 734u);
  EXPECT_EQ(oscillator.time_when(734), 1234u);
  EXPECT_EQ(oscillator.time_when(0), 500u);
  EXPECT_EQ(oscillator.time_when(Oscillator::kNever), Oscillator::kNever);
  EXPECT_EQ(oscillator.time_when(kMax - 1), Oscillator::kNever) << "beyond the end of time";
}

TEST(Oscillator, StepsForwardAndBackButNotBelowZero) {
  Oscillator oscillator;
  oscillator.step(1000, 50);
  EXPECT_EQ(oscillator.shown_at(1000), 1050u);
  EXPECT_EQ(oscillator.time_when(1020), 1000u) << "what was jumped over is shown at once";
  oscillator.step(2000, -1000);
  EXPECT_EQ(oscillator.shown_at(2000), 1050u);
  EXPECT_EQ(oscillator.shown_at(2001), 1051u);
  oscillator.step(3000, -1'000'000);
  EXPECT_EQ(oscillator.shown_at(3000), 0u);
  oscillator.step(3000, INT64_MIN);
  EXPECT_EQ(oscillator.shown_at(3000), 0u);
  oscillator.postpone(100);
  EXPECT_EQ(oscillator.shown_at(3100), 0u);
}

TEST(Oscillator, AChangeOfRateIsNoJump) {
  RandomStream random(1, 0, "oscillator");
  Oscillator oscillator;
  u64 now = 0;
  u64 shown = 0;
  for (int i = 0; i < 500; ++i) {
    now += random.below(1'000'000);
    ASSERT_GE(oscillator.shown_at(now), shown) << "monotone";
    shown = oscillator.shown_at(now);
    const u64 numerator = 1 + random.below(2'000'000);
    const u64 denominator = 1 + random.below(2'000'000);
    oscillator.set_rate(now, numerator, denominator);
    ASSERT_EQ(oscillator.shown_at(now), shown);
    const u64 target = shown + 1 + random.below(1'000'000);
    const u64 when = oscillator.time_when(target);
    ASSERT_GE(oscillator.shown_at(when), target);
    ASSERT_LT(oscillator.shown_at(when - 1), target) << "the first moment";
  }
}

TEST(Oscillator, AStateGoesInAndOut) {
  Oscillator oscillator(7);
  oscillator.set_rate(100, 3, 2);
  Oscillator copy;
  copy.set_state(oscillator.state());
  EXPECT_EQ(copy.shown_at(999), oscillator.shown_at(999));
  copy.set_state({5, 6, 0, 0});
  EXPECT_EQ(copy.shown_at(15), 16u) << "a zero in the rate counts as 1";
}

}  // namespace
}  // namespace bhvm
