#include "cluster/horizon.h"

#include <gtest/gtest.h>

#include <array>

namespace bhvm {
namespace {

constexpr u64 kNever = Horizons::kNever;

TEST(Horizons, ANodeIsSafeUpToTheFirstFrameThatCouldReachIt) {
  Horizons horizons(2);
  horizons.set_latencies(std::array<u64, 4>{0, 100, 300, 0});  // 0 -> 1: 100, 1 -> 0: 300
  std::array<u64, 2> horizon{};
  horizons.compute(std::array<u64, 2>{1000, 5000}, horizon);
  EXPECT_EQ(horizon[1], 1100);  // a frame of node 0
  EXPECT_EQ(horizon[0], 1400);  // node 1's answer to it, long before node 1 acts by itself
}

TEST(Horizons, ANodeThatSleepsForEverIsWokenByOthers) {
  Horizons horizons(3);
  horizons.set_latencies(std::array<u64, 9>{0, 10, 1000, 10, 0, 10, 1000, 10, 0});
  std::array<u64, 3> horizon{};
  horizons.compute(std::array<u64, 3>{500, kNever, kNever}, horizon);
  EXPECT_EQ(horizon[0], 520);
  EXPECT_EQ(horizon[1], 510);
  EXPECT_EQ(horizon[2], 520);  // through node 1, which is quicker than the link
}

TEST(Horizons, OneNodeAloneIsNeverReached) {
  Horizons horizons(1);
  horizons.set_latencies(std::array<u64, 1>{0});
  std::array<u64, 1> horizon{};
  horizons.compute(std::array<u64, 1>{7}, horizon);
  EXPECT_EQ(horizon[0], kNever);
}

TEST(Horizons, TheEarliestNodeCanAlwaysRun) {
  Horizons horizons(4);
  std::array<u64, 16> latency{};
  for (u32 i = 0; i < 16; ++i) latency[i] = 1 + (i * 7) % 5;
  horizons.set_latencies(latency);
  for (u64 round = 0; round < 100; ++round) {
    std::array<u64, 4> earliest{};
    for (u64 i = 0; i < 4; ++i) earliest[i] = 1 + (round * 31 + i * 17) % 13;
    std::array<u64, 4> horizon{};
    horizons.compute(earliest, horizon);
    const auto first = static_cast<std::size_t>(std::min_element(earliest.begin(), earliest.end()) - earliest.begin());
    EXPECT_GT(horizon[first], earliest[first]);
  }
}

}  // namespace
}  // namespace bhvm
