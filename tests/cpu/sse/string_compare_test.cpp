// String comparisons against the definition, element by element, for every control byte and all lengths.
#include "cpu/sse/string_compare.h"

#include <gtest/gtest.h>

#include <bit>

#include "base/random_stream.h"

namespace bhvm::sse {
namespace {

/// SDM 1, 12.10, and SDM 2, 4.1, word for word.
u32 definition(u8x16 a, u8x16 b, unsigned length_a, unsigned length_b, u8 control) {
  const bool words = (control & 1) != 0;
  const bool is_signed = (control & 2) != 0;
  const unsigned n = words ? 8 : 16;
  const auto element = [&](u8x16 v, unsigned i) -> int {
    if (words) return is_signed ? as<i16x8>(v)[i] : as<u16x8>(v)[i];
    return is_signed ? as<i8x16>(v)[i] : v[i];
  };
  const unsigned mode = (control >> 2) & 3;
  // BoolRes[j][i]: a's element i with b's element j, with the overrides of table 12-7.
  const auto matches = [&](unsigned i, unsigned j) {
    const bool valid_a = i < length_a;
    const bool valid_b = j < length_b;
    if (!valid_a || !valid_b) {
      if (mode < 2) return false;
      if (mode == 2) return !valid_a && !valid_b;
      return !valid_a;
    }
    const int x = element(a, i);
    const int y = element(b, j);
    if (mode == 1) return i % 2 == 0 ? y >= x : y <= x;
    return x == y;
  };
  u32 result = 0;
  for (unsigned j = 0; j < n; ++j) {
    bool bit = false;
    switch (mode) {
      case 0:
        for (unsigned i = 0; i < n; ++i) bit = bit || matches(i, j);
        break;
      case 1:
        for (unsigned i = 0; i < n; i += 2) bit = bit || (matches(i, j) && matches(i + 1, j));
        break;
      case 2:
        bit = matches(j, j);
        break;
      default:
        bit = true;
        for (unsigned i = 0; i < n - j; ++i) bit = bit && matches(i, j + i);
        break;
    }
    const unsigned polarity = (control >> 4) & 3;
    if (polarity == 1 || (polarity == 3 && j < length_b)) bit = !bit;
    result |= u32{bit} << j;
  }
  return result;
}

u8x16 random_string(RandomStream& random) {
  u8x16 v{};
  for (unsigned i = 0; i < 16; ++i)
    v[i] = static_cast<u8>(random.below(3) == 0 ? random.next() : 0x7F + random.below(3));
  return v;
}

TEST(StringCompare, AgreesWithTheDefinition) {
  RandomStream random(1, 0, "strings");
  for (unsigned control = 0; control < 128; ++control) {
    const unsigned n = (control & 1) != 0 ? 8 : 16;
    const Imm imm{static_cast<u8>(control)};
    for (unsigned length_a = 0; length_a <= n; ++length_a) {
      for (unsigned length_b = 0; length_b <= n; ++length_b) {
        const u8x16 a = random_string(random);
        const u8x16 b = random.below(4) == 0 ? a : random_string(random);
        const StringComparison result = compare_strings(a, b, {length_a, length_b}, imm);
        const u32 expected = definition(a, b, length_a, length_b, imm.value);
        ASSERT_EQ(result.bits, expected) << "control " << control << ", lengths " << length_a << " and " << length_b;
        ASSERT_EQ(result.cf, expected != 0);
        ASSERT_EQ(result.zf, length_b < n);
        ASSERT_EQ(result.sf, length_a < n);
        ASSERT_EQ(result.of, (expected & 1) != 0);
        const u32 last = expected == 0 ? n : static_cast<u32>(std::bit_width(expected)) - 1;
        const u32 first = expected == 0 ? n : static_cast<u32>(std::countr_zero(expected));
        ASSERT_EQ(string_index(result, imm), (control & 0x40) != 0 ? last : first);
      }
    }
  }
}

TEST(StringCompare, ExplicitLengthsSaturate) {
  EXPECT_EQ(explicit_length(5, Imm{0}), 5u);
  EXPECT_EQ(explicit_length(-5, Imm{0}), 5u);
  EXPECT_EQ(explicit_length(17, Imm{0}), 16u);
  EXPECT_EQ(explicit_length(17, Imm{1}), 8u);
  EXPECT_EQ(explicit_length(std::numeric_limits<i64>::min(), Imm{1}), 8u);
  EXPECT_EQ(explicit_length(std::numeric_limits<i32>::min(), Imm{0}), 16u);
}

TEST(StringCompare, ImplicitLengthsEndAtTheFirstZero) {
  u8x16 v{};
  for (unsigned i = 0; i < 16; ++i) v[i] = static_cast<u8>(i + 1);
  EXPECT_EQ(implicit_lengths(v, v, Imm{0}).a, 16u);
  EXPECT_EQ(implicit_lengths(v, v, Imm{1}).b, 8u);
  v[6] = 0;
  EXPECT_EQ(implicit_lengths(v, v, Imm{0}).a, 6u);
  EXPECT_EQ(implicit_lengths(v, v, Imm{1}).a, 8u);  // a zero byte is no zero word
  v[7] = 0;
  EXPECT_EQ(implicit_lengths(v, v, Imm{1}).a, 3u);
}

}  // namespace
}  // namespace bhvm::sse
