// CpuState: the processor's architectural state, the one list of its fields.
//
// Valid as a whole whenever Cpu::run() is not on the stack. Inside run() the arithmetic bits of `rflags`, `rip` and
// `instructions` are kept in faster forms and brought up to date on every way out of the dispatch (cpu/cpu.h).
#pragma once

#include <array>

#include "base/types.h"
#include "cpu/x87/x87_state.h"

namespace bhvm {

enum Gpr : u8 { kRax, kRcx, kRdx, kRbx, kRsp, kRbp, kRsi, kRdi, kR8, kR9, kR10, kR11, kR12, kR13, kR14, kR15 };

/// Segment registers in their encoding order.
enum SegmentIndex : u8 { kEs, kCs, kSs, kDs, kFs, kGs, kSegmentCount };

struct alignas(16) Xmm {
  std::array<u64, 2> q{};
};

namespace descriptor {
// Attributes of a segment: bits 40 to 55 of its descriptor, without the limit (SDM 3, 3.4.5).
inline constexpr u16 kTypeMask = 0xF;
inline constexpr u16 kAccessed = 1 << 0;
inline constexpr u16 kWritable = 1 << 1;    // of a data segment; of a code segment: readable
inline constexpr u16 kExpandDown = 1 << 2;  // of a data segment; of a code segment: conforming
inline constexpr u16 kCode = 1 << 3;
inline constexpr u16 kNonSystem = 1 << 4;  // S
inline constexpr unsigned kDplShift = 5;
inline constexpr u16 kPresent = 1 << 7;
inline constexpr u16 kLong = 1 << 13;         // L
inline constexpr u16 kBig = 1 << 14;          // D/B
inline constexpr u16 kGranularity = 1 << 15;  // G
}  // namespace descriptor

/// A segment register with its hidden part. A null or unusable segment has attributes without kPresent.
struct SegmentState {
  u16 selector = 0;
  u16 attributes = 0;
  u32 limit = 0;  // in bytes, granularity applied
  u64 base = 0;
};

struct TableRegister {
  u64 base = 0;
  u16 limit = 0;
};

/// Model-specific registers without a better place (SDM 4).
struct MsrState {
  u64 efer = 0;
  u64 star = 0;
  u64 lstar = 0;
  u64 cstar = 0;
  u64 fmask = 0;
  u64 kernel_gs_base = 0;
  u64 sysenter_cs = 0;
  u64 sysenter_esp = 0;
  u64 sysenter_eip = 0;
  u64 pat = 0x0007040600070406;
  u64 tsc_adjust = 0;
  u64 tsc_aux = 0;
  u64 misc_enable = 1;  // fast strings
  u64 mtrr_def_type = 0;
  std::array<u64, 16> mtrr_variable{};
  std::array<u64, 11> mtrr_fixed{};
  u64 spec_ctrl = 0;
  u64 debugctl = 0;
};

struct CpuState {
  std::array<u64, 16> gpr{};
  u64 rip = 0;
  u64 rflags = 2;
  std::array<Xmm, 16> xmm{};
  u32 mxcsr = 0x1F80;
  X87State x87{};
  std::array<SegmentState, kSegmentCount> segments{};
  SegmentState ldtr{};
  SegmentState tr{};
  TableRegister gdtr{};
  TableRegister idtr{};
  u8 cpl = 0;
  u64 cr0 = 0x60000010;
  u64 cr2 = 0;
  u64 cr3 = 0;
  u64 cr4 = 0;
  u64 xcr0 = 1;
  std::array<u64, 4> pdpte{};
  std::array<u64, 4> dr{};
  u64 dr6 = 0xFFFF0FF0;
  u64 dr7 = 0x400;
  MsrState msr{};

  // Between instructions.
  bool halted = false;          // after HLT
  bool interrupt_line = false;  // INTR from the interrupt controller
  bool nmi_blocked = false;     // from the delivery of an NMI to the next IRET
  u64 shadow_at = ~u64{0};      // interrupts are inhibited while `instructions` equals this (after STI, MOV SS, POP SS)
  bool shadow_blocks_debug = false;  // the shadow is of MOV SS or POP SS: debug traps wait too
  u64 pending_debug = 0;             // DR6 bits of debug traps that wait for the next instruction boundary

  // The page instructions are fetched from: a jump within it needs no translation (ARCHITECTURE.md, fetch page).
  u64 fetch_linear = 1;    // linear page address, or 1: none
  u64 fetch_physical = 0;  // physical page address

  u64 instructions = 0;  // retired since power-on; the delivery of an exception counts as one
  u64 rep_iterations = 0;
};

}  // namespace bhvm
