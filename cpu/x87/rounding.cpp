#include "cpu/x87/rounding.h"

#include "base/planted_fault.h"

namespace bhvm::x87 {
namespace {

using namespace x87_status;

struct Cut {
  u64 significand;  // left-aligned: rounded to the precision
  bool carry;       // rounding overflowed into 2.0
  bool inexact;
  bool up;
};

/// Rounds 128 left-aligned bits to `precision` <= 64 of them.
Cut cut(bool sign, u128 significand, unsigned precision, RoundingMode mode) {
  const unsigned below = 128 - precision;
  const u128 kept = significand >> below;
  const u128 rest = significand << precision;
  const u64 fraction = static_cast<u64>(rest >> 64) | (static_cast<u64>(rest) != 0 ? 1 : 0);
  const bool up = rounds_up(sign, (kept & 1) != 0, fraction, mode);
  const u128 rounded = kept + (up ? 1 : 0);
  const bool carry = (rounded >> precision) != 0;
  const u64 aligned = static_cast<u64>(carry ? float80::kIntegerBit : rounded << (64 - precision));
  return {aligned, carry, fraction != 0, up};
}

bool overflows_to_infinity(bool sign, RoundingMode mode) {
  switch (mode) {
    case RoundingMode::kNearestEven:
      return true;
    case RoundingMode::kDown:
      return sign;
    case RoundingMode::kUp:
      return !sign;
    case RoundingMode::kTowardZero:
      return false;
  }
  return true;
}

Rounded overflow(bool sign, const Format& format, RoundingMode mode, u16 exceptions) {
  if (overflows_to_infinity(sign, mode)) return {0, 0, true, exceptions, true};
  const u64 largest = ~u64{0} << (64 - format.precision);
  return {format.max_exponent, largest, false, exceptions, false};
}

}  // namespace

Rounded round_to_format(const Exact& exact, const Format& format, Control control) {
  const RoundingMode mode = control.rounding();
  const Cut normal = cut(exact.sign, exact.significand, format.precision, mode);
  const i32 exponent = exact.exponent + (normal.carry ? 1 : 0);
  const u16 precision_flag = normal.inexact ? kPe : u16{0};

  if (exponent > format.max_exponent) {
    if (control.masked(kOe)) return overflow(exact.sign, format, mode, kOe | kPe);
    const i32 wrapped = exponent - format.wrap;
    if (wrapped > format.max_exponent)
      return {0, 0, true, static_cast<u16>(kOe | kPe), true};  // FSCALE only: infinity in every mode
    return {wrapped, normal.significand, false, static_cast<u16>(kOe | precision_flag), normal.up};
  }
  if (exponent >= format.min_exponent) {
    return {exponent, normal.significand, false, precision_flag, normal.up};
  }
  if (!control.masked(kUe)) {
    if (exponent + format.wrap < format.min_exponent) {  // FSCALE only: zero in every mode
      return {format.min_exponent, 0, false, kUe | kPe, false};
    }
    return {exponent + format.wrap, normal.significand, false, static_cast<u16>(kUe | precision_flag), normal.up};
  }
  const u128 shifted = shift_right_sticky(exact.significand, i64{format.min_exponent} - exact.exponent);
  const Cut tiny = cut(exact.sign, shifted, format.precision, mode);
  return {format.min_exponent, tiny.significand, false, tiny.inexact ? u16{kUe | kPe} : u16{0}, tiny.up};
}

Result round_to_register_any(const Exact& exact, unsigned precision, Control control, u16 exceptions) {
  const Rounded rounded = round_to_format(exact, extended(precision), control);
  const u16 raised = static_cast<u16>(exceptions | rounded.exceptions);
  if (rounded.infinite) return {float80::infinity(exact.sign), raised, rounded.rounded_up};
  const bool normal = (rounded.significand & float80::kIntegerBit) != 0;
  const i32 biased = normal ? rounded.exponent + float80::kBias : 0;
  const u16 sign_exponent = static_cast<u16>((exact.sign ? float80::kSignBit : 0) | biased);
  const bool c1 = rounded.rounded_up && !(planted(PlantedFault::kRoundedUpSingle) && precision == 24);
  return {{rounded.significand, sign_exponent}, raised, c1};
}

}  // namespace bhvm::x87
