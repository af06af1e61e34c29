// Model-specific registers: one table (SDM 4, chapter 2; docs/CPU.md).
//
// An MSR that is not in the table is #GP(0), as is a value with reserved bits. The interrupt controller's MSRs go to
// the board.
#pragma once

#include <span>
#include <string_view>

#include "cpu/system_op.h"

namespace bhvm {

/// What IA32_ARCH_CAPABILITIES reads: no speculation, hence none of its side channels (SDM 4, table 2-2).
u64 arch_capabilities();

struct Msr;
using MsrRead = bool (*)(Cpu& cpu, const Msr& msr, u64& value);
using MsrWrite = bool (*)(Cpu& cpu, const Msr& msr, u64 value);

struct Msr {
  u32 first = 0;
  u32 last = 0;  // a range of registers of one kind
  std::string_view name;
  u64 MsrState::* field = nullptr;  // where the value is, for those that are plain state
  u64 reserved = 0;                 // bits that must be written as zero
  u64 constant = 0;                 // what a register without state reads
  MsrRead read = nullptr;
  MsrWrite write = nullptr;
  u32 index = 0;  // within the access: the register meant, for ranges
};

std::span<const Msr> msrs();

/// RDMSR and WRMSR without the privilege check; false with #GP(0).
bool read_msr(Cpu& cpu, u32 index, u64& value);
bool write_msr(Cpu& cpu, u32 index, u64 value);

bool rdmsr(Cpu& cpu, const Op& op);
bool wrmsr(Cpu& cpu, const Op& op);

}  // namespace bhvm
