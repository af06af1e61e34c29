#include "base/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace bhvm {
namespace {

TEST(Result, HoldsAValueOrAnError) {
  const Result<int> good = 3;
  EXPECT_TRUE(good.ok());
  EXPECT_EQ(good.value(), 3);
  const Result<int> bad = Error{"no such file"};
  EXPECT_FALSE(bad);
  EXPECT_EQ(bad.error().message, "no such file");
}

TEST(Result, AStringIsNoError) {
  const Result<std::string> text = std::string("text");
  EXPECT_TRUE(text.ok());
}

TEST(Result, MovesItsValueOut) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  const std::unique_ptr<int> value = std::move(result).value();
  EXPECT_EQ(*value, 5);
}

TEST(ResultDeathTest, ReadingTheWrongHalfIsABug) {
  const Result<int> good = 1;
  const Result<int> bad = Error{"e"};
  EXPECT_DEATH((void)good.error(), "the error of a successful Result");
  EXPECT_DEATH((void)bad.value(), "the value of a failed Result");
}

}  // namespace
}  // namespace bhvm
