// The TLB: guest state in front, host pointers behind.
//
// A guest can see a stale translation, so which translations are cached is part of the machine's state: TlbState is
// saved, loaded and hashed. A data access looks in `data`, an instruction fetch in `fetch`; both are direct-mapped by
// linear page number. Entering or removing translations is a function of what the guest executes alone.
//
// The fast entries are a cache over `data` for the inline path of loads and stores: one array for each data mode, where
// an entry is present only if the state entry of the same index allows that access in that mode and the page is plain
// RAM. They hold host addresses and are dropped and rebuilt at will; dropping one never changes what the guest sees.
#pragma once

#include <array>

#include "base/types.h"

namespace bhvm {

/// Who makes a data access. A fast array for each of the first three; kChecked has no fast entries, so that every
/// access takes the slow path (alignment checking, data breakpoints).
enum class DataMode : u8 {
  kUser,                // CPL 3
  kSupervisor,          // CPL 0-2, user pages refused (CR4.SMAP and not EFLAGS.AC)
  kSupervisorOverUser,  // CPL 0-2, user pages allowed
  kChecked,
};
inline constexpr unsigned kFastModes = 4;

namespace tlb_flag {
inline constexpr u64 kPresent = 1 << 0;
inline constexpr u64 kWritable = 1 << 1;   // R/W allowed at every level
inline constexpr u64 kUser = 1 << 2;       // U/S set at every level
inline constexpr u64 kNoExecute = 1 << 3;  // XD at some level, with EFER.NXE
inline constexpr u64 kGlobal = 1 << 4;     // survives a CR3 write
inline constexpr u64 kDirty = 1 << 5;      // D was set when the entry was made: writes need no walk
inline constexpr u64 kSize2M = 1 << 6;     // a 4 KiB piece of a 2 MiB (or 4 MiB) page
inline constexpr u64 kSize1G = 1 << 7;     // a 4 KiB piece of a 1 GiB page
inline constexpr u64 kSize4M = 1 << 8;     // with kSize2M: the 4 MiB page of 32-bit paging
}  // namespace tlb_flag

/// One translation. `tag`: linear page address, plus 1 for a fetch entry made at CPL 3. `frame`: physical page address
/// with tlb_flag bits below. Not present: frame == 0.
struct TlbEntry {
  u64 tag = 0;
  u64 frame = 0;
  u64 flags() const { return frame & kPageOffsetMask; }
  PhysicalAddress page() const { return {frame & kPageMask}; }
};

inline constexpr unsigned kDataTlbEntries = 1024;
inline constexpr unsigned kFetchTlbEntries = 256;

struct TlbState {
  std::array<TlbEntry, kDataTlbEntries> data{};
  std::array<TlbEntry, kFetchTlbEntries> fetch{};
};

/// A tag that no access matches: the low bits of a page address are never set.
inline constexpr u64 kNoTag = 1;

struct FastEntry {
  u64 read_tag = kNoTag;   // linear page address when a load may go straight to the host
  u64 write_tag = kNoTag;  // the same for a store
  u64 addend = 0;          // host address = linear address + addend (modulo 2^64)
  u64 unused = 0;          // keeps the index a shift
};

struct FastTlb {
  std::array<std::array<FastEntry, kDataTlbEntries>, kFastModes> modes;
};

constexpr unsigned data_tlb_index(u64 linear) { return (linear >> kPageShift) & (kDataTlbEntries - 1); }
constexpr unsigned fetch_tlb_index(u64 linear) { return (linear >> kPageShift) & (kFetchTlbEntries - 1); }

}  // namespace bhvm
