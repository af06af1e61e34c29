#include "cpu/x87/conversions.h"

#include <bit>

namespace bhvm::x87 {
namespace {

using namespace x87_status;
using enum Float80Class;
using float80::classify;

/// One IEEE interchange format: how its fields sit in an integer.
struct Interchange {
  Format format;
  unsigned fraction_bits;
  u64 exponent_mask;  // all ones, in place at bit 0
  constexpr i32 bias() const { return format.max_exponent; }
  constexpr u64 sign_bit() const { return (exponent_mask + 1) << fraction_bits; }
  constexpr u64 fraction_mask() const { return (u64{1} << fraction_bits) - 1; }
};
constexpr Interchange kBinary32{kSingle, 23, 0xFF};
constexpr Interchange kBinary64{kDouble, 52, 0x7FF};

Operand widen(u64 bits, const Interchange& f) {
  const u16 sign = (bits & f.sign_bit()) != 0 ? float80::kSignBit : u16{0};
  const u64 exponent = (bits >> f.fraction_bits) & f.exponent_mask;
  const u64 aligned = (bits & f.fraction_mask()) << (63 - f.fraction_bits);
  if (exponent == f.exponent_mask) {
    return {{float80::kIntegerBit | aligned, static_cast<u16>(sign | float80::kMaxExponent)}};
  }
  if (exponent == 0) {
    if (aligned == 0) return {{0, sign}};
    const int shift = std::countl_zero(aligned);
    const i32 biased = f.format.min_exponent - shift + float80::kBias;
    return {{aligned << shift, static_cast<u16>(sign | biased)}, true};
  }
  const i32 biased = static_cast<i32>(exponent) - f.bias() + float80::kBias;
  return {{float80::kIntegerBit | aligned, static_cast<u16>(sign | biased)}};
}

Stored narrow(const Float80& value, const Interchange& f, Control control) {
  const u64 sign = value.sign() ? f.sign_bit() : 0;
  const u64 infinity = f.exponent_mask << f.fraction_bits;
  switch (classify(value)) {
    case kZero:
      return {sign};
    case kInfinity:
      return {sign | infinity};
    case kUnsupported:
      return {f.sign_bit() | infinity | (u64{1} << (f.fraction_bits - 1)), kIe};
    case kSignalingNan:
    case kQuietNan: {
      const u64 payload = ((value.significand | float80::kQuietBit) >> (63 - f.fraction_bits)) & f.fraction_mask();
      return {sign | infinity | payload, classify(value) == kSignalingNan ? kIe : u16{0}};
    }
    default:
      break;
  }
  const Rounded rounded = round_to_format(unpack(value), f.format, control);
  if (rounded.infinite) return {sign | infinity, rounded.exceptions, rounded.rounded_up};
  const u64 shifted = rounded.significand >> (63 - f.fraction_bits);
  const bool normal = (rounded.significand & float80::kIntegerBit) != 0;
  const u64 exponent = normal ? static_cast<u64>(rounded.exponent + f.bias()) : 0;
  return {sign | (exponent << f.fraction_bits) | (shifted & f.fraction_mask()), rounded.exceptions, rounded.rounded_up};
}

/// The magnitude of a rounded number, or nothing when it is no number below 2^64.
struct Integer {
  u64 magnitude = 0;
  bool inexact = false;
  bool up = false;
};
std::optional<Integer> integer_magnitude(const Float80& value, RoundingMode mode) {
  const Float80Class c = classify(value);
  if (c == kZero) return Integer{};
  if (c == kInfinity || needs_nan_rules(c)) return std::nullopt;
  const Exact x = unpack(value);
  if (x.exponent > 63) return std::nullopt;
  const u128 fixed = shift_right_sticky(x.significand, 63 - x.exponent);
  const u64 fraction = static_cast<u64>(fixed);
  const u64 whole = static_cast<u64>(fixed >> 64);
  const bool up = rounds_up(x.sign, (whole & 1) != 0, fraction, mode);
  if (up && whole == ~u64{0}) return std::nullopt;
  return Integer{whole + (up ? 1 : 0), fraction != 0, up};
}

}  // namespace

Operand from_f32(u32 bits) { return widen(bits, kBinary32); }
Operand from_f64(u64 bits) { return widen(bits, kBinary64); }

Float80 from_integer(i64 value) {
  if (value == 0) return float80::kPositiveZero;
  const u64 magnitude = value < 0 ? u64{0} - static_cast<u64>(value) : static_cast<u64>(value);
  const int shift = std::countl_zero(magnitude);
  const u16 sign = value < 0 ? float80::kSignBit : u16{0};
  return {magnitude << shift, static_cast<u16>(sign | (float80::kBias + 63 - shift))};
}

Stored to_f32(const Float80& value, Control control) { return narrow(value, kBinary32, control); }
Stored to_f64(const Float80& value, Control control) { return narrow(value, kBinary64, control); }

Stored to_integer(const Float80& value, unsigned width, bool truncate, Control control) {
  const u64 indefinite = u64{1} << (width - 1);
  const auto integer = integer_magnitude(value, truncate ? RoundingMode::kTowardZero : control.rounding());
  const bool negative = value.sign();
  const u64 limit = negative ? indefinite : indefinite - 1;
  if (!integer || integer->magnitude > limit) return {indefinite, kIe};
  const u64 bits = negative ? u64{0} - integer->magnitude : integer->magnitude;
  return {bits, integer->inexact ? kPe : u16{0}, integer->up};
}

Float80 from_bcd(const Bcd& bcd) {
  u64 magnitude = 0;
  for (int shift = 4; shift >= 0; shift -= 4) magnitude = magnitude * 10 + ((bcd.high >> shift) & 0xF);
  for (int shift = 60; shift >= 0; shift -= 4) magnitude = magnitude * 10 + ((bcd.low >> shift) & 0xF);
  Float80 value = from_integer(static_cast<i64>(magnitude));
  if ((bcd.high & 0x8000) != 0) value = float80::negate(value);
  return value;
}

StoredBcd to_bcd(const Float80& value, Control control) {
  constexpr u64 kLimit = 1'000'000'000'000'000'000;
  constexpr Bcd kIndefinite{0xC000'0000'0000'0000, 0xFFFF};
  const auto integer = integer_magnitude(value, control.rounding());
  if (!integer || integer->magnitude >= kLimit) return {kIndefinite, kIe};
  Bcd bcd;
  u64 rest = integer->magnitude;
  for (unsigned shift = 0; shift < 64; shift += 4, rest /= 10) bcd.low |= (rest % 10) << shift;
  const u64 top_digits = (rest / 10 << 4) | rest % 10;
  bcd.high = static_cast<u16>(top_digits | (value.sign() ? 0x8000u : 0u));
  return {bcd, integer->inexact ? kPe : u16{0}, integer->up};
}

}  // namespace bhvm::x87
