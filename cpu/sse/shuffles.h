// Moving lanes about: packs, unpacks, shuffles, blends, inserts, extracts, extensions, masks (SDM 1, 9.4.4, 10.4.4,
// 11.4.2, 12.6.8, 12.8.5 to 12.8.10).
#pragma once

#if defined(__SSE2__)
#include <emmintrin.h>
#endif
#if defined(__SSSE3__)
#include <tmmintrin.h>
#endif

#include <array>

#include "base/planted_fault.h"
#include "cpu/sse/lanes.h"

namespace bhvm::sse::inline BHVM_SSE_HOST {

// ---- packs: both operands' lanes narrowed with saturation, those of `a` first; T is the narrow type ----

template <class T, class V>
BHVM_INLINE Recast<T, V> pack(V a, V b) {
  clamp_to<T>(a);
  clamp_to<T>(b);
  Lanes<T, 2 * kLanes<V>> result;
  const auto low = convert_lanes<T>(a);
  const auto high = convert_lanes<T>(b);
  std::memcpy(&result, &low, sizeof(low));
  std::memcpy(reinterpret_cast<char*>(&result) + sizeof(low), &high, sizeof(high));
  return result;
}

// ---- unpacks ----

template <class V, std::size_t... i>
BHVM_INLINE V interleave_low(V a, V b, std::index_sequence<i...>) {
  return __builtin_shufflevector(a, b, static_cast<int>(i % 2 == 0 ? i / 2 : kLanes<V> + i / 2)...);
}
template <class V, std::size_t... i>
BHVM_INLINE V interleave_high(V a, V b, std::index_sequence<i...>) {
  constexpr std::size_t half = kLanes<V> / 2;
  return __builtin_shufflevector(a, b, static_cast<int>(half + (i % 2 == 0 ? i / 2 : kLanes<V> + i / 2))...);
}
/// PUNPCKLxx: lanes of the low halves, alternating. The second operand of the MMX form is 32 bits in memory.
template <class V>
BHVM_INLINE V unpack_low(V a, V b) {
  return interleave_low(a, b, std::make_index_sequence<kLanes<V>>());
}
template <class V>
BHVM_INLINE V unpack_high(V a, V b) {
  return interleave_high(a, b, std::make_index_sequence<kLanes<V>>());
}
template <class V>
BHVM_INLINE V unpack_low_half(V a, u32 b) {
  return unpack_low(a, as<V>(u64{b}));
}

// ---- shuffles by an immediate ----

/// PSHUFD.
BHVM_INLINE u32x4 shuffle_doublewords(u32x4 a, Imm order) {
  const unsigned o = order.value;
  return u32x4{a[o & 3], a[(o >> 2) & 3], a[(o >> 4) & 3], a[(o >> 6) & 3]};
}
/// PSHUFW, and the half of PSHUFLW and PSHUFHW that moves.
BHVM_INLINE u64 shuffle_words(u64 a, Imm order) {
  const unsigned o = order.value;
  const auto word = [a](unsigned i) { return (a >> (16 * (i & 3))) & 0xFFFF; };
  return word(o) | word(o >> 2) << 16 | word(o >> 4) << 32 | word(o >> 6) << 48;
}
BHVM_INLINE u64x2 shuffle_low_words(u64x2 a, Imm order) { return u64x2{shuffle_words(a[0], order), a[1]}; }
BHVM_INLINE u64x2 shuffle_high_words(u64x2 a, Imm order) { return u64x2{a[0], shuffle_words(a[1], order)}; }
/// SHUFPS: two lanes of `a`, then two of `b`.
BHVM_INLINE u32x4 shuffle_singles(u32x4 a, u32x4 b, Imm order) {
  const unsigned o = order.value;
  return u32x4{a[o & 3], a[(o >> 2) & 3], b[(o >> 4) & 3], b[(o >> 6) & 3]};
}
/// SHUFPD.
BHVM_INLINE u64x2 shuffle_doubles(u64x2 a, u64x2 b, Imm order) {
  return u64x2{a[order.value & 1], b[(order.value >> 1) & 1]};
}
/// PALIGNR: bytes of b:a (`a` high) from byte `imm` on.
BHVM_INLINE u8x16 align_right(u8x16 a, u8x16 b, Imm imm) {
  const unsigned count = imm.value;
#if defined(__SSSE3__)
  // A window over pickers that yield zero, 0 to 15, and zero again: from `count` on it picks the bytes of one operand.
  constexpr u8 k = 0x80;
  alignas(16) static constexpr u8 kPick[64] = {k, k, k, k, k, k, k, k, k, k, k,  k,  k,  k,  k,  k,   //
                                               0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,  //
                                               k, k, k, k, k, k, k, k, k, k, k,  k,  k,  k,  k,  k,   //
                                               k, k, k, k, k, k, k, k, k, k, k,  k,  k,  k,  k,  k};
  if (count >= 32) return u8x16{};
  u8x16 from_a;
  u8x16 from_b;
  std::memcpy(&from_a, kPick + count, 16);
  std::memcpy(&from_b, kPick + count + 16, 16);
  return as<u8x16>(_mm_shuffle_epi8(as<__m128i>(a), as<__m128i>(from_a))) |
         as<u8x16>(_mm_shuffle_epi8(as<__m128i>(b), as<__m128i>(from_b)));
#else
  if (count == 0) return b;
  if (count >= 32) return u8x16{};
  if (count >= 16) return shift_right_bytes(a, Imm{static_cast<u8>(count - 16)});
  return as<u8x16>((as<u128>(b) >> (8 * count)) | (as<u128>(a) << (128 - 8 * count)));
#endif
}
BHVM_INLINE u64 align_right_mmx(u64 a, u64 b, Imm imm) {
  const unsigned count = imm.value;
  if (count >= 16) return 0;
  return static_cast<u64>(((u128{a} << 64) | b) >> (8 * count));
}

/// PSHUFB: bytes of `a` picked by `b`; a picker with its top bit set yields zero.
BHVM_INLINE u8x16 shuffle_bytes(u8x16 a, u8x16 b) {
#if defined(__SSSE3__)
  return as<u8x16>(_mm_shuffle_epi8(as<__m128i>(a), as<__m128i>(b)));
#else
  std::array<u8, 16> bytes;
  std::array<u8, 16> pick;
  std::memcpy(bytes.data(), &a, 16);
  std::memcpy(pick.data(), &b, 16);
  std::array<u8, 16> result;
  for (unsigned i = 0; i < 16; ++i) result[i] = (pick[i] & 0x80) != 0 ? u8{0} : bytes[pick[i] & 15];
  return as<u8x16>(result);
#endif
}
BHVM_INLINE u8x8 shuffle_bytes_mmx(u8x8 a, u8x8 b) {
  u8x8 result{};
  const auto zero = [](u8 pick) {
    return (pick & 0x80) != 0 && !(planted(PlantedFault::kPshufbTopBit) && pick < 0x88);
  };
  for (unsigned i = 0; i < 8; ++i) result[i] = zero(b[i]) ? u8{0} : a[b[i] & 7];
  return result;
}

// ---- blends ----

/// BLENDPS, BLENDPD, PBLENDW: lane i of `b` where bit i of the immediate is set.
template <class V>
BHVM_INLINE V blend_imm(V a, V b, Imm imm) {
  using T = LaneType<V>;
  V bit{};
  for (unsigned i = 0; i < kLanes<V>; ++i) bit[i] = static_cast<T>(T{1} << i);
  return (bit & imm.value) != 0 ? b : a;
}
/// PBLENDVB, BLENDVPS, BLENDVPD: lanes of `b` where the top bit of XMM0's lane is set. T is a signed lane type.
template <class V>
BHVM_INLINE V blend_by_xmm0(V a, V b, Xmm0 mask) {
  return as<V>(as<V>(mask.value) < 0 ? b : a);
}

// ---- masks ----

/// PMOVMSKB, MOVMSKPS, MOVMSKPD: the lanes' top bits.
template <class V>
BHVM_INLINE u32 top_bits(V a) {
#if defined(__SSE2__)
  if constexpr (sizeof(V) == 16 && sizeof(LaneType<V>) == 1) {
    return static_cast<u32>(_mm_movemask_epi8(as<__m128i>(a)));
  }
  if constexpr (sizeof(V) == 8 && sizeof(LaneType<V>) == 1) {
    return static_cast<u32>(_mm_movemask_epi8(as<__m128i>(u64x2{as<u64>(a), 0})));
  }
#endif
  u32 bits = 0;
  for (unsigned i = 0; i < kLanes<V>; ++i) {
    bits |= static_cast<u32>((a[i] >> (8 * sizeof(LaneType<V>) - 1)) & 1) << i;
  }
  return bits;
}

// ---- inserts and extracts; the index counts modulo the lanes ----

template <class V, class S>
BHVM_INLINE V insert(V a, S value, Imm index) {
  a[index.value & (kLanes<V> - 1)] = static_cast<LaneType<V>>(value);
  return a;
}
template <class R, class V>
BHVM_INLINE R extract(V a, Imm index) {
  return static_cast<R>(a[index.value & (kLanes<V> - 1)]);
}
/// INSERTPS from a 32-bit value: into lane imm[5:4], then lanes by imm[3:0] zeroed.
BHVM_INLINE u32x4 insert_single(u32x4 a, u32 value, Imm imm) {
  a[(imm.value >> 4) & 3] = value;
  for (unsigned i = 0; i < 4; ++i) {
    if (((imm.value >> i) & 1) != 0) a[i] = 0;
  }
  return a;
}
/// INSERTPS from a register: the lane imm[7:6] of it.
BHVM_INLINE u32x4 insert_single_lane(u32x4 a, u32x4 b, Imm imm) { return insert_single(a, b[imm.value >> 6], imm); }

// ---- extensions: PMOVSXxx and PMOVZXxx; From and To are lane types ----

template <class From, class To>
BHVM_INLINE u8x16 extend(Lanes<From, 16 / sizeof(To)> a) {
  return as<u8x16>(__builtin_convertvector(a, Lanes<To, 16 / sizeof(To)>));
}

// ---- duplications: MOVDDUP, MOVSLDUP, MOVSHDUP ----

BHVM_INLINE u64x2 duplicate_double(u64 a) { return u64x2{a, a}; }
BHVM_INLINE u32x4 duplicate_even(u32x4 a) { return __builtin_shufflevector(a, a, 0, 0, 2, 2); }
BHVM_INLINE u32x4 duplicate_odd(u32x4 a) { return __builtin_shufflevector(a, a, 1, 1, 3, 3); }

/// PSHUFD with its immediate as a constant.
template <unsigned order>
BHVM_INLINE u32x4 shuffle_doublewords_fixed(u32x4 a) {
  return __builtin_shufflevector(a, a, order & 3, (order >> 2) & 3, (order >> 4) & 3, (order >> 6) & 3);
}

}  // namespace bhvm::sse::inline BHVM_SSE_HOST
