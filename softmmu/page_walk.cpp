#include "softmmu/page_walk.h"

#include <cstring>

#include "base/planted_fault.h"

namespace bhvm {
namespace {

// Bits of a paging-structure entry (SDM 3, tables 4-5, 4-6 and 4-15 to 4-20).
constexpr u64 kP = u64{1} << 0;
constexpr u64 kRw = u64{1} << 1;
constexpr u64 kUs = u64{1} << 2;
constexpr u64 kA = u64{1} << 5;
constexpr u64 kD = u64{1} << 6;
constexpr u64 kPs = u64{1} << 7;
constexpr u64 kG = u64{1} << 8;
constexpr u64 kXd = u64{1} << 63;

constexpr u64 kTableMask = kPhysicalAddressMask & kPageMask;

constexpr u64 bits(unsigned high, unsigned low) { return (~u64{0} >> (63 - high)) & (~u64{0} << low); }

/// A level of the 64-bit formats; 1 is the page table.
struct Level {
  unsigned shift;          // of the linear address: also log2 of what an entry covers
  u64 reserved_when_page;  // reserved bits of an entry that maps a page here
  u64 size_flags;          // tlb_flag of a page mapped here
};
constexpr std::array<Level, 5> kLevels = {{
    {0, 0, 0},
    {12, 0, 0},
    {21, bits(20, 13), tlb_flag::kSize2M},  // bit 12 is PAT
    {30, bits(29, 13), tlb_flag::kSize1G},
    {39, 0, 0},
}};

template <class T>
u64 load_entry(const GuestMemory& memory, u64 address) {
  const u8* page = memory.peek_page({address});
  if (page == nullptr) return 0;
  T value;
  std::memcpy(&value, page + address % kPageSize, sizeof(value));
  return value;
}

/// The levels `top` to 1 of PAE and 4-level paging from the table at `table`. `reserved`: bits reserved in all entries.
PageWalk walk_64bit(const GuestMemory& memory, const PagingControls& controls, u64 linear, unsigned top, u64 table,
                    u64 reserved) {
  PageWalk walk;
  u64 rights = kRw | kUs;
  u64 no_execute = 0;
  for (unsigned level = top;; --level) {
    const Level& at = kLevels[level];
    const u64 address = table + ((linear >> at.shift) & 511) * 8;
    const u64 entry = load_entry<u64>(memory, address);
    walk.entries[walk.depth++] = {address, entry};
    if ((entry & kP) == 0) return walk;
    const bool maps_page = level == 1 || (level < 4 && (entry & kPs) != 0);
    const u64 reserved_here = reserved | (level == 4 ? kPs : 0) | (maps_page ? at.reserved_when_page : 0);
    if ((entry & reserved_here) != 0) {
      walk.error_code = pf_error::kPresent | pf_error::kReserved;
      return walk;
    }
    rights &= entry;
    no_execute |= entry & kXd;
    if (!maps_page) {
      table = entry & kTableMask;
      continue;
    }
    const u64 offset_mask = (u64{1} << at.shift) - 1;
    walk.ok = true;
    walk.page = ((entry & kTableMask & ~offset_mask) | (linear & offset_mask)) & kPageMask;
    walk.flags = tlb_flag::kPresent | at.size_flags | (rights & kRw ? tlb_flag::kWritable : 0) |
                 (rights & kUs ? tlb_flag::kUser : 0) | (no_execute ? tlb_flag::kNoExecute : 0) |
                 ((entry & kG) && controls.pge ? tlb_flag::kGlobal : 0) | (entry & kD ? tlb_flag::kDirty : 0);
    return walk;
  }
}

PageWalk walk_4level(const GuestMemory& memory, const PagingControls& controls, u64 linear) {
  const u64 reserved = bits(51, kPhysicalAddressBits) | (controls.nxe ? 0 : kXd);
  return walk_64bit(memory, controls, linear, 4, controls.cr3 & kTableMask, reserved);
}

PageWalk walk_pae(const GuestMemory& memory, const PagingControls& controls, u64 linear) {
  const u64 pdpte = controls.pdpte[(linear >> 30) & 3];  // its reserved bits were checked when it was loaded
  if ((pdpte & kP) == 0) return {};
  const u64 reserved = bits(62, kPhysicalAddressBits) | (controls.nxe ? 0 : kXd);
  return walk_64bit(memory, controls, linear, 2, pdpte & kTableMask, reserved);
}

PageWalk walk_32bit(const GuestMemory& memory, const PagingControls& controls, u64 linear) {
  PageWalk walk;
  const u64 pde_address = (controls.cr3 & bits(31, 12)) + ((linear >> 22) & 1023) * 4;
  const u64 pde = load_entry<u32>(memory, pde_address);
  walk.entries[walk.depth++] = {pde_address, pde};
  if ((pde & kP) == 0) return walk;

  u64 leaf = pde;
  u64 rights = pde;
  u64 offset_mask = bits(21, 0);
  u64 size_flags = tlb_flag::kSize2M | tlb_flag::kSize4M;
  if (controls.pse && (pde & kPs) != 0) {
    if ((pde & bits(21, 13)) != 0) {  // no PSE-36
      walk.error_code = pf_error::kPresent | pf_error::kReserved;
      return walk;
    }
  } else {
    const u64 pte_address = (pde & bits(31, 12)) + ((linear >> 12) & 1023) * 4;
    leaf = load_entry<u32>(memory, pte_address);
    walk.entries[walk.depth++] = {pte_address, leaf};
    if ((leaf & kP) == 0) return walk;
    rights &= leaf;
    offset_mask = bits(11, 0);
    size_flags = 0;
  }
  walk.ok = true;
  walk.page = ((leaf & bits(31, 12) & ~offset_mask) | (linear & offset_mask)) & bits(31, 12);
  walk.flags = tlb_flag::kPresent | size_flags | (rights & kRw ? tlb_flag::kWritable : 0) |
               (rights & kUs ? tlb_flag::kUser : 0) | ((leaf & kG) && controls.pge ? tlb_flag::kGlobal : 0) |
               (leaf & kD ? tlb_flag::kDirty : 0);
  return walk;
}

}  // namespace

PageWalk walk_page_tables(const GuestMemory& memory, const PagingControls& controls, LinearAddress linear) {
  if (controls.lma) return walk_4level(memory, controls, linear.value);
  if (controls.pae) return walk_pae(memory, controls, linear.value);
  return walk_32bit(memory, controls, linear.value);
}

void commit_walk(GuestMemory& memory, PageWalk& walk, bool write) {
  for (unsigned i = 0; i < walk.depth; ++i) {
    const PageWalk::Entry& entry = walk.entries[i];
    const u64 set = kA | (write && i + 1 == walk.depth ? kD : 0);
    if ((entry.value & set) == set) continue;
    if (planted(PlantedFault::kAccessedOfDirtyPage) && (entry.value & kD) != 0) continue;
    if (planted(PlantedFault::kAccessedOfDirectory) && i + 2 == walk.depth) continue;
    const u8 low_byte = static_cast<u8>(entry.value | set);  // A and D are in the entry's first byte, in every format
    memory.write({entry.address}, &low_byte, sizeof(low_byte));
  }
  if (write) walk.flags |= tlb_flag::kDirty;
}

}  // namespace bhvm
