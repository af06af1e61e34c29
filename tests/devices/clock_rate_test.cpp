#include "devices/clock_rate.h"

#include <gtest/gtest.h>

namespace bhvm {
namespace {

class ClockRateAt : public testing::TestWithParam<u64> {};

TEST_P(ClockRateAt, ATickComesAtTheFirstNanosecondThatHoldsIt) {
  const ClockRate rate(GetParam());
  for (const u64 tick : {u64{1}, u64{2}, u64{3}, u64{7}, u64{999}, u64{3'579'545}, u64{1} << 31, u64{1} << 33}) {
    const u64 ns = rate.ns_until(tick);
    EXPECT_GE(rate.ticks_in(ns), tick);
    EXPECT_LT(rate.ticks_in(ns - 1), tick);
  }
}

INSTANTIATE_TEST_SUITE_P(Frequencies, ClockRateAt,
                         testing::Values(1, 2, 32'768, 3'579'545, 25'000'000, 100'000'000, 1'000'000'000,
                                         2'999'999'999));

TEST(ClockRate, TheEndOfTimeIsNever) {
  EXPECT_EQ(ClockRate(1).ns_until(20'000'000'000), ClockRate::kNever);
  EXPECT_EQ(ClockRate(1).ns_until(~u128{0}), ClockRate::kNever);
  EXPECT_EQ(ClockRate(~u64{0}).ns_until(~u128{0}), ClockRate::kNever);
  EXPECT_EQ(ClockRate(1).ns_until(18'000'000'000), 18'000'000'000'000'000'000u);
  EXPECT_EQ(ClockRate(~u64{0}).ticks_in(~u64{0}), static_cast<u128>(~u64{0}) * ~u64{0} / 1'000'000'000);
  EXPECT_EQ(add_ns(ClockRate::kNever, 1), ClockRate::kNever);
  EXPECT_EQ(add_ns(2, 3), 5u);
}

}  // namespace
}  // namespace bhvm
