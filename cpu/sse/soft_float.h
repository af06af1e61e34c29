// Single and double precision arithmetic in integers: SSE's rules without SSE (SDM 1, 4.8, 4.9, 10.2.3, 11.5).
//
// It computes results and exception flags as MXCSR asks, unmasked exceptions included: an unmasked overflow or
// underflow has other flags than a masked one. U is u32 or u64, the bits of a number. Rounding is the x87's
// (cpu/x87/rounding.h).
#pragma once

#include <type_traits>

#include "base/types.h"

namespace bhvm::sse::soft {

/// MXCSR, and the flags that operations have raised so far.
struct Context {
  u32 mxcsr = 0;
  u32 flags = 0;
};

/// The fields of a number.
template <class U>
struct Format {
  static constexpr unsigned kFractionBits = sizeof(U) == 4 ? 23 : 52;
  static constexpr int kBias = sizeof(U) == 4 ? 127 : 1023;
  static constexpr U kSign = U{1} << (8 * sizeof(U) - 1);
  static constexpr U kFraction = (U{1} << kFractionBits) - 1;
  static constexpr U kInfinity = static_cast<U>(2 * kBias + 1) << kFractionBits;
  static constexpr U kQuiet = U{1} << (kFractionBits - 1);
  static constexpr U kIndefinite = kSign | kInfinity | kQuiet;

  static constexpr U magnitude(U v) { return v & ~kSign; }
  static constexpr bool is_zero(U v) { return magnitude(v) == 0; }
  static constexpr bool is_nan(U v) { return magnitude(v) > kInfinity; }
  static constexpr bool is_signaling(U v) { return is_nan(v) && (v & kQuiet) == 0; }
  static constexpr bool is_infinite(U v) { return magnitude(v) == kInfinity; }
  static constexpr bool is_denormal(U v) { return magnitude(v) != 0 && magnitude(v) <= kFraction; }
};

template <class U>
U add(U a, U b, Context& context);
template <class U>
U subtract(U a, U b, Context& context);
template <class U>
U multiply(U a, U b, Context& context);
template <class U>
U divide(U a, U b, Context& context);
template <class U>
U square_root(U a, Context& context);
/// MINxx and MAXxx: the second operand when either is a NaN or both are zero.
template <class U>
U minimum(U a, U b, Context& context);
template <class U>
U maximum(U a, U b, Context& context);

enum class Order : u8 { kLess, kEqual, kGreater, kUnordered };
/// A quiet comparison is invalid for signaling NaNs only, another for all NaNs.
template <class U>
Order compare(U a, U b, bool quiet, Context& context);

/// ROUNDxx: to an integral value by MXCSR's rounding (imm[2]) or imm[1:0]; imm[3]: inexact is not flagged.
template <class U>
U round(U a, u8 imm, Context& context);

u64 single_to_double(u32 a, Context& context);
u32 double_to_single(u64 a, Context& context);
template <class U>
U from_integer(i64 a, Context& context);
/// To a signed integer of `bits` (32 or 64) bits; the integer indefinite when it does not fit.
template <class U>
u64 to_integer(U a, unsigned bits, bool truncate, Context& context);

}  // namespace bhvm::sse::soft
