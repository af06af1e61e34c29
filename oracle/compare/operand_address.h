// Where an operand in memory lies, as far as one knows what its registers held.
#pragma once

#include <optional>

#include "oracle/compare/explain.h"

namespace bhvm::oracle {

/// The operand's offset in its segment. `value_of(register)` is the value of all 64 bits of a base or an index, which
/// may be RIP or none, or nothing where that is not known.
template <class ValueOf>
std::optional<u64> operand_offset(const DecodedInstruction& insn, const ZydisDecodedOperandMem& memory,
                                  ValueOf value_of) {
  // Zydis 4.0 names R13D where there is no base.
  const bool no_base = memory.base == ZYDIS_REGISTER_R13D && insn.z.raw.modrm.mod == 0;
  const std::optional<u64> base = value_of(no_base ? ZYDIS_REGISTER_NONE : memory.base);
  const std::optional<u64> index = value_of(memory.index);
  if (!base || !index) return std::nullopt;
  const i64 displacement = no_base ? insn.z.raw.disp.value : memory.disp.value;
  const u64 offset = *base + *index * memory.scale + static_cast<u64>(displacement);
  return insn.z.address_width == 64 ? offset : offset & ((u64{1} << insn.z.address_width) - 1);
}

/// The operand's offset for a machine that faulted at the instruction: its registers are those that the operand has.
inline u64 operand_offset_at_fault(const MaskContext& c, const Outcome& outcome, const DecodedInstruction& insn,
                                   const ZydisDecodedOperandMem& memory) {
  const auto value_of = [&](ZydisRegister reg) -> std::optional<u64> {
    if (reg == ZYDIS_REGISTER_NONE) return 0;
    if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP) return address_of(c, insn) + insn.z.length;
    return outcome.gpr[ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(insn.z.machine_mode, reg))];
  };
  return operand_offset(insn, memory, value_of).value_or(0);
}

/// What 64-bit mode adds to an offset.
template <class State>
u64 segment_base(const State& state, ZydisRegister segment) {
  return segment == ZYDIS_REGISTER_FS ? state.fs_base : segment == ZYDIS_REGISTER_GS ? state.gs_base : 0;
}

}  // namespace bhvm::oracle
