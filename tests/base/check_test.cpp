#include "base/check.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace bhvm {
namespace {

TEST(CheckDeathTest, SaysTheSentenceAndAborts) {
  EXPECT_DEATH(BHVM_CHECK(1 + 1 == 3, "arithmetic broke"), "arithmetic broke\n.*check_test.cpp:.*1 \\+ 1 == 3");
}

TEST(CheckDeathTest, PrintsTheContextOnce) {
  const auto die = [] {
    int seed = 42;
    set_check_context(
        [](void* context) {
          std::fprintf(stderr, "seed %d\n", *static_cast<int*>(context));
          BHVM_UNREACHABLE("the printer failed too");
        },
        &seed);
    BHVM_UNREACHABLE("first");
  };
  EXPECT_DEATH(die(), "first\n.*\nseed 42\n.*the printer failed too");
}

TEST(Check, EvaluatesItsConditionOnce) {
  int evaluations = 0;
  BHVM_CHECK(++evaluations == 1, "never");
  EXPECT_EQ(evaluations, 1);
}

}  // namespace
}  // namespace bhvm
