// The semantics of the x87 instructions on a Cpu, by the opcode table that uses them (cpu/x87/opcodes.cpp).
//
// `operands.variant()` selects within a family: the reg field of the opcode where a family fills one, otherwise as
// said.
#pragma once

#include "cpu/x87/execute.h"

namespace bhvm::x87 {

// ---- handlers_arithmetic.cpp; variant: reg field 0 to 7 (FADD FMUL FCOM FCOMP FSUB FSUBR FDIV FDIVR) ----
bool arithmetic_f32(Cpu& cpu, const Operands& operands);
bool arithmetic_f64(Cpu& cpu, const Operands& operands);
bool arithmetic_i16(Cpu& cpu, const Operands& operands);
bool arithmetic_i32(Cpu& cpu, const Operands& operands);
bool arithmetic_to_top(Cpu& cpu, const Operands& operands);       // ST(0) = ST(0) op ST(i)
bool arithmetic_to_register(Cpu& cpu, const Operands& operands);  // ST(i) = ST(i) op ST(0)
bool arithmetic_and_pop(Cpu& cpu, const Operands& operands);

/// Variants of compare_st: bits.
inline constexpr u16 kCompareQuiet = 4;  // the low two bits count the pops
bool compare_st(Cpu& cpu, const Operands& operands);
bool compare_flags(Cpu& cpu, const Operands& operands);
bool unary_op(Cpu& cpu, const Operands& operands);        // variant: Unary
bool two_operand_op(Cpu& cpu, const Operands& operands);  // variant: TwoOperand
bool remainder_op(Cpu& cpu, const Operands& operands);    // variant: 1 for FPREM1
bool change_sign_op(Cpu& cpu, const Operands& operands);
bool absolute_value_op(Cpu& cpu, const Operands& operands);
bool test_op(Cpu& cpu, const Operands& operands);
bool examine_op(Cpu& cpu, const Operands& operands);
bool extract_op(Cpu& cpu, const Operands& operands);
bool scale_op(Cpu& cpu, const Operands& operands);
bool sine_and_cosine_op(Cpu& cpu, const Operands& operands);
bool partial_tangent_op(Cpu& cpu, const Operands& operands);

// ---- handlers_transfer.cpp ----
bool load_f32(Cpu& cpu, const Operands& operands);
bool load_f64(Cpu& cpu, const Operands& operands);
bool load_f80(Cpu& cpu, const Operands& operands);
bool load_i16(Cpu& cpu, const Operands& operands);
bool load_i32(Cpu& cpu, const Operands& operands);
bool load_i64(Cpu& cpu, const Operands& operands);
bool load_bcd(Cpu& cpu, const Operands& operands);
/// Variants of the stores: bits.
inline constexpr u16 kStorePop = 1;
inline constexpr u16 kStoreTruncate = 2;
bool store_f32(Cpu& cpu, const Operands& operands);
bool store_f64(Cpu& cpu, const Operands& operands);
bool store_f80(Cpu& cpu, const Operands& operands);
bool store_i16(Cpu& cpu, const Operands& operands);
bool store_i32(Cpu& cpu, const Operands& operands);
bool store_i64(Cpu& cpu, const Operands& operands);
bool store_bcd(Cpu& cpu, const Operands& operands);
bool load_st(Cpu& cpu, const Operands& operands);
bool store_st(Cpu& cpu, const Operands& operands);          // variant: kStorePop
bool store_st_quietly(Cpu& cpu, const Operands& operands);  // FSTPNCE
bool exchange_st(Cpu& cpu, const Operands& operands);
bool load_constant_op(Cpu& cpu, const Operands& operands);  // variant: Constant
bool move_if(Cpu& cpu, const Operands& operands);           // variant: Condition of cpu/integer/conditions.h

// ---- handlers_control.cpp ----
bool wait(Cpu& cpu, const Operands& operands);        // FWAIT
bool do_nothing(Cpu& cpu, const Operands& operands);  // FNOP and, without waiting, FNENI, FNDISI, FNSETPM
bool load_control_word_op(Cpu& cpu, const Operands& operands);
bool store_control_word(Cpu& cpu, const Operands& operands);
bool store_status_word(Cpu& cpu, const Operands& operands);
bool store_status_word_ax(Cpu& cpu, const Operands& operands);
bool initialize_op(Cpu& cpu, const Operands& operands);
bool clear_exceptions_op(Cpu& cpu, const Operands& operands);
bool rotate_up(Cpu& cpu, const Operands& operands);
bool rotate_down(Cpu& cpu, const Operands& operands);
bool free_st(Cpu& cpu, const Operands& operands);  // variant: kStorePop
bool empty_mmx(Cpu& cpu, const Operands& operands);

// ---- handlers_environment.cpp: system instructions; Op::src: 1 for the 32-bit format ----
bool store_environment(Cpu& cpu, const Op& op);
bool load_environment(Cpu& cpu, const Op& op);
bool save_state(Cpu& cpu, const Op& op);
bool restore_state(Cpu& cpu, const Op& op);

}  // namespace bhvm::x87
