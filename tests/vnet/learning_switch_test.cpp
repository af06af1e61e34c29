#include "vnet/learning_switch.h"

#include <gtest/gtest.h>

#include "tests/vnet/frames.h"

namespace bhvm {
namespace {

using test::frame_of;
using test::kAll;
using Ports = std::vector<u32>;

Ports forward(LearningSwitch& which, u32 port, std::span<const u8> frame) {
  const std::span<const u32> ports = which.forward(port, frame);
  return {ports.begin(), ports.end()};
}

TEST(LearningSwitch, FloodsUntilItHasLearned) {
  LearningSwitch four(4);
  EXPECT_EQ(forward(four, 1, frame_of(3, 1, 0)), (Ports{0, 2, 3}));
  EXPECT_EQ(forward(four, 3, frame_of(1, 3, 0)), Ports{1}) << "learned from the frame before";
  EXPECT_EQ(forward(four, 1, frame_of(3, 1, 0)), Ports{3});
  EXPECT_EQ(forward(four, 1, frame_of(kAll, 1, 0)), (Ports{0, 2, 3})) << "broadcast is always for all";
  EXPECT_EQ(four.counters(), (LearningSwitchCounters{.unicast = 2, .flooded = 2}));
}

TEST(LearningSwitch, AStationMoves) {
  LearningSwitch four(4);
  forward(four, 1, frame_of(kAll, 9, 0));
  EXPECT_EQ(forward(four, 0, frame_of(9, 1, 0)), Ports{1});
  forward(four, 2, frame_of(kAll, 9, 0));
  EXPECT_EQ(forward(four, 0, frame_of(9, 1, 0)), Ports{2});
}

TEST(LearningSwitch, AFrameToItsOwnPortGoesNowhere) {
  LearningSwitch two(2);
  forward(two, 0, frame_of(kAll, 5, 0));
  EXPECT_EQ(forward(two, 0, frame_of(5, 6, 0)), Ports{});
  EXPECT_EQ(two.counters().filtered, 1u);
}

TEST(LearningSwitch, GroupAddressesAreNotLearned) {
  LearningSwitch two(3);
  std::vector<u8> frame = frame_of(1, 2, 0);
  frame[6] |= 1;
  forward(two, 0, frame);
  EXPECT_TRUE(two.state().addresses.empty());
  frame = frame_of(1, 2, 0);
  frame[0] |= 1;
  EXPECT_EQ(forward(two, 0, frame).size(), 2u);
}

TEST(LearningSwitch, AFrameWithoutAHeaderGoesNowhere) {
  LearningSwitch two(2);
  for (std::size_t size = 0; size < LearningSwitch::kHeaderSize; ++size) {
    EXPECT_EQ(forward(two, 0, std::vector<u8>(size)), Ports{});
  }
  EXPECT_TRUE(two.state().addresses.empty());
}

TEST(LearningSwitch, AGuestThatMakesAddressesUpKeepsNobodyElseOut) {
  LearningSwitch three(3);
  for (u32 i = 0; i < 100'000; ++i) {
    std::vector<u8> frame = frame_of(kAll, 0, 0);
    for (std::size_t k = 0; k < 4; ++k) frame[7 + k] = static_cast<u8>(i >> (8 * k));
    forward(three, 0, frame);
  }
  EXPECT_EQ(three.state().addresses.size(), LearningSwitch::kAddressesMax);
  forward(three, 1, frame_of(kAll, 77, 0));
  EXPECT_EQ(forward(three, 2, frame_of(77, 78, 0)), Ports{1});
}

}  // namespace
}  // namespace bhvm
