#include "cpu/flags.h"

#include <gtest/gtest.h>

namespace bhvm {
namespace {

TEST(LazyFlags, HoldEveryCombinationOfTheSix) {
  for (u64 i = 0; i < 64; ++i) {
    const u64 value = ((i & 1) != 0 ? rflags::kCf : 0) | ((i & 2) != 0 ? rflags::kPf : 0) |
                      ((i & 4) != 0 ? rflags::kAf : 0) | ((i & 8) != 0 ? rflags::kZf : 0) |
                      ((i & 16) != 0 ? rflags::kSf : 0) | ((i & 32) != 0 ? rflags::kOf : 0);
    LazyFlags f;
    f.set(value);
    EXPECT_EQ(f.value(), value);
  }
}

TEST(LazyFlags, SetCarryAloneKeepsTheOthers) {
  for (u64 i = 0; i < 64; ++i) {
    const u64 value = ((i & 1) != 0 ? rflags::kCf : 0) | ((i & 2) != 0 ? rflags::kPf : 0) |
                      ((i & 4) != 0 ? rflags::kAf : 0) | ((i & 8) != 0 ? rflags::kZf : 0) |
                      ((i & 16) != 0 ? rflags::kSf : 0) | ((i & 32) != 0 ? rflags::kOf : 0);
    for (const bool carry : {false, true}) {
      LazyFlags f;
      f.set(value);
      f.set_cf(carry);
      EXPECT_EQ(f.value(), (value & ~rflags::kCf) | (carry ? rflags::kCf : 0));
      f.set(value);
      f.set_cf_of(carry, !carry);
      EXPECT_EQ(f.value(), (value & ~(rflags::kCf | rflags::kOf)) | (carry ? rflags::kCf : rflags::kOf));
    }
  }
}

}  // namespace
}  // namespace bhvm
