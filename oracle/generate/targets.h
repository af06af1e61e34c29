// Targets: the linear addresses that accesses and branches of a case are led to.
//
// No target ever lies in the guest program's own memory (kDirectMap), where a case of a kernel mode could do harm.
#pragma once

#include "base/types.h"
#include "oracle/generate/dice.h"
#include "oracle/protocol.h"

namespace bhvm::oracle {

/// Where a group's code lies: its INT3 fill around is where branches may land, its bytes are never patched.
struct CodePlace {
  u64 start = 0;  // linear
  u64 end = 0;
};

struct AccessShape {
  u32 size = 1;           // bytes
  u32 alignment = 1;      // what it likes, in bytes
  bool writes = false;    // it is written (too)
  bool below_4g = false;  // addresses have 32 bits
  bool kernel = false;    // CPL 0
};

/// The shape of an access of `size` bytes that likes to be aligned to its size, up to a cache line.
AccessShape shape_of_size(u32 size);

/// A linear address for a data access: three of four succeed.
u64 data_target(Dice& dice, const AccessShape& shape, const CodePlace& code);
/// A value for the stack pointer such that `below` bytes under it are pushed, or `above` bytes over it are popped.
u64 stack_target(Dice& dice, u32 below, u32 above, bool below_4g);
/// Where a string instruction of `count` elements of `size` bytes may start, going down or up: `count` beyond a few
/// thousand bytes always runs into a page that faults.
u64 string_target(Dice& dice, u64 count, u32 size, bool down, const AccessShape& shape);
/// Where an indirect branch goes: mostly into INT3 fill of a code page.
u64 branch_target(Dice& dice, const CodePlace& code, bool below_4g, bool kernel);
/// An offset into the INT3 fill of a page, away from the group's own code.
u64 fill_target(Dice& dice, const CodePlace& code);

/// A canonical address of the upper half, far from the guest program.
u64 kernel_half_address(Dice& dice);

/// Do `size` bytes at a linear address lie in the region?
bool in_region(u64 linear, u64 size);
PageKind kind_at(u64 linear);
bool is_code(PageKind kind);
/// Is any of it the guest program's memory?
bool in_guest_program(u64 linear);

}  // namespace bhvm::oracle
