// Float80: the double extended-precision format of the x87 FPU (SDM 1, 4.2.2 and 8.2) and its classes.
//
// A plain pair of integers. The host's floating point is never used on it: every operation in this folder is integer
// code (or MPFR for the transcendentals), so that results are the same on every host.
#pragma once

#include "base/types.h"

namespace bhvm {

struct Float80 {
  u64 significand = 0;    // bit 63 is the explicit integer bit
  u16 sign_exponent = 0;  // bit 15 sign, bits 14:0 exponent with bias 16383

  constexpr bool sign() const { return (sign_exponent & 0x8000) != 0; }
  constexpr u16 exponent() const { return sign_exponent & 0x7FFF; }
  friend constexpr bool operator==(const Float80&, const Float80&) = default;
};

/// What the bits of a Float80 stand for (SDM 1, table 4-3 and 8.2.2).
enum class Float80Class : u8 {
  kZero,
  kDenormal,        // exponent 0, integer bit clear
  kPseudoDenormal,  // exponent 0, integer bit set: reads as exponent 1, counts as a denormal operand
  kNormal,
  kInfinity,
  kSignalingNan,
  kQuietNan,
  kUnsupported,  // unnormal, pseudo-infinity, pseudo-NaN: an invalid operand
};

namespace float80 {

inline constexpr int kBias = 16383;
inline constexpr u16 kMaxExponent = 0x7FFF;
inline constexpr u16 kSignBit = 0x8000;
inline constexpr u64 kIntegerBit = u64{1} << 63;
inline constexpr u64 kQuietBit = u64{1} << 62;

inline constexpr Float80 kPositiveZero{0, 0};
inline constexpr Float80 kOne{kIntegerBit, kBias};
/// The QNaN floating-point indefinite (SDM 1, 4.8.3.7).
inline constexpr Float80 kIndefinite{kIntegerBit | kQuietBit, 0xFFFF};

constexpr Float80Class classify(const Float80& value) {
  const bool integer_bit = (value.significand & kIntegerBit) != 0;
  if (value.exponent() == 0) {
    if (value.significand == 0) return Float80Class::kZero;
    return integer_bit ? Float80Class::kPseudoDenormal : Float80Class::kDenormal;
  }
  if (!integer_bit) return Float80Class::kUnsupported;
  if (value.exponent() != kMaxExponent) return Float80Class::kNormal;
  if (value.significand == kIntegerBit) return Float80Class::kInfinity;
  return (value.significand & kQuietBit) != 0 ? Float80Class::kQuietNan : Float80Class::kSignalingNan;
}

constexpr bool is_nan(Float80Class c) { return c == Float80Class::kSignalingNan || c == Float80Class::kQuietNan; }
constexpr bool is_denormal(Float80Class c) {
  return c == Float80Class::kDenormal || c == Float80Class::kPseudoDenormal;
}

constexpr Float80 zero(bool sign) { return {0, static_cast<u16>(sign ? kSignBit : 0)}; }
constexpr Float80 infinity(bool sign) { return {kIntegerBit, static_cast<u16>((sign ? kSignBit : 0) | kMaxExponent)}; }
constexpr Float80 one(bool sign) { return {kIntegerBit, static_cast<u16>((sign ? kSignBit : 0) | kBias)}; }
constexpr Float80 negate(Float80 value) {
  return {value.significand, static_cast<u16>(value.sign_exponent ^ kSignBit)};
}
constexpr Float80 absolute(Float80 value) { return {value.significand, value.exponent()}; }

}  // namespace float80
}  // namespace bhvm
