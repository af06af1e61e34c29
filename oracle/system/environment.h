// The pristine region of system cases, and the guest program's addresses that it names.
#pragma once

#include <memory>

#include "oracle/case_group.h"
#include "oracle/system/layout.h"

namespace bhvm::oracle {

/// Link-time constants of the embedded guest program.
struct GuestAddresses {
  u64 vector_stubs = 0;  // 16 bytes a vector
  u64 fault_stack = 0;   // top of the stack of IST 1
  u64 page_tables = 0;   // physical: what CR3 holds
  u64 region_table = 0;  // physical: the page table of the region

  u64 stub(unsigned vector) const { return vector_stubs + 16 * vector; }
};
const GuestAddresses& guest_addresses();

/// The region: GDT, IDT, LDT, TSS, stacks, INT3 and UD2 in code pages, random bytes in data pages (of the seed).
std::shared_ptr<const Pristine> make_system_region(u64 seed);

}  // namespace bhvm::oracle
