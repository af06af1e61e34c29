#include "cpu/x87/arithmetic.h"

#include <bit>
#include <utility>

namespace bhvm::x87 {
namespace {

using namespace x87_status;
using enum Float80Class;
using float80::classify;

int countl_zero_128(u128 value) {
  const u64 high = static_cast<u64>(value >> 64);
  return high != 0 ? std::countl_zero(high) : 64 + std::countl_zero(static_cast<u64>(value));
}

Exact normalized(bool sign, i32 exponent, u128 significand) {
  const int shift = countl_zero_128(significand);
  return {sign, exponent - shift, significand << shift};
}

u16 denormal_flag(const Operand& a) { return a.denormal ? kDe : u16{0}; }
u16 denormal_flag(const Operand& a, const Operand& b) { return a.denormal || b.denormal ? kDe : u16{0}; }
/// An unmasked denormal operand ends the operation before rounding can raise anything.
bool stops(u16 exceptions, Control control) { return !control.masked(exceptions); }

/// A denormal handed through (scaled by 2^0, divided by infinity) is no underflow, not even where that is unmasked.
Result unchanged(const Exact& a, Control control, u16 flags) {
  return round_to_register(a, 64, Control{static_cast<u16>(control.word | kUe)}, flags);
}

/// The sign of a sum that is exactly zero of operands with different signs.
bool zero_sum_sign(Control control) { return control.rounding() == RoundingMode::kDown; }

Float80 quieted(const Float80& nan) { return {nan.significand | float80::kQuietBit, nan.sign_exponent}; }

Exact add_exact(Exact a, Exact b) {
  if (a.exponent < b.exponent || (a.exponent == b.exponent && a.significand < b.significand)) std::swap(a, b);
  const u128 aligned = shift_right_sticky(b.significand, a.exponent - b.exponent);
  if (a.sign != b.sign) return normalized(a.sign, a.exponent, a.significand - aligned);
  // One bit of headroom: unpacked operands have 64 zero bits below, so only sticky bits can be lost.
  const u128 sum = (a.significand >> 1) + shift_right_sticky(aligned, 1);
  return normalized(a.sign, a.exponent + 1, sum);
}

Result add_signed(const Operand& a, const Operand& b, bool negate_b, Control control) {
  const Float80Class ca = classify(a.value);
  const Float80Class cb = classify(b.value);
  if (needs_nan_rules(ca) || needs_nan_rules(cb)) return propagate_nan(a.value, b.value);
  const bool sign_b = b.value.sign() != negate_b;
  const u16 flags = denormal_flag(a, b);
  if (ca == kInfinity) {
    if (cb == kInfinity && a.value.sign() != sign_b) return invalid();
    return {a.value, flags};
  }
  if (cb == kInfinity) return {float80::infinity(sign_b), flags};
  if (stops(flags, control)) return {a.value, flags};
  if (ca == kZero && cb == kZero) {
    return {float80::zero(a.value.sign() == sign_b ? sign_b : zero_sum_sign(control)), flags};
  }
  Exact sum;
  if (ca == kZero || cb == kZero) {
    sum = unpack(ca == kZero ? b.value : a.value);
    if (ca == kZero) sum.sign = sign_b;
  } else {
    Exact exact_b = unpack(b.value);
    exact_b.sign = sign_b;
    const Exact exact_a = unpack(a.value);
    if (exact_a.exponent == exact_b.exponent && exact_a.significand == exact_b.significand &&
        exact_a.sign != exact_b.sign) {
      return {float80::zero(zero_sum_sign(control)), flags};
    }
    sum = add_exact(exact_a, exact_b);
  }
  return round_to_register(sum, control.precision(), control, flags);
}

/// A square root cut off and what is left over: value = root^2 + rest.
struct Root {
  u64 root;
  u128 rest;
};

/// Of a 32-bit value with bit 31 or 30 set, bit by bit.
Root square_root_32(u32 value) {
  u32 rest = 0;
  u32 root = 0;
  for (int i = 0; i < 16; ++i) {
    rest = (rest << 2) | (value >> 30);
    value <<= 2;
    const u32 trial = (root << 2) | 1;
    root <<= 1;
    if (rest >= trial) {
      rest -= trial;
      root |= 1;
    }
  }
  return {root, rest};
}

/// One step of Zimmermann's Karatsuba square root: from the root of the upper half of a number to the root of the
/// whole, whose lower half is `third` and `fourth`, `bits` each.
Root refine_root(const Root& upper, u64 third, u64 fourth, unsigned bits) {
  const u128 dividend = (upper.rest << bits) | third;
  const u64 divisor = upper.root << 1;
  const u64 quotient = static_cast<u64>(dividend / divisor);
  const u128 root = (u128{upper.root} << bits) + quotient;
  const u128 kept = ((dividend - u128{quotient} * divisor) << bits) | fourth;
  const i128 rest = static_cast<i128>(kept) - static_cast<i128>(u128{quotient} * quotient);
  if (rest >= 0) return {static_cast<u64>(root), static_cast<u128>(rest)};
  return {static_cast<u64>(root - 1), static_cast<u128>(rest + static_cast<i128>(2 * root - 1))};
}

/// Of a value with bit 127 or 126 set.
Root integer_square_root(u128 value) {
  const u64 high = static_cast<u64>(value >> 64);
  const u64 low = static_cast<u64>(value);
  const Root of_high =
      refine_root(square_root_32(static_cast<u32>(high >> 32)), (high >> 16) & 0xFFFF, high & 0xFFFF, 16);
  return refine_root(of_high, low >> 32, low & 0xFFFFFFFF, 32);
}

}  // namespace

Result invalid() { return {float80::kIndefinite, kIe}; }

Result propagate_nan(const Float80& a) {
  const Float80Class c = classify(a);
  if (c == kUnsupported) return invalid();
  return {quieted(a), c == kSignalingNan ? kIe : u16{0}};
}

Result propagate_nan(const Float80& a, const Float80& b) {
  const Float80Class ca = classify(a);
  const Float80Class cb = classify(b);
  if (ca == kUnsupported || cb == kUnsupported) return invalid();
  const u16 flags = ca == kSignalingNan || cb == kSignalingNan ? kIe : u16{0};
  if (!float80::is_nan(cb)) return {quieted(a), flags};
  if (!float80::is_nan(ca)) return {quieted(b), flags};
  if (ca != cb) return {ca == kQuietNan ? a : b, flags};
  if (a.significand != b.significand) return {quieted(a.significand > b.significand ? a : b), flags};
  return {quieted(a.sign() ? b : a), flags};
}

Result add(const Operand& a, const Operand& b, Control control) { return add_signed(a, b, false, control); }
Result subtract(const Operand& a, const Operand& b, Control control) { return add_signed(a, b, true, control); }

Result multiply(const Operand& a, const Operand& b, Control control) {
  const Float80Class ca = classify(a.value);
  const Float80Class cb = classify(b.value);
  if (needs_nan_rules(ca) || needs_nan_rules(cb)) return propagate_nan(a.value, b.value);
  const bool sign = a.value.sign() != b.value.sign();
  const u16 flags = denormal_flag(a, b);
  if (ca == kInfinity || cb == kInfinity) {
    if (ca == kZero || cb == kZero) return invalid();
    return {float80::infinity(sign), flags};
  }
  if (ca == kZero || cb == kZero) return {float80::zero(sign), flags};
  if (stops(flags, control)) return {a.value, flags};
  const Exact x = unpack(a.value);
  const Exact y = unpack(b.value);
  const u128 product = (x.significand >> 64) * (y.significand >> 64);
  return round_to_register(normalized(sign, x.exponent + y.exponent + 1, product), control.precision(), control, flags);
}

Result divide(const Operand& a, const Operand& b, Control control) {
  const Float80Class ca = classify(a.value);
  const Float80Class cb = classify(b.value);
  if (needs_nan_rules(ca) || needs_nan_rules(cb)) return propagate_nan(a.value, b.value);
  const bool sign = a.value.sign() != b.value.sign();
  const u16 flags = denormal_flag(a, b);
  if (ca == kInfinity) return cb == kInfinity ? invalid() : Result{float80::infinity(sign), flags};
  if (cb == kInfinity) return {float80::zero(sign), flags};
  if (cb == kZero) return ca == kZero ? invalid() : Result{float80::infinity(sign), kZe};
  if (ca == kZero) return {float80::zero(sign), flags};
  if (stops(flags, control)) return {a.value, flags};
  const Exact x = unpack(a.value);
  const Exact y = unpack(b.value);
  const u64 divisor = static_cast<u64>(y.significand >> 64);
  const u128 dividend = x.significand >> 1;  // below divisor * 2^64: the quotient's high part fits 64 bits
  const u64 high = static_cast<u64>(dividend / divisor);
  const u128 rest = (dividend - u128{high} * divisor) << 64;
  const u64 low = static_cast<u64>(rest / divisor);
  const bool sticky = rest != u128{low} * divisor;
  const u128 quotient = (u128{high} << 64) | low | (sticky ? 1 : 0);
  return round_to_register(normalized(sign, x.exponent - y.exponent, quotient), control.precision(), control, flags);
}

Result square_root(const Operand& a, Control control) {
  const Float80Class c = classify(a.value);
  if (needs_nan_rules(c)) return propagate_nan(a.value);
  if (c == kZero) return {a.value};
  if (a.value.sign()) return invalid();
  if (c == kInfinity) return {a.value};
  const u16 flags = denormal_flag(a);
  if (stops(flags, control)) return {a.value, flags};
  const Exact x = unpack(a.value);
  const bool odd = (x.exponent & 1) != 0;
  const auto [root, rest] = integer_square_root(odd ? x.significand : x.significand >> 1);
  // The next bit of the root is 1 exactly when the rest exceeds the root; it is never exactly half.
  const u64 fraction = rest == 0 ? 0 : rest > root ? ~u64{0} : 1;
  const Exact result{false, (x.exponent - (odd ? 1 : 0)) / 2, (u128{root} << 64) | fraction};
  return round_to_register(result, control.precision(), control, flags);
}

Result round_to_integer(const Operand& a, Control control) {
  const Float80Class c = classify(a.value);
  if (needs_nan_rules(c)) return propagate_nan(a.value);
  if (c == kInfinity || c == kZero) return {a.value};
  const u16 flags = denormal_flag(a);
  if (stops(flags, control)) return {a.value, flags};
  const Exact x = unpack(a.value);
  if (x.exponent >= 63) return {a.value, flags};
  const u128 fixed = shift_right_sticky(x.significand, 63 - x.exponent);
  const u64 fraction = static_cast<u64>(fixed);
  const u64 whole = static_cast<u64>(fixed >> 64);
  const bool up = rounds_up(x.sign, (whole & 1) != 0, fraction, control.rounding());
  const u64 rounded = whole + (up ? 1 : 0);
  const u16 raised = static_cast<u16>(flags | (fraction != 0 ? kPe : 0));
  if (rounded == 0) return {float80::zero(x.sign), raised, up};
  const int shift = std::countl_zero(rounded);
  const u16 sign_exponent = static_cast<u16>((x.sign ? float80::kSignBit : 0) | (float80::kBias + 63 - shift));
  return {{rounded << shift, sign_exponent}, raised, up};
}

Result scale(const Operand& a, const Operand& b, Control control) {
  const Float80Class ca = classify(a.value);
  const Float80Class cb = classify(b.value);
  if (needs_nan_rules(ca) || needs_nan_rules(cb)) return propagate_nan(a.value, b.value);
  const u16 flags = denormal_flag(a, b);
  const bool sign = a.value.sign();
  if (cb == kInfinity) {
    if (b.value.sign()) return ca == kInfinity ? invalid() : Result{float80::zero(sign), flags};
    return ca == kZero ? invalid() : Result{float80::infinity(sign), flags};
  }
  if (ca == kInfinity || ca == kZero) return {a.value, flags};
  if (stops(flags, control)) return {a.value, flags};
  Exact x = unpack(a.value);
  if (cb == kZero) return unchanged(x, control, flags);
  const Exact y = unpack(b.value);
  constexpr i32 kSaturated = 1 << 16;  // far beyond every exponent
  i32 power = 0;
  if (y.exponent >= 16) {
    power = kSaturated;
  } else if (y.exponent >= 0) {
    power = static_cast<i32>(y.significand >> (127 - y.exponent));
  }
  x.exponent += y.sign ? -power : power;
  return round_to_register(x, 64, control, flags);
}

Extracted extract(const Operand& a, Control control) {
  const Float80Class c = classify(a.value);
  if (needs_nan_rules(c)) {
    const Result nan = propagate_nan(a.value);
    return {nan.value, nan.value, nan.exceptions};
  }
  if (c == kInfinity) return {float80::infinity(false), a.value};
  if (c == kZero) return {float80::infinity(true), a.value, kZe};
  const u16 flags = denormal_flag(a);
  if (stops(flags, control)) return {a.value, a.value, flags};
  const Exact x = unpack(a.value);
  const u64 magnitude = static_cast<u64>(x.exponent < 0 ? -x.exponent : x.exponent);
  Float80 exponent = float80::kPositiveZero;
  if (magnitude != 0) {
    const int shift = std::countl_zero(magnitude);
    const int biased = float80::kBias + 63 - shift;
    exponent = {magnitude << shift, static_cast<u16>((x.exponent < 0 ? float80::kSignBit : 0) | biased)};
  }
  const u16 sign_exponent = static_cast<u16>((x.sign ? float80::kSignBit : 0) | float80::kBias);
  return {exponent, {static_cast<u64>(x.significand >> 64), sign_exponent}, flags};
}

Remainder remainder(const Operand& a, const Operand& b, bool nearest, Control control) {
  const Float80Class ca = classify(a.value);
  const Float80Class cb = classify(b.value);
  if (needs_nan_rules(ca) || needs_nan_rules(cb)) return {propagate_nan(a.value, b.value)};
  if (ca == kInfinity || cb == kZero) return {invalid()};
  const u16 flags = denormal_flag(a, b);
  if (ca == kZero) return {{a.value, flags}, true};
  if (stops(flags, control)) return {{a.value, flags}};
  const Exact x = unpack(a.value);
  if (cb == kInfinity) return {unchanged(x, control, flags), true};
  const Exact y = unpack(b.value);
  const u64 divisor = static_cast<u64>(y.significand >> 64);
  const u64 dividend = static_cast<u64>(x.significand >> 64);
  const i32 difference = x.exponent - y.exponent;
  if (difference >= 64) {
    // Reduced by 2^(difference - n) times the divisor; n between 32 and 63 is this processor's choice.
    const unsigned n = (static_cast<unsigned>(difference) & 31) | 32;
    const u128 rest = (u128{dividend} << n) % divisor;
    const Result result = rest == 0 ? Result{float80::zero(x.sign), flags}
                                    : round_to_register(normalized(x.sign, x.exponent - static_cast<i32>(n) + 64, rest),
                                                        64, control, flags);
    return {result, true, 0, true};
  }
  // value = (quotient * divisor + rest) in units of 2^(y.exponent - 63), rest doubled where a half bit is needed.
  u64 quotient = 0;
  u128 rest = 0;  // in units of half the divisor's last place
  if (difference >= 0) {
    const u128 scaled = u128{dividend} << difference;
    quotient = static_cast<u64>(scaled / divisor);
    rest = (scaled % divisor) << 1;
  } else if (difference == -1) {
    rest = dividend;
  } else {
    return {round_to_register(x, 64, control, flags), true};
  }
  bool sign = x.sign;
  if (nearest) {
    const u128 twice = rest << 1;
    const u128 whole = u128{divisor} << 1;
    if (twice > whole || (twice == whole && (quotient & 1) != 0)) {
      rest = whole - rest;
      sign = !sign;
      ++quotient;
    }
  }
  const u8 low_quotient = static_cast<u8>(quotient & 7);
  if (rest == 0) return {{float80::zero(x.sign), flags}, true, low_quotient};
  return {round_to_register(normalized(sign, y.exponent + 63, rest), 64, control, flags), true, low_quotient};
}

Comparison compare(const Operand& a, const Operand& b, bool quiet) {
  const Float80Class ca = classify(a.value);
  const Float80Class cb = classify(b.value);
  if (needs_nan_rules(ca) || needs_nan_rules(cb)) {
    const bool both_quiet = ca != kUnsupported && cb != kUnsupported && ca != kSignalingNan && cb != kSignalingNan;
    return {Order::kUnordered, quiet && both_quiet ? u16{0} : kIe};
  }
  const u16 flags = denormal_flag(a, b);
  if (ca == kZero && cb == kZero) return {Order::kEqual, flags};
  const bool sign_a = a.value.sign();
  const bool sign_b = b.value.sign();
  if (ca == kZero) return {sign_b ? Order::kGreater : Order::kLess, flags};
  if (cb == kZero) return {sign_a ? Order::kLess : Order::kGreater, flags};
  if (sign_a != sign_b) return {sign_a ? Order::kLess : Order::kGreater, flags};
  // A pseudo-denormal reads as exponent 1.
  const auto key = [](const Float80& v) {
    const u64 exponent = v.exponent() == 0 ? 1 : v.exponent();
    return (u128{exponent} << 64) | v.significand;
  };
  const u128 key_a = key(a.value);
  const u128 key_b = key(b.value);
  if (key_a == key_b) return {Order::kEqual, flags};
  return {(key_a > key_b) != sign_a ? Order::kGreater : Order::kLess, flags};
}

}  // namespace bhvm::x87
