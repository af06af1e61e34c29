// Where the tables, stacks and landing places of system cases lie in the case region, and the selectors of its GDT.
//
// The first selectors are the guest program's own (oracle/protocol.h), so that its gates work whichever GDT is loaded.
#pragma once

#include "base/types.h"
#include "oracle/protocol.h"

namespace bhvm::oracle::layout {

// Tables, in pages 20 to 23 (supervisor).
inline constexpr u64 kGdt = page_linear(20);
inline constexpr u64 kIdt = page_linear(21);
inline constexpr u64 kLdt = page_linear(22);
inline constexpr u64 kTss = page_linear(22) + 0x800;
/// A copy of the first 128 gates that ends where page 24 starts.
inline constexpr u64 kEdgeIdt = page_linear(24) - 0x800;
inline constexpr u16 kEdgeIdtVectors = 0x80;
/// Copies of the GDT's first selectors that end with their page: read-only page 26 behind it, and unmapped page 29.
inline constexpr u64 kEdgeGdtBytes = 0x90;
inline constexpr u64 kEdgeBeforeReadOnly = page_linear(26);
inline constexpr u64 kEdgeBeforeUnmapped = page_linear(29);

inline constexpr u16 kGdtLimit = 0x2FF;
inline constexpr u16 kIdtLimit = 0xFFF;
inline constexpr u16 kLdtLimit = 0x1FF;

// Selectors beyond the guest program's.
inline constexpr u16 kRing1Code64 = 0x50 | 1;
inline constexpr u16 kRing1Data = 0x58 | 1;
inline constexpr u16 kRing2Code64 = 0x60 | 2;
inline constexpr u16 kRing2Data = 0x68 | 2;
inline constexpr u16 kRing1Code32 = 0x70 | 1;
inline constexpr u16 kRing2Code32 = 0x78 | 2;
inline constexpr u16 kLocalTable = 0x80;  // 16 bytes
inline constexpr u16 kConforming64 = 0x90;
inline constexpr u16 kConforming32 = 0x98;

/// Room for descriptors that cases write: 16 bytes each.
inline constexpr unsigned kSlots = 32;
inline constexpr u16 slot(unsigned i) { return static_cast<u16>(0x100 + 16 * i); }
inline constexpr unsigned kLocalSlots = 16;
inline constexpr u16 local_slot(unsigned i) { return static_cast<u16>(0x104 + 16 * i); }

/// The linear address of a selector's descriptor.
inline constexpr u64 descriptor_linear(u16 selector) {
  return ((selector & 4) != 0 ? kLdt : kGdt) + (selector & 0xFFF8);
}

// The TSS: I/O bitmap of 40 bytes behind the 104 architectural ones, then a byte of ones.
inline constexpr u16 kIoMapBase = 104;
inline constexpr u16 kIoMapBytes = 40;
inline constexpr u16 kTssLimit = kIoMapBase + kIoMapBytes;
inline constexpr u64 tss_rsp(unsigned level) { return kTss + 4 + 8 * level; }
inline constexpr u64 tss_ist(unsigned ist) { return kTss + 36 + 8 * (ist - 1); }
inline constexpr u64 kTssIoMapBase = kTss + 102;

// Stacks in pages 24 and 25 (supervisor).
inline constexpr u64 kStack0 = page_linear(25);
inline constexpr u64 kStack1 = page_linear(24) + 0x800;
inline constexpr u64 kStack2 = page_linear(25) + 0x800;
inline constexpr u64 ist_stack(unsigned ist) { return page_linear(25) + 0xF00 - 0x80 * (ist - 2); }
inline constexpr u64 kUserStack = page_linear(kStackTopPage) - 0x400;

// Code. Page 4 (user) and page 26 (supervisor) hold INT3, and UD2 from kUndefinedFrom on.
inline constexpr u64 kUserCode = page_linear(4);
inline constexpr u64 kSupervisorCode = page_linear(26);
inline constexpr u64 kLandingFrom = 0x800;    // of the page
inline constexpr u64 kUndefinedFrom = 0xC00;  // of the page
inline constexpr u64 kLandingBytes = 0x400;

/// Data pages: 7 and 8 (user, writable), neighbours.
inline constexpr u64 kData = page_linear(7);

}  // namespace bhvm::oracle::layout
