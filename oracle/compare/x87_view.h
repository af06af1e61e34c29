// An outcome's x87 state and what conditions of the x87 and MMX rows ask about it.
#pragma once

#include <array>
#include <cstring>

#include "oracle/compare/explain.h"

namespace bhvm::oracle::x87 {

inline constexpr u64 kInvalid = 1 << 0, kDenormal = 1 << 1;
inline constexpr u64 kExceptions = 0x3F;
inline constexpr u64 kOverflowBit = 1 << 3, kUnderflow = 1 << 4, kInexact = 1 << 5;
inline constexpr u64 kStackFaultBit = 1 << 6;
inline constexpr u64 kErrorSummary = 1 << 7, kBusy = 1 << 15;
inline constexpr u64 kC0 = 1 << 8, kC1 = 1 << 9, kC2 = 1 << 10, kC3 = 1 << 14;
inline constexpr u64 kTop = 7 << 11;

template <class T>
T fx_word(const u8 (&fx)[512], unsigned offset) {
  T value;
  std::memcpy(&value, fx + offset, sizeof(T));
  return value;
}

/// The x87 state of an FXSAVE64 image, registers in physical order.
struct Registers {
  u16 control;
  u16 status;
  u8 tags;
  std::array<u64, 8> significand{};
  std::array<u16, 8> exponent{};

  explicit Registers(const u8 (&fx)[512]) : control(fx_word<u16>(fx, 0)), status(fx_word<u16>(fx, 2)), tags(fx[4]) {
    for (unsigned i = 0; i < 8; ++i) {
      significand[physical(i)] = fx_word<u64>(fx, 32 + 16 * i);
      exponent[physical(i)] = fx_word<u16>(fx, 40 + 16 * i);
    }
  }
  unsigned top() const { return status >> 11 & 7; }
  unsigned physical(unsigned i) const { return (top() + i) & 7; }
  bool empty(unsigned i) const { return (tags >> physical(i) & 1) == 0; }
  u64 unmasked() const { return status & ~control & kExceptions; }
  /// Neither a number nor a NaN nor an infinity: an exponent without an integer bit.
  bool unsupported(unsigned i) const {
    return (exponent[physical(i)] & 0x7FFF) != 0 && significand[physical(i)] >> 63 == 0;
  }
};

inline bool is_stack_field(Field field) {
  return field == Field::kX87Status || field == Field::kX87Tag || field == Field::kX87Significand ||
         field == Field::kX87Exponent;
}

inline bool is_of(const DecodedInstruction& insn, ZydisRegisterClass registers) {
  for (unsigned i = 0; i < insn.z.operand_count; ++i) {
    const ZydisDecodedOperand& operand = insn.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(operand.reg.value) == registers) {
      return true;
    }
  }
  return false;
}

inline bool stores_to_memory(const DecodedInstruction& insn) {
  const ZydisDecodedOperand* memory = memory_operand(insn);
  return memory != nullptr && (memory->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
}

/// Does one of the stack registers that the instruction needs satisfy `condition(i)`? FCMOV needs both, always.
template <class Condition>
bool any_source(const DecodedInstruction& insn, Condition condition) {
  for (unsigned i = 0; i < insn.z.operand_count; ++i) {
    const ZydisDecodedOperand& operand = insn.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && operand.actions != ZYDIS_OPERAND_ACTION_WRITE &&
        ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_X87 &&
        condition(static_cast<unsigned>(ZydisRegisterGetId(operand.reg.value)))) {
      return true;
    }
  }
  return false;
}

/// What an x87 instruction answers: the stack, a store, the flags of FCOMI. A store that one machine makes and the
/// other does not may also end in a fault, and flags may steer what follows: then everything differs.
inline u64 whole_result(const MaskContext& c, const Difference& d) {
  const bool last = c.instruction == &c.instructions.back();
  const bool sets_flags = (c.instruction->z.cpu_flags->modified & ZYDIS_CPUFLAG_ZF) != 0;
  if (stores_to_memory(*c.instruction) || (sets_flags && !last)) return ~u64{0};
  if (is_stack_field(d.field)) return ~u64{0};
  return d.field == Field::kRflags && sets_flags ? kZero | kParity | kCarry : 0;
}

}  // namespace bhvm::oracle::x87
