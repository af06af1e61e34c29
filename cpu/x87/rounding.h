// Rounding into the formats of the x87 FPU, with the exceptions that rounding can raise (SDM 1, 4.8.4 and 8.5).
//
// An operation computes a sign, an exponent and 128 bits of significand whose lowest bit is sticky (it stands for all
// the bits below it). round_to_format() turns that into a value of the destination's format: the masked answer, or the
// answer an unmasked overflow or underflow leaves behind. Tininess is detected after rounding, as x86 does.
#pragma once

#include <bit>

#include "base/types.h"
#include "cpu/x87/float80.h"
#include "cpu/x87/x87_state.h"

namespace bhvm::x87 {

/// The rounding-control field (SDM 1, table 4-8).
enum class RoundingMode : u8 { kNearestEven, kDown, kUp, kTowardZero };

/// The control word as operations see it.
struct Control {
  u16 word = x87_control::kInitial;

  constexpr RoundingMode rounding() const {
    return static_cast<RoundingMode>((word >> x87_control::kRoundingShift) & 3);
  }
  /// Significand bits by the precision-control field; the reserved encoding counts as 64 (SDM 1, table 8-2).
  constexpr unsigned precision() const {
    constexpr u8 kBits[4] = {24, 64, 53, 64};
    return kBits[(word >> x87_control::kPrecisionShift) & 3];
  }
  constexpr bool masked(u16 exception) const { return (word & exception) == exception; }
};

/// A number: (-1)^sign * significand / 2^127 * 2^exponent. `significand` has bit 127 set; its bit 0 is sticky.
struct Exact {
  bool sign = false;
  i32 exponent = 0;
  u128 significand = 0;
};

/// A destination format. Exponents are those of Exact (1 <= mantissa < 2).
struct Format {
  unsigned precision;  // significand bits to round to
  i32 min_exponent;    // of a normal number
  i32 max_exponent;
  i32 wrap;  // bias adjustment of an unmasked overflow or underflow (SDM 1, 8.5.4)
};
inline constexpr Format kSingle{24, -126, 127, 192};
inline constexpr Format kDouble{53, -1022, 1023, 1536};
constexpr Format extended(unsigned precision) { return {precision, -16382, 16383, 24576}; }

/// What rounding yields. A normal number has bit 63 of `significand` set; without it the number is a denormal (or zero)
/// and `exponent` is the format's minimum.
struct Rounded {
  i32 exponent = 0;
  u64 significand = 0;
  bool infinite = false;
  u16 exceptions = 0;       // x87_status exception bits
  bool rounded_up = false;  // magnitude was increased: C1
};

Rounded round_to_format(const Exact& exact, const Format& format, Control control);

/// Shifts right by `count` >= 0, keeping what falls out in the lowest bit.
inline u128 shift_right_sticky(u128 value, i64 count) {
  if (count == 0) return value;
  if (count >= 128) return value != 0 ? 1 : 0;
  const bool sticky = (value << (128 - count)) != 0;
  return (value >> count) | (sticky ? 1 : 0);
}

/// A magnitude is cut off before `fraction` (whose lowest bit is sticky); `odd` is the last bit kept. Is one to be
/// added?
constexpr bool rounds_up(bool sign, bool odd, u64 fraction, RoundingMode mode) {
  constexpr u64 kHalf = u64{1} << 63;
  switch (mode) {
    case RoundingMode::kNearestEven:
      return fraction > kHalf || (fraction == kHalf && odd);
    case RoundingMode::kDown:
      return sign && fraction != 0;
    case RoundingMode::kUp:
      return !sign && fraction != 0;
    case RoundingMode::kTowardZero:
      return false;
  }
  return false;
}

/// An arithmetic result in a register's format.
struct Result {
  Float80 value;
  u16 exceptions = 0;  // x87_status exception bits raised
  bool rounded_up = false;
};

/// Rounds to a register at `precision` bits and adds `exceptions` already found: any precision and exponent.
Result round_to_register_any(const Exact& exact, unsigned precision, Control control, u16 exceptions);

/// The same, with a short way for 64 bits and no overflow or underflow near.
inline Result round_to_register(const Exact& exact, unsigned precision, Control control, u16 exceptions = 0) {
  const bool ordinary = exact.exponent >= -16382 && exact.exponent < 16383;
  if (precision != 64 || !ordinary) return round_to_register_any(exact, precision, control, exceptions);
  const u64 kept = static_cast<u64>(exact.significand >> 64);
  const u64 fraction = static_cast<u64>(exact.significand);
  const bool up = rounds_up(exact.sign, (kept & 1) != 0, fraction, control.rounding());
  const u64 rounded = kept + (up ? 1 : 0);
  const bool carry = rounded == 0;
  const i32 biased = exact.exponent + float80::kBias + (carry ? 1 : 0);
  const u16 sign_exponent = static_cast<u16>((exact.sign ? float80::kSignBit : 0) | biased);
  const u16 raised = static_cast<u16>(exceptions | (fraction != 0 ? x87_status::kPe : 0));
  return {{rounded | (carry ? float80::kIntegerBit : 0), sign_exponent}, raised, up};
}

/// A finite, non-zero, supported number.
inline Exact unpack(const Float80& value) {
  const int shift = std::countl_zero(value.significand);
  const i32 biased = value.exponent() == 0 ? 1 : value.exponent();
  return {value.sign(), biased - float80::kBias - shift, u128{value.significand << shift} << 64};
}

}  // namespace bhvm::x87
