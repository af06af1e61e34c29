#include "cpu/sse/soft_float.h"

#include <bit>

#include "cpu/sse/mxcsr.h"
#include "cpu/x87/rounding.h"

namespace bhvm::sse::soft {
namespace {

using x87::Exact;
using x87::RoundingMode;

RoundingMode rounding(const Context& context) {
  return static_cast<RoundingMode>((context.mxcsr & mxcsr::kRounding) >> mxcsr::kRoundingShift);
}

/// The x87 control word with MXCSR's rounding and masks: the exceptions have the same bits in both.
x87::Control control(const Context& context, u32 unmask = 0) {
  const u32 masks = (context.mxcsr >> mxcsr::kMaskShift) & mxcsr::kFlags & ~unmask;
  return {static_cast<u16>(masks | static_cast<u32>(rounding(context)) << x87_control::kRoundingShift)};
}

int leading_zeros(u128 value) {
  const u64 high = static_cast<u64>(value >> 64);
  return high != 0 ? std::countl_zero(high) : 64 + std::countl_zero(static_cast<u64>(value));
}

u128 shift_right_sticky(u128 value, int count) {
  if (count == 0) return value;
  if (count > 127) return value != 0 ? 1 : 0;
  return (value >> count) | ((value << (128 - count)) != 0 ? 1 : 0);
}

/// Shifts the significand up to bit 127; it is not zero.
Exact normalized(bool sign, int exponent, u128 significand) {
  const int shift = leading_zeros(significand);
  return {sign, exponent - shift, significand << shift};
}

/// A finite number other than zero.
template <class U>
Exact unpack(U v) {
  using F = Format<U>;
  const int biased = static_cast<int>(F::magnitude(v) >> F::kFractionBits);
  const U significand = (v & F::kFraction) | (biased != 0 ? U{1} << F::kFractionBits : U{0});
  const int exponent = (biased != 0 ? biased : 1) - F::kBias;
  return normalized((v & F::kSign) != 0, exponent + (127 - static_cast<int>(F::kFractionBits)), u128{significand});
}

template <class U>
U signed_zero(bool sign) {
  return sign ? Format<U>::kSign : U{0};
}

template <class U>
U pack(const Exact& exact, Context& context) {
  using F = Format<U>;
  // The wrapped result of an unmasked overflow or underflow, which SSE does not deliver, always has an exponent.
  constexpr i32 kWrap = 8192;
  constexpr x87::Format kFormat{F::kFractionBits + 1, 1 - F::kBias, F::kBias, kWrap};
  // With underflow unmasked, UE tells a tiny result from one that is not, exact or not.
  x87::Rounded rounded = round_to_format(exact, kFormat, control(context, mxcsr::kUe));
  if ((rounded.exceptions & mxcsr::kUe) != 0 && (mxcsr::unmasked(context.mxcsr) & mxcsr::kUe) == 0) {
    if ((context.mxcsr & mxcsr::kFz) != 0) {
      context.flags |= mxcsr::kUe | mxcsr::kPe;
      return signed_zero<U>(exact.sign);
    }
    rounded = round_to_format(exact, kFormat, control(context));
  }
  context.flags |= rounded.exceptions;
  const U sign = signed_zero<U>(exact.sign);
  if (rounded.infinite) return sign | F::kInfinity;
  const U significand = static_cast<U>(rounded.significand >> (63 - F::kFractionBits));
  if ((rounded.significand >> 63) == 0) return sign | significand;
  return sign | static_cast<U>(static_cast<U>(rounded.exponent + F::kBias) << F::kFractionBits) |
         (significand & F::kFraction);
}

template <class U>
U invalid(Context& context) {
  context.flags |= mxcsr::kIe;
  return Format<U>::kIndefinite;
}

/// A denormal operand: zero under DAZ, otherwise flagged.
template <class U>
void look_at_denormal(U& v, Context& context) {
  if (!Format<U>::is_denormal(v)) return;
  if ((context.mxcsr & mxcsr::kDaz) != 0) {
    v &= Format<U>::kSign;
  } else {
    context.flags |= mxcsr::kDe;
  }
}

/// SDM 1, table 4-7: the first operand that is a NaN, made quiet.
template <class U>
U propagate_nan(U a, U b, Context& context) {
  using F = Format<U>;
  if (F::is_signaling(a) || F::is_signaling(b)) context.flags |= mxcsr::kIe;
  return (F::is_nan(a) ? a : b) | F::kQuiet;
}

template <class U>
bool sign_of(U v) {
  return (v & Format<U>::kSign) != 0;
}

}  // namespace

template <class U>
U add(U a, U b, Context& context) {
  using F = Format<U>;
  if (F::is_nan(a) || F::is_nan(b)) return propagate_nan(a, b, context);
  if (F::is_infinite(a) && F::is_infinite(b) && a != b) return invalid<U>(context);
  look_at_denormal(a, context);
  look_at_denormal(b, context);
  if (F::is_infinite(a)) return a;
  if (F::is_infinite(b)) return b;
  if (F::is_zero(a) && F::is_zero(b)) {
    if (a == b) return a;
    return signed_zero<U>(rounding(context) == RoundingMode::kDown);
  }
  if (F::is_zero(a)) return pack<U>(unpack(b), context);
  if (F::is_zero(b)) return pack<U>(unpack(a), context);
  Exact x = unpack(a);
  Exact y = unpack(b);
  if (x.exponent < y.exponent || (x.exponent == y.exponent && x.significand < y.significand)) std::swap(x, y);
  const u128 smaller = shift_right_sticky(y.significand >> 1, x.exponent - y.exponent);
  const u128 larger = x.significand >> 1;
  const u128 sum = x.sign == y.sign ? larger + smaller : larger - smaller;
  if (sum == 0) return signed_zero<U>(rounding(context) == RoundingMode::kDown);
  return pack<U>(normalized(x.sign, x.exponent + 1, sum), context);
}

template <class U>
U subtract(U a, U b, Context& context) {
  using F = Format<U>;
  return add(a, F::is_nan(b) ? b : static_cast<U>(b ^ F::kSign), context);
}

template <class U>
U multiply(U a, U b, Context& context) {
  using F = Format<U>;
  if (F::is_nan(a) || F::is_nan(b)) return propagate_nan(a, b, context);
  const bool daz = (context.mxcsr & mxcsr::kDaz) != 0;
  const auto counts_as_zero = [daz](U v) { return F::is_zero(v) || (daz && F::is_denormal(v)); };
  if ((F::is_infinite(a) && counts_as_zero(b)) || (F::is_infinite(b) && counts_as_zero(a))) return invalid<U>(context);
  look_at_denormal(a, context);
  look_at_denormal(b, context);
  const bool sign = sign_of(a) != sign_of(b);
  if (F::is_infinite(a) || F::is_infinite(b)) return signed_zero<U>(sign) | F::kInfinity;
  if (F::is_zero(a) || F::is_zero(b)) return signed_zero<U>(sign);
  const Exact x = unpack(a);
  const Exact y = unpack(b);
  const u128 product = u128{static_cast<u64>(x.significand >> 64)} * static_cast<u64>(y.significand >> 64);
  return pack<U>(normalized(sign, x.exponent + y.exponent + 1, product), context);
}

template <class U>
U divide(U a, U b, Context& context) {
  using F = Format<U>;
  if (F::is_nan(a) || F::is_nan(b)) return propagate_nan(a, b, context);
  const bool daz = (context.mxcsr & mxcsr::kDaz) != 0;
  const auto counts_as_zero = [daz](U v) { return F::is_zero(v) || (daz && F::is_denormal(v)); };
  if (F::is_infinite(a) && F::is_infinite(b)) return invalid<U>(context);
  if (counts_as_zero(a) && counts_as_zero(b)) return invalid<U>(context);
  const bool sign = sign_of(a) != sign_of(b);
  if (counts_as_zero(b) && !F::is_infinite(a)) {  // a denormal dividend is not flagged then
    context.flags |= mxcsr::kZe;
    return signed_zero<U>(sign) | F::kInfinity;
  }
  look_at_denormal(a, context);
  look_at_denormal(b, context);
  if (F::is_infinite(a)) return signed_zero<U>(sign) | F::kInfinity;
  if (F::is_infinite(b) || F::is_zero(a)) return signed_zero<U>(sign);
  const Exact x = unpack(a);
  const Exact y = unpack(b);
  // Significands as integers of 64 bits with the top bit set: the quotient has 62 to 64 bits, the remainder is sticky.
  const u128 dividend = x.significand >> 1;
  const u64 divisor = static_cast<u64>(y.significand >> 64);
  const u128 quotient = (dividend / divisor) << 1 | (dividend % divisor != 0 ? 1 : 0);
  return pack<U>(normalized(sign, x.exponent - y.exponent + 63, quotient), context);
}

template <class U>
U square_root(U a, Context& context) {
  using F = Format<U>;
  if (F::is_nan(a)) return propagate_nan(a, a, context);
  if ((context.mxcsr & mxcsr::kDaz) != 0 && F::is_denormal(a)) a &= F::kSign;
  if (F::is_zero(a)) return a;
  if (sign_of(a)) return invalid<U>(context);
  look_at_denormal(a, context);
  if (F::is_infinite(a)) return a;
  Exact x = unpack(a);
  // m in [1, 4) with an even exponent, as m * 2^124: the root in [1, 2) as r * 2^62.
  const bool odd = (x.exponent & 1) != 0;
  const u128 radicand = x.significand >> (odd ? 2 : 3);
  u128 root = 0;
  for (u128 bit = u128{1} << 62; bit != 0; bit >>= 1) {
    if ((root | bit) * (root | bit) <= radicand) root |= bit;
  }
  const u128 sticky = root * root != radicand ? 1 : 0;
  const int exponent = (x.exponent - (odd ? 1 : 0)) / 2;
  return pack<U>(normalized(false, exponent + 64, root << 1 | sticky), context);
}

template <class U>
Order compare(U a, U b, bool quiet, Context& context) {
  using F = Format<U>;
  if (F::is_nan(a) || F::is_nan(b)) {
    if (!quiet || F::is_signaling(a) || F::is_signaling(b)) context.flags |= mxcsr::kIe;
    return Order::kUnordered;
  }
  look_at_denormal(a, context);
  look_at_denormal(b, context);
  // Sign and magnitude as two's complement.
  using S = std::make_signed_t<U>;
  const auto key = [](U v) {
    return sign_of(v) ? static_cast<S>(-static_cast<S>(F::magnitude(v))) : static_cast<S>(v);
  };
  const S x = key(a);
  const S y = key(b);
  return x < y ? Order::kLess : x == y ? Order::kEqual : Order::kGreater;
}

template <class U>
U minimum(U a, U b, Context& context) {
  const Order order = compare(a, b, false, context);
  U chosen = order == Order::kLess ? a : b;
  if ((context.mxcsr & mxcsr::kDaz) != 0 && Format<U>::is_denormal(chosen)) chosen &= Format<U>::kSign;
  return chosen;
}
template <class U>
U maximum(U a, U b, Context& context) {
  const Order order = compare(a, b, false, context);
  U chosen = order == Order::kGreater ? a : b;
  if ((context.mxcsr & mxcsr::kDaz) != 0 && Format<U>::is_denormal(chosen)) chosen &= Format<U>::kSign;
  return chosen;
}

template <class U>
U round(U a, u8 imm, Context& context) {
  using F = Format<U>;
  if (F::is_nan(a)) return propagate_nan(a, a, context);
  const auto mode = (imm & 4) != 0 ? rounding(context) : static_cast<RoundingMode>(imm & 3);
  const bool negative = sign_of(a);
  const U sign = signed_zero<U>(negative);
  U magnitude = F::magnitude(a);
  if ((context.mxcsr & mxcsr::kDaz) != 0 && F::is_denormal(a)) magnitude = 0;
  const int exponent = static_cast<int>(magnitude >> F::kFractionBits) - F::kBias;
  if (magnitude == 0 || exponent >= static_cast<int>(F::kFractionBits)) return sign | magnitude;

  U result;
  u64 fraction;  // left-aligned
  bool up;
  if (exponent < 0) {
    constexpr U kOne = static_cast<U>(F::kBias) << F::kFractionBits;
    constexpr U kHalf = static_cast<U>(F::kBias - 1) << F::kFractionBits;
    fraction = magnitude < kHalf ? 1 : magnitude == kHalf ? u64{1} << 63 : (u64{1} << 63) | 1;
    up = x87::rounds_up(negative, false, fraction, mode);
    result = up ? kOne : 0;
  } else {
    const unsigned fraction_bits = F::kFractionBits - static_cast<unsigned>(exponent);
    const U unit = U{1} << fraction_bits;
    fraction = u64{magnitude & (unit - 1)} << (64 - fraction_bits);
    up = x87::rounds_up(negative, (magnitude & unit) != 0, fraction, mode);
    result = (magnitude & ~(unit - 1)) + (up ? unit : 0);  // a carry into the exponent is right
  }
  if (fraction != 0 && (imm & 8) == 0) context.flags |= mxcsr::kPe;
  return sign | result;
}

u64 single_to_double(u32 a, Context& context) {
  using From = Format<u32>;
  using To = Format<u64>;
  const u64 sign = signed_zero<u64>(sign_of(a));
  if (From::is_nan(a)) {
    if (From::is_signaling(a)) context.flags |= mxcsr::kIe;
    return sign | To::kInfinity | To::kQuiet | u64{a & From::kFraction} << (To::kFractionBits - From::kFractionBits);
  }
  look_at_denormal(a, context);
  if (From::is_infinite(a)) return sign | To::kInfinity;
  if (From::is_zero(a)) return sign;
  return pack<u64>(unpack(a), context);
}

u32 double_to_single(u64 a, Context& context) {
  using From = Format<u64>;
  using To = Format<u32>;
  const u32 sign = signed_zero<u32>(sign_of(a));
  if (From::is_nan(a)) {
    if (From::is_signaling(a)) context.flags |= mxcsr::kIe;
    return sign | To::kInfinity | To::kQuiet |
           static_cast<u32>((a & From::kFraction) >> (From::kFractionBits - To::kFractionBits));
  }
  look_at_denormal(a, context);
  if (From::is_infinite(a)) return sign | To::kInfinity;
  if (From::is_zero(a)) return sign;
  return pack<u32>(unpack(a), context);
}

template <class U>
U from_integer(i64 a, Context& context) {
  if (a == 0) return 0;
  const u64 magnitude = a < 0 ? 0 - static_cast<u64>(a) : static_cast<u64>(a);
  return pack<U>(normalized(a < 0, 127, u128{magnitude}), context);
}

template <class U>
u64 to_integer(U a, unsigned bits, bool truncate, Context& context) {
  using F = Format<U>;
  const u64 indefinite = bits == 64 ? u64{1} << 63 : u64{0x80000000};
  const auto refuse = [&] {
    context.flags |= mxcsr::kIe;
    return indefinite;
  };
  if (F::is_nan(a) || F::is_infinite(a)) return refuse();
  if (F::is_zero(a) || ((context.mxcsr & mxcsr::kDaz) != 0 && F::is_denormal(a))) return 0;
  const Exact x = unpack(a);
  if (x.exponent > 63) return refuse();
  // 64 bits before the binary point, 64 behind it.
  const u128 fixed = shift_right_sticky(x.significand, 63 - x.exponent);
  const u64 fraction = static_cast<u64>(fixed);
  const u64 integer = static_cast<u64>(fixed >> 64);
  const RoundingMode mode = truncate ? RoundingMode::kTowardZero : rounding(context);
  const bool up = x87::rounds_up(x.sign, (integer & 1) != 0, fraction, mode);
  const u64 magnitude = integer + (up ? 1 : 0);
  if (magnitude < integer || magnitude > indefinite - (x.sign ? 0 : 1)) return refuse();
  if (fraction != 0) context.flags |= mxcsr::kPe;
  const u64 value = x.sign ? 0 - magnitude : magnitude;
  return bits == 64 ? value : value & 0xFFFFFFFF;
}

#define BHVM_INSTANTIATE(U)                     \
  template U add(U, U, Context&);               \
  template U subtract(U, U, Context&);          \
  template U multiply(U, U, Context&);          \
  template U divide(U, U, Context&);            \
  template U square_root(U, Context&);          \
  template U minimum(U, U, Context&);           \
  template U maximum(U, U, Context&);           \
  template Order compare(U, U, bool, Context&); \
  template U round(U, u8, Context&);            \
  template U from_integer(i64, Context&);       \
  template u64 to_integer(U, unsigned, bool, Context&);
BHVM_INSTANTIATE(u32)
BHVM_INSTANTIATE(u64)
#undef BHVM_INSTANTIATE

}  // namespace bhvm::sse::soft
