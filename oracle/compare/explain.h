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
