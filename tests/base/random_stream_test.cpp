#include "base/random_stream.h"

#include <gtest/gtest.h>

#include <array>

namespace bhvm {
namespace {

// The first outputs of xoshiro256** 1.0 from the state {1, 2, 3, 4}, from its authors' reference code.
TEST(RandomStream, IsXoshiro256StarStar) {
  RandomStream random;
  random.state().s = {1, 2, 3, 4};
  for (const u64 expected : {u64{11520}, u64{0}, u64{1509978240}, u64{1215971899390074240}, u64{1216172134540287360},
                             u64{607988272756665600}, u64{16172922978634559625u}, u64{8476171486693032832}}) {
    EXPECT_EQ(random.next(), expected);
  }
}

// A changed derivation would change every recorded run.
TEST(RandomStream, DerivationIsFixed) {
  RandomStream random(7, 3, "link 0 loss");
  const u64 first = random.next();
  EXPECT_EQ(RandomStream(7, 3, "link 0 loss").next(), first);
  EXPECT_NE(RandomStream(8, 3, "link 0 loss").next(), first);
  EXPECT_NE(RandomStream(7, 4, "link 0 loss").next(), first);
  EXPECT_NE(RandomStream(3, 7, "link 0 loss").next(), first);
  EXPECT_NE(RandomStream(7, 3, "link 1 loss").next(), first);
  EXPECT_EQ(first, 10810472078426009868u);
}

TEST(RandomStream, BelowStaysBelowAndIsUniform) {
  RandomStream random(1, 0, "below test");
  EXPECT_EQ(random.below(1), 0u);
  std::array<int, 6> counts{};
  for (int i = 0; i < 60000; ++i) ++counts.at(random.below(counts.size()));
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);
  const u64 huge = (u64{1} << 63) + 1;  // half of all draws are rejected
  for (int i = 0; i < 1000; ++i) EXPECT_LT(random.below(huge), huge);
}

TEST(RandomStream, GoesOnFromACopiedState) {
  RandomStream random(1, 2, "copy test");
  random.next();
  RandomStream copy;
  copy.state() = random.state();
  EXPECT_EQ(copy.next(), random.next());
}

TEST(RandomStreamDeathTest, NothingIsBelowZero) { EXPECT_DEATH(RandomStream().below(0), "below zero"); }

}  // namespace
}  // namespace bhvm
