// Known answers, for hosts without an x87 FPU; the comparison with one is in instructions_test.cpp.
#include "cpu/x87/arithmetic.h"

#include <gtest/gtest.h>

#include "cpu/x87/conversions.h"

namespace bhvm::x87 {
namespace {

using namespace x87_status;

constexpr Control kNearest{0x037F};
constexpr Control kUp{0x0B7F};
constexpr Control kSinglePrecision{0x007F};

Operand number(double value) {
  u64 bits;
  __builtin_memcpy(&bits, &value, sizeof bits);
  return {from_f64(bits).value};
}
Float80 value(double v) { return number(v).value; }

TEST(X87Arithmetic, ExactResults) {
  EXPECT_EQ(add(number(1.5), number(2.25), kNearest).value, value(3.75));
  EXPECT_EQ(subtract(number(1.5), number(2.25), kNearest).value, value(-0.75));
  EXPECT_EQ(multiply(number(1.5), number(-2.5), kNearest).value, value(-3.75));
  EXPECT_EQ(divide(number(7), number(2), kNearest).value, value(3.5));
  EXPECT_EQ(square_root(number(6.25), kNearest).value, value(2.5));
  EXPECT_EQ(scale(number(3), number(4.9), kNearest).value, value(48));
  EXPECT_EQ(divide(number(7), number(2), kNearest).exceptions, 0);
}

TEST(X87Arithmetic, RoundingAndPrecisionControl) {
  const Result third = divide(number(1), number(3), kNearest);
  EXPECT_EQ(third.value, (Float80{0xAAAAAAAAAAAAAAAB, 0x3FFD}));
  EXPECT_EQ(third.exceptions, kPe);
  EXPECT_TRUE(third.rounded_up);
  EXPECT_EQ(divide(number(2), number(3), kSinglePrecision).value, (Float80{0xAAAAAB0000000000, 0x3FFE}));
  EXPECT_EQ(divide(number(-1), number(3), kUp).value, (Float80{0xAAAAAAAAAAAAAAAA, 0xBFFD}));
  EXPECT_EQ(round_to_integer(number(2.5), kNearest).value, value(2));
  EXPECT_EQ(round_to_integer(number(2.5), kUp).value, value(3));
}

TEST(X87Arithmetic, Exceptions) {
  constexpr Float80 kLargest{~u64{0}, 0x7FFE};
  constexpr Float80 kSmallest{1, 0};
  const Result overflow = multiply({kLargest}, number(2), kNearest);
  EXPECT_EQ(overflow.value, float80::infinity(false));
  EXPECT_EQ(overflow.exceptions, kOe | kPe);
  const Result underflow = multiply(Operand::from_register(kSmallest), number(0.5), kNearest);
  EXPECT_EQ(underflow.value, float80::kPositiveZero);
  EXPECT_EQ(underflow.exceptions, kDe | kUe | kPe);
  EXPECT_EQ(divide(number(1), {float80::zero(true)}, kNearest).value, float80::infinity(true));
  EXPECT_EQ(divide(number(1), {float80::zero(true)}, kNearest).exceptions, kZe);
  EXPECT_EQ(divide({float80::kPositiveZero}, {float80::kPositiveZero}, kNearest).value, float80::kIndefinite);
  constexpr Control kUnmaskedOverflow{0x0377};
  const Result wrapped = multiply({kLargest}, number(2), kUnmaskedOverflow);
  EXPECT_EQ(wrapped.value, (Float80{~u64{0}, 0x7FFF - 24576}));
  EXPECT_EQ(wrapped.exceptions, kOe);
}

TEST(X87Arithmetic, NanRules) {
  constexpr Float80 kSignaling{0x8000000000000001, 0x7FFF};
  constexpr Float80 kQuiet{0xC000000000000001, 0x7FFF};
  constexpr Float80 kLarger{0xC000000000000002, 0xFFFF};
  EXPECT_EQ(add({kQuiet}, {kLarger}, kNearest).value, kLarger);
  EXPECT_EQ(add({kQuiet}, {kLarger}, kNearest).exceptions, 0);
  EXPECT_EQ(add({kSignaling}, {kLarger}, kNearest).value, kLarger);
  EXPECT_EQ(add({kSignaling}, number(1), kNearest).value, kQuiet);
  EXPECT_EQ(add({kSignaling}, number(1), kNearest).exceptions, kIe);
  constexpr Float80 kUnnormal{1, 0x3FFF};
  EXPECT_EQ(add({kUnnormal}, {kQuiet}, kNearest).value, float80::kIndefinite);
}

TEST(X87Arithmetic, Remainders) {
  const Remainder chopped = remainder(number(17), number(3), false, kNearest);
  EXPECT_EQ(chopped.result.value, value(2));
  EXPECT_EQ(chopped.quotient, 5);
  const Remainder nearest = remainder(number(17), number(3), true, kNearest);
  EXPECT_EQ(nearest.result.value, value(-1));
  EXPECT_EQ(nearest.quotient, 6);
  EXPECT_TRUE(remainder({{float80::kIntegerBit, 0x3FFF + 100}}, number(3), false, kNearest).partial);
}

TEST(X87Conversions, Integers) {
  EXPECT_EQ(to_integer(value(-2.5), 16, false, kNearest).bits, static_cast<u64>(-2));
  EXPECT_EQ(to_integer(value(-2.5), 16, true, kUp).bits, static_cast<u64>(-2));
  EXPECT_EQ(to_integer(value(32768), 16, false, kNearest).bits, 0x8000u);
  EXPECT_EQ(to_integer(value(32768), 16, false, kNearest).exceptions, kIe);
  EXPECT_EQ(to_integer(value(-32768), 16, false, kNearest).exceptions, 0);
  EXPECT_EQ(to_integer(from_integer(INT64_MIN), 64, false, kNearest).bits, u64{1} << 63);
}

TEST(X87Conversions, NarrowFormats) {
  EXPECT_EQ(to_f32(value(1.5), kNearest).bits, 0x3FC00000u);
  EXPECT_EQ(to_f32(value(1e300), kNearest).bits, 0x7F800000u);
  EXPECT_EQ(to_f64(value(5e-324), kNearest).bits, 1u);
  EXPECT_EQ(to_f64(value(5e-324), kNearest).exceptions, 0);
  EXPECT_TRUE(from_f64(1).denormal);
}

TEST(X87Conversions, PackedDecimal) {
  const StoredBcd stored = to_bcd(value(-1234567890.0), kNearest);
  EXPECT_EQ(stored.bcd.low, 0x1234567890u);
  EXPECT_EQ(stored.bcd.high, 0x8000);
  EXPECT_EQ(from_bcd(stored.bcd), value(-1234567890.0));
  EXPECT_EQ(to_bcd(value(1e18), kNearest).exceptions, kIe);
  EXPECT_EQ(to_bcd(value(1e18), kNearest).bcd.high, 0xFFFF);
}

}  // namespace
}  // namespace bhvm::x87
