// Integer arithmetic, comparison, logic and shifts on lanes: the meaning of the MMX and SSE2 integer instructions, and
// of the later ones of the same kind (SDM 1, 9.4, 11.4.2, 12.6, 12.8).
//
// Each is written once for a lane type and any vector length; the instruction's table row picks the type. The first
// operand is the destination.
#pragma once

#include <limits>

#include "cpu/sse/vector.h"

namespace bhvm::sse::inline BHVM_SSE_HOST {

template <class V>
BHVM_INLINE V add(V a, V b) {
  return a + b;
}
template <class V>
BHVM_INLINE V subtract(V a, V b) {
  return a - b;
}
template <class V>
BHVM_INLINE V bit_and(V a, V b) {
  return a & b;
}
template <class V>
BHVM_INLINE V and_not(V a, V b) {
  return ~a & b;
}
template <class V>
BHVM_INLINE V bit_or(V a, V b) {
  return a | b;
}
template <class V>
BHVM_INLINE V bit_xor(V a, V b) {
  return a ^ b;
}

template <class V>
BHVM_INLINE V equal(V a, V b) {
  return as<V>(a == b);
}
template <class V>
BHVM_INLINE V greater(V a, V b) {
  return as<V>(a > b);
}
template <class V>
BHVM_INLINE V minimum(V a, V b) {
  return a < b ? a : b;
}
template <class V>
BHVM_INLINE V maximum(V a, V b) {
  return a > b ? a : b;
}

/// The signed type of twice the width.
template <class T>
using Wider = std::conditional_t<sizeof(T) == 1, i16, std::conditional_t<sizeof(T) == 2, i32, i64>>;

/// Lanes of a wider type brought into the range of T.
template <class T, class W>
BHVM_INLINE void clamp_to(W& wide) {
  using Wide = LaneType<W>;
  const W low = splat<W>(std::numeric_limits<T>::min());
  const W high = splat<W>(static_cast<Wide>(std::numeric_limits<T>::max()));
  wide = wide < low ? low : wide;
  wide = wide > high ? high : wide;
}

template <class V>
BHVM_INLINE V add_saturate(V a, V b) {
  using T = LaneType<V>;
  auto wide = convert_lanes<Wider<T>>(a) + convert_lanes<Wider<T>>(b);
  clamp_to<T>(wide);
  return convert_lanes<T>(wide);
}
template <class V>
BHVM_INLINE V subtract_saturate(V a, V b) {
  using T = LaneType<V>;
  auto wide = convert_lanes<Wider<T>>(a) - convert_lanes<Wider<T>>(b);
  clamp_to<T>(wide);
  return convert_lanes<T>(wide);
}

/// PAVGB, PAVGW.
template <class V>
BHVM_INLINE V average(V a, V b) {
  using T = LaneType<V>;
  using W = std::make_unsigned_t<Wider<T>>;
  return convert_lanes<T>((convert_lanes<W>(a) + convert_lanes<W>(b) + 1) >> 1);
}

/// PMULLW, PMULLD: the low half of each product.
template <class V>
BHVM_INLINE V multiply_low(V a, V b) {
  using U = std::conditional_t<sizeof(LaneType<V>) == 2, u16, u32>;
  return as<V>(as_lanes<U>(a) * as_lanes<U>(b));
}
/// PMULHW, PMULHUW: the high half.
template <class V>
BHVM_INLINE V multiply_high(V a, V b) {
  using T = LaneType<V>;
  using W = std::conditional_t<std::is_signed_v<T>, i32, u32>;
  return convert_lanes<T>((convert_lanes<W>(a) * convert_lanes<W>(b)) >> 16);
}
/// PMULHRSW: the high half, rounded.
template <class V>
BHVM_INLINE V multiply_high_round(V a, V b) {
  return convert_lanes<i16>((((convert_lanes<i32>(a) * convert_lanes<i32>(b)) >> 14) + 1) >> 1);
}
/// PMULUDQ, PMULDQ: the even 32-bit lanes to 64-bit products; T is u32 or i32.
template <class T, class V>
BHVM_INLINE V multiply_even(V a, V b) {
  V product;
  for (unsigned i = 0; i < kLanes<V>; ++i) {
    if constexpr (std::is_signed_v<T>) {
      product[i] = static_cast<u64>(static_cast<i64>(static_cast<T>(a[i])) * static_cast<T>(b[i]));
    } else {
      product[i] = u64{static_cast<T>(a[i])} * static_cast<T>(b[i]);
    }
  }
  return product;
}
/// PMADDWD: products of 16-bit lanes, neighbours added. (-32768)^2 twice wraps to 80000000H.
template <class V>
BHVM_INLINE V multiply_add(V a, V b) {
  Recast<u32, V> sums;
  for (unsigned i = 0; i < kLanes<V> / 2; ++i) {
    sums[i] = static_cast<u32>(a[2 * i] * b[2 * i]) + static_cast<u32>(a[2 * i + 1] * b[2 * i + 1]);
  }
  return as<V>(sums);
}
/// PMADDUBSW: unsigned bytes of `a` times signed bytes of `b`, neighbours added with saturation.
template <class V>
BHVM_INLINE V multiply_add_bytes(V a, V b) {
  Recast<i16, V> sums;
  for (unsigned i = 0; i < kLanes<V> / 2; ++i) {
    const int sum = a[2 * i] * static_cast<i8>(b[2 * i]) + a[2 * i + 1] * static_cast<i8>(b[2 * i + 1]);
    sums[i] = static_cast<i16>(sum < -32768 ? -32768 : sum > 32767 ? 32767 : sum);
  }
  return as<V>(sums);
}
/// PSADBW: for each 8 bytes the sum of absolute differences.
template <class V>
BHVM_INLINE V sum_of_differences(V a, V b) {
  const V difference = maximum(a, b) - minimum(a, b);
  // Adds neighbours, three times: bytes to words to doublewords to quadwords.
  const auto words = as_lanes<u16>(difference);
  const auto word_sums = (words & 0xFF) + (words >> 8);
  const auto doublewords = as_lanes<u32>(word_sums);
  const auto doubleword_sums = (doublewords & 0xFFFF) + (doublewords >> 16);
  const auto quadwords = as_lanes<u64>(doubleword_sums);
  return as<V>((quadwords & 0xFFFFFFFF) + (quadwords >> 32));
}

/// PABSB, PABSW, PABSD.
template <class V>
BHVM_INLINE V absolute(V a) {
  using U = Relane<std::make_unsigned_t<LaneType<V>>, V>;
  return as<V>(a < 0 ? U{} - as<U>(a) : as<U>(a));
}
/// PSIGNB, PSIGNW, PSIGND: `a`, negated or zeroed by the sign of `b`.
template <class V>
BHVM_INLINE V sign(V a, V b) {
  using U = Relane<std::make_unsigned_t<LaneType<V>>, V>;
  const U kept = b == 0 ? U{} : as<U>(a);
  return as<V>(b < 0 ? U{} - kept : kept);
}

/// PHADDW, PHADDD, PHSUBW, PHSUBD: neighbours combined, those of `a` first. Lanes are unsigned.
template <class V>
BHVM_INLINE V add_neighbours(V a, V b) {
  constexpr unsigned half = kLanes<V> / 2;
  V result;
  for (unsigned i = 0; i < half; ++i) {
    result[i] = static_cast<LaneType<V>>(a[2 * i] + a[2 * i + 1]);
    result[half + i] = static_cast<LaneType<V>>(b[2 * i] + b[2 * i + 1]);
  }
  return result;
}
template <class V>
BHVM_INLINE V subtract_neighbours(V a, V b) {
  constexpr unsigned half = kLanes<V> / 2;
  V result;
  for (unsigned i = 0; i < half; ++i) {
    result[i] = static_cast<LaneType<V>>(a[2 * i] - a[2 * i + 1]);
    result[half + i] = static_cast<LaneType<V>>(b[2 * i] - b[2 * i + 1]);
  }
  return result;
}
constexpr i16 saturate_word(int value) {
  return static_cast<i16>(value < -32768 ? -32768 : value > 32767 ? 32767 : value);
}
/// PHADDSW, PHSUBSW.
template <class V>
BHVM_INLINE V add_neighbours_saturate(V a, V b) {
  constexpr unsigned half = kLanes<V> / 2;
  V result;
  for (unsigned i = 0; i < half; ++i) {
    result[i] = saturate_word(a[2 * i] + a[2 * i + 1]);
    result[half + i] = saturate_word(b[2 * i] + b[2 * i + 1]);
  }
  return result;
}
template <class V>
BHVM_INLINE V subtract_neighbours_saturate(V a, V b) {
  constexpr unsigned half = kLanes<V> / 2;
  V result;
  for (unsigned i = 0; i < half; ++i) {
    result[i] = saturate_word(a[2 * i] - a[2 * i + 1]);
    result[half + i] = saturate_word(b[2 * i] - b[2 * i + 1]);
  }
  return result;
}

// ---- shifts: by one count for all lanes, from an immediate or the low quadword of the second operand ----

template <class V>
BHVM_INLINE V shift_left_by(V a, u64 count) {
  using T = LaneType<V>;
  if (count >= 8 * sizeof(T)) return V{};
  return a << static_cast<T>(count);
}
template <class V>
BHVM_INLINE V shift_right_by(V a, u64 count) {
  using T = LaneType<V>;
  constexpr u64 kBits = 8 * sizeof(T);
  if constexpr (std::is_signed_v<T>) {
    return a >> static_cast<T>(count < kBits ? count : kBits - 1);
  } else {
    if (count >= kBits) return V{};
    return a >> static_cast<T>(count);
  }
}
template <class V>
BHVM_INLINE V shift_left(V a, V count) {
  return shift_left_by(a, as_lanes<u64>(count)[0]);
}
template <class V>
BHVM_INLINE V shift_right(V a, V count) {
  return shift_right_by(a, as_lanes<u64>(count)[0]);
}
template <class V>
BHVM_INLINE V shift_left_imm(V a, Imm count) {
  return shift_left_by(a, count.value);
}
template <class V>
BHVM_INLINE V shift_right_imm(V a, Imm count) {
  return shift_right_by(a, count.value);
}

/// PSLLDQ, PSRLDQ: by bytes.
BHVM_INLINE u8x16 shift_left_bytes(u8x16 a, Imm count) {
  const u128 bits = as<u128>(a);
  return count.value > 15 ? u8x16{} : as<u8x16>(bits << (8 * count.value));
}
BHVM_INLINE u8x16 shift_right_bytes(u8x16 a, Imm count) {
  const u128 bits = as<u128>(a);
  return count.value > 15 ? u8x16{} : as<u8x16>(bits >> (8 * count.value));
}

// ---- what is left of SSE4.1 ----

/// MPSADBW: eight sums of absolute differences of 4 bytes of `b` against sliding windows of `a`.
inline u8x16 multiple_sums_of_differences(u8x16 a, u8x16 b, Imm imm) {
  const unsigned window = (imm.value & 4u);
  const unsigned block = (imm.value & 3u) * 4;
  u16x8 sums{};
  for (unsigned i = 0; i < 8; ++i) {
    unsigned sum = 0;
    for (unsigned j = 0; j < 4; ++j) {
      const int difference = a[window + i + j] - b[block + j];
      sum += static_cast<unsigned>(difference < 0 ? -difference : difference);
    }
    sums[i] = static_cast<u16>(sum);
  }
  return as<u8x16>(sums);
}

/// PHMINPOSUW: the smallest word and the first index where it stands.
inline u16x8 minimum_position(u16x8 a) {
  unsigned index = 0;
  for (unsigned i = 1; i < 8; ++i) {
    if (a[i] < a[index]) index = i;
  }
  return u16x8{a[index], static_cast<u16>(index)};
}

}  // namespace bhvm::sse::inline BHVM_SSE_HOST
