// What makes two encodings the same form, and what a form is called.
#pragma once

#include <string>

#include "cpu/block_builder.h"

namespace bhvm::oracle {

/// Equal for instructions of one form: mnemonic, kinds and widths of operands, LOCK and REP, mode; where operands are
/// hidden, operand and address size too.
u64 signature_of(const Instruction& insn);

/// "lock add m32, r32"; " [32]" behind forms of 32-bit code.
std::string form_name(const Instruction& insn);

/// The row of a report that the instruction belongs to.
const char* family_of(const Instruction& insn);

/// In kernel modes the instruction belongs to system cases.
bool belongs_to_system_cases(const Instruction& insn);

/// Fit to stand beside another instruction: see Form::simple.
bool is_simple(const Instruction& insn);
/// FNSTENV, FNSAVE, FXSAVE, XSAVE and their kin; SYSCALL.
bool stores_open_state(const Instruction& insn);
/// May its result differ between machines (but for status flags)?
bool has_open_result(const Instruction& insn);

/// A near branch with 16-bit operand size: bhvm does not have them (docs/CPU.md) and stops.
bool is_narrow_branch(const Instruction& insn);

/// JRCXZ, LOOP and the like, and instructions with a hidden memory operand that is not on the stack: the address size
/// is part of what they are.
bool address_size_matters(const Instruction& insn);

}  // namespace bhvm::oracle
