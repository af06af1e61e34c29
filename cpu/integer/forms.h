// Operand forms shared by the integer instructions: which handler for which width and operand kinds.
#pragma once

#include <array>

#include "cpu/block_builder.h"
#include "cpu/handler.h"

namespace bhvm::integer {

inline constexpr u16 kAllFlags = static_cast<u16>(rflags::kArithmetic);

/// 0, 1, 2, 3 for 8, 16, 32, 64 bits.
constexpr unsigned width_index(unsigned bits) { return bits == 8 ? 0 : bits == 16 ? 1 : bits == 32 ? 2 : 3; }

/// One handler for each width.
using ByWidth = std::array<Handler, 4>;

/// The immediate of operand i, sign-extended as the instruction says, truncated to nothing.
inline i64 immediate(const Instruction& insn, unsigned i) { return insn.operand(i).imm.value.s; }

inline u16 register_of(const Instruction& insn, unsigned i) {
  return BlockBuilder::offset_of(insn.operand(i).reg.value);
}

inline u16 gpr(unsigned index) {
  return BlockBuilder::offset_of(static_cast<ZydisRegister>(ZYDIS_REGISTER_RAX + index));
}

}  // namespace bhvm::integer
