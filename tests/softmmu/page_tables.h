// Hand-made page tables for one linear address, in each paging mode.
#pragma once

#include <array>
#include <vector>

#include "softmmu/mmu.h"
#include "tests/softmmu/recording_observer.h"

namespace bhvm {

enum class Paging { k32Bit, kPae, k4Level };

inline constexpr u64 kP = 1 << 0;
inline constexpr u64 kRw = 1 << 1;
inline constexpr u64 kUs = 1 << 2;
inline constexpr u64 kA = 1 << 5;
inline constexpr u64 kD = 1 << 6;
inline constexpr u64 kPs = 1 << 7;
inline constexpr u64 kG = 1 << 8;
inline constexpr u64 kXd = u64{1} << 63;
inline constexpr u64 kAll = kP | kRw | kUs;

/// One table a level at fixed places; entries are written with their table's or page's address and the caller's bits.
struct PageTables {
  static constexpr u64 kTableBase = 0x10000;  // level n (1: page table) lies at kTableBase + n * 4 KiB
  static constexpr u64 kRamSize = u64{64} << 20;

  explicit PageTables(Paging mode) : paging(mode) {
    controls.pg = true;
    controls.pse = true;
    controls.pge = true;
    controls.wp = true;
    controls.pae = mode != Paging::k32Bit;
    controls.lma = mode == Paging::k4Level;
    controls.cr3 = table(levels());
    for (u64 i = 0; i < 4; ++i) controls.pdpte[i] = table(2) | kP;
  }

  unsigned levels() const { return paging == Paging::k4Level ? 4 : 2; }
  static u64 table(unsigned level) { return kTableBase + level * kPageSize; }
  u64 entry_address(unsigned level, u64 linear) const {
    if (paging == Paging::k32Bit) return table(level) + ((linear >> (level == 2 ? 22 : 12)) & 1023) * 4;
    return table(level) + ((linear >> (3 + 9 * level)) & 511) * 8;
  }
  u64 entry(unsigned level, u64 linear) const {
    const u64 value = value_at(memory, entry_address(level, linear));
    return paging == Paging::k32Bit ? value & 0xffff'ffff : value;
  }
  void set_entry(unsigned level, u64 linear, u64 value) {
    if (paging == Paging::k32Bit) {
      memory.write_value({entry_address(level, linear)}, static_cast<u32>(value));
    } else {
      memory.write_value({entry_address(level, linear)}, value);
    }
  }
  /// Maps `linear` to `physical` by the entry of `leaf` with `bits`, all rights above.
  void map(u64 linear, u64 physical, u64 bits = kAll, unsigned leaf = 1) {
    for (unsigned level = levels(); level > leaf; --level) set_entry(level, linear, table(level - 1) | kAll);
    set_entry(leaf, linear, physical | bits | (leaf > 1 ? kPs : 0));
  }

  Paging paging;
  GuestMemory memory = make_memory(kRamSize);
  PagingControls controls;
};

}  // namespace bhvm
