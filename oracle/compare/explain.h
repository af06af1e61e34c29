// Small conditions that rows of the mask table are made of.
#pragma once

#include "oracle/compare/masks.h"

namespace bhvm::oracle {

// Exception vectors (SDM 3, table 6-1).
inline constexpr u32 kDivideError = 0, kDebug = 1, kBreakpoint = 3, kOverflow = 4, kInvalidOpcode = 6, kDoubleFault = 8,
                     kGeneralProtection = 13, kPageFault = 14, kX87Error = 16, kAlignmentCheck = 17, kSimdError = 19;

inline constexpr u64 kCarry = 1 << 0, kParity = 1 << 2, kAuxiliary = 1 << 4, kZero = 1 << 6, kSign = 1 << 7,
                     kOverflowFlag = 1 << 11, kResume = 1 << 16;
inline constexpr u64 kStatusFlags = kCarry | kParity | kAuxiliary | kZero | kSign | kOverflowFlag;

/// Vectors whose saved RIP is the instruction itself (faults), without those that are faults at times only.
inline bool is_fault(u32 vector) {
  return vector < 32 && vector != kDebug && vector != kBreakpoint && vector != kOverflow && vector != 2 &&
         vector != kDoubleFault;
}

/// Explains `bits` of one field.
template <Field kField, u64 kBits = ~u64{0}>
u64 explain_field(const MaskContext&, const Difference& d) {
  return d.field == kField ? kBits : 0;
}

/// Explains status flags, wherever the instruction completed.
template <u64 kBits>
u64 explain_flags(const MaskContext&, const Difference& d) {
  return d.field == Field::kRflags ? kBits & kStatusFlags : 0;
}

}  // namespace bhvm::oracle
