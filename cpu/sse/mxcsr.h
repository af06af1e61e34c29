// MXCSR (SDM 1, 10.2.3).
#pragma once

#include "base/types.h"

namespace bhvm::mxcsr {

inline constexpr u32 kIe = 1 << 0;  // invalid operation
inline constexpr u32 kDe = 1 << 1;  // denormal operand
inline constexpr u32 kZe = 1 << 2;  // zero divide
inline constexpr u32 kOe = 1 << 3;  // overflow
inline constexpr u32 kUe = 1 << 4;  // underflow
inline constexpr u32 kPe = 1 << 5;  // precision
inline constexpr u32 kFlags = 0x3F;
inline constexpr u32 kPreComputation = kIe | kDe | kZe;
inline constexpr u32 kDaz = 1 << 6;
inline constexpr unsigned kMaskShift = 7;
inline constexpr u32 kMasks = kFlags << kMaskShift;
inline constexpr unsigned kRoundingShift = 13;
inline constexpr u32 kRounding = 3 << kRoundingShift;
inline constexpr u32 kFz = 1 << 15;
/// MXCSR_MASK: the bits that exist; setting another is #GP (SDM 1, 11.6.6).
inline constexpr u32 kWritable = 0xFFFF;
inline constexpr u32 kReset = 0x1F80;

/// The exceptions that are not masked, as flag bits.
constexpr u32 unmasked(u32 value) { return ~(value >> kMaskShift) & kFlags; }

}  // namespace bhvm::mxcsr
