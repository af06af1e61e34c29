// Small conditions that rows of the mask table are made of.
#pragma once

#include "oracle/compare/masks.h"

namespace bhvm::oracle {

// Exception vectors (SDM 3, table 6-1).
inline constexpr u32 kDivideError = 0, kDebug = 1, kBreakpoint = 3, kOverflow = 4, kInvalidOpcode = 6, kDoubleFault = 8,
                     kStackFault = 12, kGeneralProtection = 13, kPageFault = 14, kX87Error = 16, kAlignmentCheck = 17,
                     kSimdError = 19;

inline constexpr u64 kCarry = 1 << 0, kParity = 1 << 2, kAuxiliary = 1 << 4, kZero = 1 << 6, kSign = 1 << 7,
                     kOverflowFlag = 1 << 11, kResume = 1 << 16;
inline constexpr u64 kStatusFlags = kCarry | kParity | kAuxiliary | kZero | kSign | kOverflowFlag;

/// Vectors whose saved RIP is the instruction itself (faults), without those that are faults at times only.
inline bool is_fault(u32 vector) {
  return vector < 32 && vector != kDebug && vector != kBreakpoint && vector != kOverflow && vector != 2 &&
         vector != kDoubleFault;
}

/// The instruction at RIP of a fault, if it is one of the group's.
inline const DecodedInstruction* faulting_instruction(const MaskContext& c) {
  u64 at = kRegion + c.group.group.code_offset;
  for (const DecodedInstruction& insn : c.instructions) {
    if (at == c.ours.rip) return &insn;
    at += insn.z.length;
  }
  return nullptr;
}

inline bool is_code64(const CaseGroup& group) {
  return group.group.mode == Mode::kUser64 || group.group.mode == Mode::kKernel64;
}

/// Where an instruction of the group stands.
inline u64 address_of(const MaskContext& c, const DecodedInstruction& wanted) {
  u64 at = kRegion + c.group.group.code_offset;
  for (const DecodedInstruction& insn : c.instructions) {
    if (&insn == &wanted) break;
    at += insn.z.length;
  }
  return at;
}

/// How many of the group's instructions bhvm completed for sure, from the first one on: those before the one at RIP, or
/// up to the first branch.
inline std::size_t completed(const MaskContext& c) {
  u64 at = kRegion + c.group.group.code_offset;
  for (std::size_t i = 0; i < c.instructions.size(); ++i) {
    if (c.ours.rip == at) return i;
    if (c.instructions[i].z.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE) return i + 1;
    at += c.instructions[i].z.length;
  }
  return c.instructions.size();
}

/// An operand in memory, of at least `bits` bits if wanted.
inline const ZydisDecodedOperand* memory_operand(const DecodedInstruction& insn, unsigned bits = 0) {
  for (unsigned i = 0; i < insn.z.operand_count; ++i) {
    if (insn.operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY && insn.operands[i].size >= bits) return &insn.operands[i];
  }
  return nullptr;
}

inline bool reads_and_writes_memory(const DecodedInstruction& insn) {
  for (unsigned i = 0; i < insn.z.operand_count; ++i) {
    const ZydisDecodedOperand& operand = insn.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY && (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0 &&
        (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) {
      return true;
    }
  }
  return false;
}

inline PageKind page_kind_at(u64 linear) {
  const u64 page = (linear - kRegion) / kPageBytes;
  return page < kRegionPages ? kPageKinds[page] : PageKind::kUnmapped;
}

/// What QEMU may make of the status flags when it computes them from what is not there: at times it leaves reserved
/// bits set, which no flags register can hold, and then nothing in it means anything.
inline u64 status_flags_or_garbage(const Difference& d) {
  constexpr u64 kReserved = u64{1} << 3 | u64{1} << 5 | u64{1} << 15 | ~u64{0x3FFFFF};
  return (d.theirs & kReserved) != 0 ? ~u64{0} : kStatusFlags;
}

/// Explains `bits` of one field.
template <Field kField, u64 kBits = ~u64{0}>
u64 explain_field(const MaskContext&, const Difference& d) {
  return d.field == kField ? kBits : 0;
}

/// Explains status flags, wherever the instruction completed.
template <u64 kBits>
u64 explain_flags(const MaskContext&, const Difference& d) {
  return d.field == Field::kRflags ? kBits & kStatusFlags : 0;
}

}  // namespace bhvm::oracle
