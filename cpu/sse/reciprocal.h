// RCPPS, RCPSS, RSQRTPS, RSQRTSS: approximations, which every processor has its own of. These are bhvm's.
#pragma once

#include "cpu/sse/soft_float.h"
#include "cpu/sse/vector.h"

namespace bhvm::sse {

/// RCPSS: the reciprocal, rounded to nearest at 12 fraction bits (relative error at most 2^-13; the SDM allows
/// 1.5 * 2^-12 and leaves the bits to the processor, so bhvm has this one definition). Denormals count as zero, tiny
/// results become zero, no exception is raised, MXCSR is not looked at (SDM 2, RCPPS).
inline u32 reciprocal(u32 a) {
  using F = soft::Format<u32>;
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
  using F = soft::Format<u32>;
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

}  // namespace bhvm::sse
