// RCPSS and RSQRTSS: special values, and the error bound of SDM 2 (1.5 * 2^-12) over all exponents.
#include "cpu/sse/reciprocal.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

namespace bhvm::sse {
namespace {

constexpr double kBound = 1.5 / 4096;

double value(u32 bits) { return static_cast<double>(std::bit_cast<float>(bits)); }

TEST(Reciprocal, StaysWithinTheBound) {
  double worst = 0;
  for (u64 bits = 0x00800000; bits < 0x7E800000; bits += 4099) {
    const double exact = 1.0 / value(static_cast<u32>(bits));
    const u32 result = reciprocal(static_cast<u32>(bits));
    if (exact < 0x1p-126) continue;  // may become zero
    worst = std::max(worst, std::abs(value(result) - exact) / exact);
    ASSERT_EQ(reciprocal(static_cast<u32>(bits) | 0x80000000), result | 0x80000000);
  }
  EXPECT_LE(worst, kBound);
  EXPECT_GT(worst, 0);
}

TEST(Reciprocal, IsExactForPowersOfTwo) {
  EXPECT_EQ(reciprocal(0x3F800000), 0x3F800000u);
  EXPECT_EQ(reciprocal(0x40000000), 0x3F000000u);
  EXPECT_EQ(reciprocal(0x00800000), 0x7E800000u);
  EXPECT_EQ(reciprocal(0x7E800000), 0x00800000u);
}

TEST(Reciprocal, TakesSpecialValues) {
  EXPECT_EQ(reciprocal(0x00000000), 0x7F800000u);
  EXPECT_EQ(reciprocal(0x80000000), 0xFF800000u);
  EXPECT_EQ(reciprocal(0x00000001), 0x7F800000u);  // denormals count as zero
  EXPECT_EQ(reciprocal(0x807FFFFF), 0xFF800000u);
  EXPECT_EQ(reciprocal(0x7F800000), 0x00000000u);
  EXPECT_EQ(reciprocal(0xFF800000), 0x80000000u);
  EXPECT_EQ(reciprocal(0x7F7FFFFF), 0x00000000u);  // tiny results become zero
  EXPECT_EQ(reciprocal(0xFF7FFFFF), 0x80000000u);
  EXPECT_EQ(reciprocal(0x7F800001), 0x7FC00001u);
  EXPECT_EQ(reciprocal(0xFFC12345), 0xFFC12345u);
}

TEST(ReciprocalSquareRoot, StaysWithinTheBound) {
  double worst = 0;
  for (u64 bits = 0x00800000; bits < 0x7F800000; bits += 4099) {
    const double exact = 1.0 / std::sqrt(value(static_cast<u32>(bits)));
    const u32 result = reciprocal_square_root(static_cast<u32>(bits));
    worst = std::max(worst, std::abs(value(result) - exact) / exact);
  }
  EXPECT_LE(worst, kBound);
  EXPECT_GT(worst, 0);
}

TEST(ReciprocalSquareRoot, TakesSpecialValues) {
  EXPECT_EQ(reciprocal_square_root(0x3F800000), 0x3F800000u);
  EXPECT_EQ(reciprocal_square_root(0x40800000), 0x3F000000u);
  EXPECT_EQ(reciprocal_square_root(0x00800000), 0x5F000000u);  // 2^-126
  EXPECT_EQ(reciprocal_square_root(0x00000000), 0x7F800000u);
  EXPECT_EQ(reciprocal_square_root(0x80000000), 0xFF800000u);
  EXPECT_EQ(reciprocal_square_root(0x80000001), 0xFF800000u);
  EXPECT_EQ(reciprocal_square_root(0x7F800000), 0x00000000u);
  EXPECT_EQ(reciprocal_square_root(0xFF800000), 0xFFC00000u);
  EXPECT_EQ(reciprocal_square_root(0xBF800000), 0xFFC00000u);
  EXPECT_EQ(reciprocal_square_root(0x7F800001), 0x7FC00001u);
  EXPECT_EQ(reciprocal_square_root(0xFFC12345), 0xFFC12345u);
}

}  // namespace
}  // namespace bhvm::sse
