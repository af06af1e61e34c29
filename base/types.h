// Integer names and the three kinds of address.
//
// A linear address is what an instruction computes, a physical address is what the page walk yields, a host address is
// a pointer. They never convert into each other silently: each has a type of its own.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>

namespace bhvm {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i8 = std::int8_t;
using i16 = std::int16_t;
using i32 = std::int32_t;
using i64 = std::int64_t;
__extension__ typedef unsigned __int128 u128;
__extension__ typedef __int128 i128;

inline constexpr u64 kPageShift = 12;
inline constexpr u64 kPageSize = u64{1} << kPageShift;
inline constexpr u64 kPageOffsetMask = kPageSize - 1;
inline constexpr u64 kPageMask = ~kPageOffsetMask;

/// A guest linear address (SDM volume 3, 3.1): 64 bits, canonical or not.
struct LinearAddress {
  u64 value = 0;
  constexpr LinearAddress page() const { return {value & kPageMask}; }
  constexpr u64 page_offset() const { return value & kPageOffsetMask; }
  friend constexpr auto operator<=>(LinearAddress, LinearAddress) = default;
};

/// A guest physical address: at most 46 bits wide on this machine (CPUID 80000008H).
struct PhysicalAddress {
  u64 value = 0;
  constexpr PhysicalAddress page() const { return {value & kPageMask}; }
  constexpr u64 page_number() const { return value >> kPageShift; }
  constexpr u64 page_offset() const { return value & kPageOffsetMask; }
  friend constexpr auto operator<=>(PhysicalAddress, PhysicalAddress) = default;
};

inline constexpr unsigned kPhysicalAddressBits = 46;
inline constexpr u64 kPhysicalAddressMask = (u64{1} << kPhysicalAddressBits) - 1;

}  // namespace bhvm
