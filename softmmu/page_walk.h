// The page walk: what the paging structures in guest memory say about one linear address (SDM volume 3, 4.3-4.5).
//
// A walk only looks. It combines the rights of all levels and finds reserved bits; whether the access is allowed is
// decided by the MMU, which then sets the accessed and dirty bits by commit_walk(). No paging-structure caches: they
// would be state that a guest can observe, and a walk of four loads is cheap.
#pragma once

#include <array>

#include "base/types.h"
#include "softmmu/guest_memory.h"
#include "softmmu/mmu.h"

namespace bhvm {

struct PageWalk {
  /// One entry read on the way, from the top: where it lies and what it held.
  struct Entry {
    u64 address = 0;
    u64 value = 0;
  };
  bool ok = false;     // a translation exists and no reserved bit is set
  u32 error_code = 0;  // pf_error::kPresent and kReserved when not ok
  u64 page = 0;        // physical address of the 4 KiB piece
  u64 flags = 0;       // tlb_flag bits
  std::array<Entry, 4> entries;
  unsigned depth = 0;  // how many entries are in use
};

/// REQUIRES: controls.pg.
PageWalk walk_page_tables(const GuestMemory& memory, const PagingControls& controls, LinearAddress linear);

/// Sets A in every entry of the walk and, for a write, D in the last one (SDM 3, 4.8); marks the walk's flags dirty
/// then.
void commit_walk(GuestMemory& memory, PageWalk& walk, bool write);

}  // namespace bhvm
