// The general-purpose instructions, by the files they are in.
#pragma once

#include "cpu/block_builder.h"

namespace bhvm::integer {

void register_alu(TranslatorTable& table);
void register_moves(TranslatorTable& table);
void register_shifts(TranslatorTable& table);
void register_multiply(TranslatorTable& table);
void register_bits(TranslatorTable& table);
void register_stack(TranslatorTable& table);
void register_jumps(TranslatorTable& table);
void register_conditional(TranslatorTable& table);
void register_strings(TranslatorTable& table);
void register_atomics(TranslatorTable& table);
void register_flags(TranslatorTable& table);
void register_decimal(TranslatorTable& table);

/// A comparison that a following conditional jump can take over: told by its handler.
struct FusableCompare {
  bool is_test = false;
  bool immediate = false;
  unsigned width = 0;  // width_index()
};
bool fusable_compare(Handler handler, FusableCompare& compare);

/// MOV to and from segment, control and debug registers: in cpu/system.
bool translate_mov_special(BlockBuilder& block, const Instruction& insn);

/// All of them.
void register_integer(TranslatorTable& table);

}  // namespace bhvm::integer
