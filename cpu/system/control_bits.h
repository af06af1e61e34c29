// The bits of CR0, CR4, EFER and DR7 by their SDM names (SDM 3, 2.5, 2.2.1 and 17.2.4).
#pragma once

#include "base/types.h"

namespace bhvm {

namespace cr0 {
inline constexpr u64 kPe = u64{1} << 0;
inline constexpr u64 kMp = u64{1} << 1;
inline constexpr u64 kEm = u64{1} << 2;
inline constexpr u64 kTs = u64{1} << 3;
inline constexpr u64 kEt = u64{1} << 4;
inline constexpr u64 kNe = u64{1} << 5;
inline constexpr u64 kWp = u64{1} << 16;
inline constexpr u64 kAm = u64{1} << 18;
inline constexpr u64 kNw = u64{1} << 29;
inline constexpr u64 kCd = u64{1} << 30;
inline constexpr u64 kPg = u64{1} << 31;
inline constexpr u64 kDefined = kPe | kMp | kEm | kTs | kEt | kNe | kWp | kAm | kNw | kCd | kPg;
}  // namespace cr0

namespace cr4 {
inline constexpr u64 kVme = u64{1} << 0;
inline constexpr u64 kPvi = u64{1} << 1;
inline constexpr u64 kTsd = u64{1} << 2;
inline constexpr u64 kDe = u64{1} << 3;
inline constexpr u64 kPse = u64{1} << 4;
inline constexpr u64 kPae = u64{1} << 5;
inline constexpr u64 kMce = u64{1} << 6;
inline constexpr u64 kPge = u64{1} << 7;
inline constexpr u64 kPce = u64{1} << 8;
inline constexpr u64 kOsfxsr = u64{1} << 9;
inline constexpr u64 kOsxmmexcpt = u64{1} << 10;
inline constexpr u64 kUmip = u64{1} << 11;
inline constexpr u64 kFsgsbase = u64{1} << 16;
inline constexpr u64 kPcide = u64{1} << 17;
inline constexpr u64 kOsxsave = u64{1} << 18;
inline constexpr u64 kSmep = u64{1} << 20;
inline constexpr u64 kSmap = u64{1} << 21;
/// What this processor has; any other bit set is #GP(0). VME, PVI and MCE are not claimed by CPUID.
inline constexpr u64 kSupported = kTsd | kDe | kPse | kPae | kPge | kPce | kOsfxsr | kOsxmmexcpt | kUmip | kFsgsbase |
                                  kPcide | kOsxsave | kSmep | kSmap;
}  // namespace cr4

namespace efer {
inline constexpr u64 kSce = u64{1} << 0;
inline constexpr u64 kLme = u64{1} << 8;
inline constexpr u64 kLma = u64{1} << 10;
inline constexpr u64 kNxe = u64{1} << 11;
inline constexpr u64 kWritable = kSce | kLme | kNxe;
}  // namespace efer

namespace dr6 {
inline constexpr u64 kB0 = u64{1} << 0;
inline constexpr u64 kHits = 0xF;
inline constexpr u64 kBd = u64{1} << 13;
inline constexpr u64 kBs = u64{1} << 14;
inline constexpr u64 kOnes = 0xFFFF0FF0;      // read as one
inline constexpr u64 kWritable = 0x0000E00F;  // B0-B3, BD, BS, BT
}  // namespace dr6

namespace dr7 {
inline constexpr u64 kEnables = 0xFF;  // L0, G0 to L3, G3
inline constexpr u64 kGd = u64{1} << 13;
inline constexpr u64 kOnes = u64{1} << 10;
inline constexpr u64 kWritable = 0xFFFF23FF;  // enables, LE, GE, GD, R/W and LEN fields
}  // namespace dr7

}  // namespace bhvm
