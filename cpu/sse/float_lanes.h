// Floating-point instructions that are made of simpler ones, and those that are computed in software on every host:
// ADDSUBxx, HADDxx, HSUBxx, DPPx, ROUNDxx, RCPxx, RSQRTxx.
//
// A lane that an instruction does not use takes part as zero, which raises no flag.
#pragma once

#include "cpu/sse/float_ops.h"

namespace bhvm::sse::fp {

/// The bits of one lane.
template <class T>
using Bits = std::conditional_t<sizeof(T) == 4, u32, u64>;

template <class V>
BHVM_INLINE V masked(V a, Recast<Bits<LaneType<V>>, V> mask) {
  return as<V>(as<decltype(mask)>(a) & mask);
}

/// ADDSUBPS, ADDSUBPD: even lanes subtract, odd lanes add.
template <class V>
BHVM_INLINE V add_subtract(V a, V b) {
  Recast<Bits<LaneType<V>>, V> odd{};
  for (unsigned i = 1; i < kLanes<V>; i += 2) odd[i] = static_cast<Bits<LaneType<V>>>(-1);
  const V differences = subtract(masked(a, ~odd), masked(b, ~odd));
  const V sums = add(masked(a, odd), masked(b, odd));
  return as<V>((as<decltype(odd)>(differences) & ~odd) | (as<decltype(odd)>(sums) & odd));
}

BHVM_INLINE f32x4 even_lanes(f32x4 a, f32x4 b) { return __builtin_shufflevector(a, b, 0, 2, 4, 6); }
BHVM_INLINE f32x4 odd_lanes(f32x4 a, f32x4 b) { return __builtin_shufflevector(a, b, 1, 3, 5, 7); }
BHVM_INLINE f64x2 even_lanes(f64x2 a, f64x2 b) { return __builtin_shufflevector(a, b, 0, 2); }
BHVM_INLINE f64x2 odd_lanes(f64x2 a, f64x2 b) { return __builtin_shufflevector(a, b, 1, 3); }

/// HADDPS, HADDPD.
template <class V>
BHVM_INLINE V add_neighbours(V a, V b) {
  return add(even_lanes(a, b), odd_lanes(a, b));
}
/// HSUBPS, HSUBPD.
template <class V>
BHVM_INLINE V subtract_neighbours(V a, V b) {
  return subtract(even_lanes(a, b), odd_lanes(a, b));
}

/// DPPS: products of the lanes in imm[7:4], added in pairs, then the pairs; the sum into the lanes in imm[3:0]. Each
/// lane adds its own product first: of several NaNs a lane yields the nearest one, as Intel's processors do.
inline f32x4 dot_product(f32x4 a, f32x4 b, Imm imm) {
  u32x4 used{};
  u32x4 filled{};
  for (unsigned i = 0; i < 4; ++i) {
    used[i] = ((imm.value >> (4 + i)) & 1) != 0 ? ~u32{0} : 0;
    filled[i] = ((imm.value >> i) & 1) != 0 ? ~u32{0} : 0;
  }
  const f32x4 products = multiply(masked(a, used), masked(b, used));
  const f32x4 pairs = add(__builtin_shufflevector(products, products, 1, 0, 3, 2), products);
  const f32x4 sum = add(pairs, __builtin_shufflevector(pairs, pairs, 2, 3, 0, 1));
  return masked(sum, filled);
}
/// DPPD.
inline f64x2 dot_product_doubles(f64x2 a, f64x2 b, Imm imm) {
  u64x2 used{};
  u64x2 filled{};
  for (unsigned i = 0; i < 2; ++i) {
    used[i] = ((imm.value >> (4 + i)) & 1) != 0 ? ~u64{0} : 0;
    filled[i] = ((imm.value >> i) & 1) != 0 ? ~u64{0} : 0;
  }
  const f64x2 products = multiply(masked(a, used), masked(b, used));
  const f64x2 sum = add(products, __builtin_shufflevector(products, products, 1, 0));
  return masked(sum, filled);
}

/// The fields of a float or double.
template <class T>
struct Format {
  using U = Bits<T>;
  static constexpr unsigned kFractionBits = sizeof(T) == 4 ? 23 : 52;
  static constexpr int kBias = sizeof(T) == 4 ? 127 : 1023;
  static constexpr U kSign = U{1} << (8 * sizeof(T) - 1);
  static constexpr U kFraction = (U{1} << kFractionBits) - 1;
  static constexpr U kInfinity = static_cast<U>(2 * kBias + 1) << kFractionBits;
  static constexpr U kQuiet = U{1} << (kFractionBits - 1);
  static constexpr U kIndefinite = kSign | kInfinity | kQuiet;

  static constexpr bool is_nan(U v) { return (v & ~kSign) > kInfinity; }
  static constexpr bool is_denormal(U v) { return (v & kInfinity) == 0 && (v & kFraction) != 0; }
};

/// ROUNDxx: to an integral value. imm[2]: the rounding of MXCSR, else imm[1:0]; imm[3]: inexact is not flagged.
template <class T>
inline Bits<T> round_bits(Bits<T> a, Imm imm) {
  using F = Format<T>;
  using U = Bits<T>;
  const u32 control = host_mxcsr();
  const unsigned mode = (imm.value & 4) != 0 ? (control & mxcsr::kRounding) >> mxcsr::kRoundingShift : imm.value & 3u;
  const U sign = a & F::kSign;
  U magnitude = a & ~F::kSign;
  if (F::is_nan(a)) {
    if ((a & F::kQuiet) == 0) raise_flags(mxcsr::kIe);
    return a | F::kQuiet;
  }
  if ((control & mxcsr::kDaz) != 0 && F::is_denormal(a)) magnitude = 0;
  const int exponent = static_cast<int>(magnitude >> F::kFractionBits) - F::kBias;
  if (magnitude == 0 || exponent >= static_cast<int>(F::kFractionBits)) return sign | magnitude;

  // The integer bits of the magnitude, and whether the fraction below them rounds up.
  const bool up = mode == 1 ? sign != 0 : mode == 2 && sign == 0;
  U result;
  bool inexact;
  if (exponent < 0) {
    constexpr U kOne = static_cast<U>(F::kBias) << F::kFractionBits;
    constexpr U kHalf = static_cast<U>(F::kBias - 1) << F::kFractionBits;
    inexact = true;
    result = up || (mode == 0 && magnitude > kHalf) ? kOne : 0;
  } else {
    const unsigned fraction_bits = F::kFractionBits - static_cast<unsigned>(exponent);
    const U unit = U{1} << fraction_bits;
    const U fraction = magnitude & (unit - 1);
    result = magnitude - fraction;
    inexact = fraction != 0;
    const U half = unit >> 1;
    const bool nearest_up = fraction > half || (fraction == half && (magnitude & unit) != 0);
    if (inexact && (up || (mode == 0 && nearest_up))) result += unit;  // a carry into the exponent is right
  }
  if (inexact && (imm.value & 8) == 0) raise_flags(mxcsr::kPe);
  return sign | result;
}
template <class V>
inline V round(V a, Imm imm) {
  if constexpr (std::is_floating_point_v<V>) {
    return as<V>(round_bits<V>(as<Bits<V>>(a), imm));
  } else {
    auto bits = as_lanes<Bits<LaneType<V>>>(a);
    for (unsigned i = 0; i < kLanes<V>; ++i) bits[i] = round_bits<LaneType<V>>(bits[i], imm);
    return as<V>(bits);
  }
}

/// RCPSS: the reciprocal, rounded to nearest at 12 fraction bits (relative error at most 2^-13; the SDM allows
/// 1.5 * 2^-12 and leaves the bits to the processor, so bhvm has this one definition). Denormals count as zero, tiny
/// results become zero, no exception is raised, MXCSR is not looked at (SDM 2, RCPPS).
inline u32 reciprocal(u32 a) {
  using F = Format<float>;
  const u32 sign = a & F::kSign;
  const u32 magnitude = a & ~F::kSign;
  if (F::is_nan(a)) return a | F::kQuiet;
  if (magnitude == F::kInfinity) return sign;
  if (magnitude <= F::kFraction) return sign | F::kInfinity;
  const u32 significand = (magnitude & F::kFraction) | (1u << 23);  // times 2^-23: 1 <= m < 2
  const int exponent = static_cast<int>(magnitude >> 23) - F::kBias;
  // 2 / m in (1, 2], with 12 fraction bits: 2^(1 + 12 + 23) / significand, to nearest.
  const u64 quotient = ((u64{1} << 37) / significand + 1) >> 1;
  const int result_exponent = -1 - exponent;
  const int biased = result_exponent + F::kBias + static_cast<int>(quotient >> 13);
  if (biased <= 0) return sign;
  return sign | static_cast<u32>(biased) << 23 | static_cast<u32>(quotient & 0xFFF) << 11;
}

/// RSQRTSS: the reciprocal of the square root, rounded to 12 fraction bits of a truncated quotient (relative error
/// below 2^-12.9). Denormals count as zero; negative numbers yield the indefinite; no exception (SDM 2, RSQRTPS).
inline u32 reciprocal_square_root(u32 a) {
  using F = Format<float>;
  const u32 magnitude = a & ~F::kSign;
  if (F::is_nan(a)) return a | F::kQuiet;
  if (magnitude <= F::kFraction) return (a & F::kSign) | F::kInfinity;
  if (a != magnitude) return F::kIndefinite;
  if (magnitude == F::kInfinity) return 0;
  int exponent = static_cast<int>(magnitude >> 23) - F::kBias;
  u64 significand = (magnitude & F::kFraction) | (1u << 23);  // times 2^-23: 1 <= m < 4, with an even exponent
  if ((exponent & 1) != 0) {
    significand <<= 1;
    exponent -= 1;
  }
  // 2 / sqrt(m) in (1, 2], with 13 fraction bits: the square root of 2^28 / m.
  const u64 square = (u64{1} << 51) / significand;
  u64 root = 0;
  for (u64 bit = u64{1} << 14; bit != 0; bit >>= 1) {
    if ((root | bit) * (root | bit) <= square) root |= bit;
  }
  root = (root + 1) >> 1;
  const int biased = -exponent / 2 - 1 + F::kBias + static_cast<int>(root >> 13);
  return static_cast<u32>(biased) << 23 | static_cast<u32>(root & 0xFFF) << 11;
}

/// RCPPS, RSQRTPS.
template <u32 (*lane)(u32)>
inline u32x4 each_lane(u32x4 a) {
  for (unsigned i = 0; i < 4; ++i) a[i] = lane(a[i]);
  return a;
}

// ---- conversions of half registers and of MMX operands ----

BHVM_INLINE f64x2 int32x2_to_doubles(u64 a) { return low_int32x2_to_doubles(u64x2{a, 0}); }
BHVM_INLINE f64x2 singles_to_doubles(u64 a) { return low_singles_to_doubles(u64x2{a, 0}); }
BHVM_INLINE u64 int32x2_to_singles(u64 a) { return as<u64x2>(int32x4_to_singles(as<i32x4>(u64x2{a, 0})))[0]; }
BHVM_INLINE u64 singles_to_int32x2(u64 a) { return as<u64x2>(singles_to_int32x4(as<f32x4>(u64x2{a, 0})))[0]; }
BHVM_INLINE u64 singles_to_int32x2_truncate(u64 a) {
  return as<u64x2>(singles_to_int32x4_truncate(as<f32x4>(u64x2{a, 0})))[0];
}
BHVM_INLINE u64 doubles_to_int32x2_mmx(f64x2 a) { return doubles_to_int32x2(a)[0]; }
BHVM_INLINE u64 doubles_to_int32x2_truncate_mmx(f64x2 a) { return doubles_to_int32x2_truncate(a)[0]; }

}  // namespace bhvm::sse::fp
