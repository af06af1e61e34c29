// Exceptions and interrupts of the guest: vectors and what is pending (SDM 3, chapter 6).
#pragma once

#include "base/types.h"

namespace bhvm {

namespace vector {
inline constexpr u8 kDivideError = 0;
inline constexpr u8 kDebug = 1;
inline constexpr u8 kNmi = 2;
inline constexpr u8 kBreakpoint = 3;
inline constexpr u8 kOverflow = 4;
inline constexpr u8 kBoundRange = 5;
inline constexpr u8 kInvalidOpcode = 6;
inline constexpr u8 kDeviceNotAvailable = 7;
inline constexpr u8 kDoubleFault = 8;
inline constexpr u8 kInvalidTss = 10;
inline constexpr u8 kSegmentNotPresent = 11;
inline constexpr u8 kStackFault = 12;
inline constexpr u8 kGeneralProtection = 13;
inline constexpr u8 kPageFault = 14;
inline constexpr u8 kX87 = 16;
inline constexpr u8 kAlignmentCheck = 17;
inline constexpr u8 kSimd = 19;
}  // namespace vector

/// Why an instruction did not complete.
struct PendingFault {
  enum class Kind : u8 {
    kNone,
    kException,    // deliver `vector`
    kAlone,        // touches a device or decoded code: run it again by itself
    kUnsupported,  // bhvm cannot go on: stop with `message`
  };
  Kind kind = Kind::kNone;
  u8 vector = 0;
  bool non_canonical = false;  // #GP for a non-canonical address: #SS if the access was to the stack
  u32 error_code = 0;
  u64 address = 0;  // linear address of a #PF
  const char* message = nullptr;
};

}  // namespace bhvm
