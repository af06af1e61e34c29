// Segment and gate descriptors as the eight bytes of a table (SDM 3, 3.4.5, 3.5 and 6.14.1).
#pragma once

#include "base/types.h"

namespace bhvm::oracle {

struct SegmentImage {
  u8 type = 0;  // 4 bits
  bool non_system = true;
  u8 dpl = 0;
  bool present = true;
  bool available = false;
  bool long_code = false;
  bool big = true;
  bool granularity = true;
  u32 base = 0;
  u32 limit = 0xFFFFF;  // 20 bits

  constexpr u64 raw() const {
    const u64 access = type | (non_system ? 0x10u : 0u) | (u64{dpl} << 5) | (present ? 0x80u : 0u);
    const u64 flags = (available ? 1u : 0u) | (long_code ? 2u : 0u) | (big ? 4u : 0u) | (granularity ? 8u : 0u);
    return (limit & 0xFFFF) | (u64{base & 0xFFFFFF} << 16) | (access << 40) | (u64{limit >> 16 & 0xF} << 48) |
           (flags << 52) | (u64{base >> 24} << 56);
  }
};

/// Type fields with the accessed bit set.
inline constexpr u8 kTypeReadOnly = 0x1;
inline constexpr u8 kTypeData = 0x3;
inline constexpr u8 kTypeExpandDown = 0x7;
inline constexpr u8 kTypeExecuteOnly = 0x9;
inline constexpr u8 kTypeCode = 0xB;
inline constexpr u8 kTypeConforming = 0xF;
inline constexpr u8 kTypeAccessed = 0x1;

/// Types of system descriptors.
inline constexpr u8 kTypeLdt = 0x2;
inline constexpr u8 kTypeTss = 0x9;
inline constexpr u8 kTypeTssBusy = 0xB;
inline constexpr u8 kTypeCallGate = 0xC;
inline constexpr u8 kTypeInterruptGate = 0xE;
inline constexpr u8 kTypeTrapGate = 0xF;

struct GateImage {
  u8 type = kTypeInterruptGate;
  bool non_system = false;
  u8 dpl = 0;
  bool present = true;
  u8 ist = 0;  // also the parameter count's place: 8 bits
  u16 selector = 0;
  u64 offset = 0;
  u32 upper_reserved = 0;  // the last four bytes

  constexpr u64 low() const {
    const u64 access = type | (non_system ? 0x10u : 0u) | (u64{dpl} << 5) | (present ? 0x80u : 0u);
    return (offset & 0xFFFF) | (u64{selector} << 16) | (u64{ist} << 32) | (access << 40) |
           ((offset >> 16 & 0xFFFF) << 48);
  }
  constexpr u64 high() const { return (offset >> 32) | (u64{upper_reserved} << 32); }
};

}  // namespace bhvm::oracle
