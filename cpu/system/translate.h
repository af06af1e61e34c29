// Translators of the system instructions.
//
// Mnemonics that general instructions share (MOV, PUSH, POP, JMP, CALL, RET) belong to cpu/integer, which hands the
// special forms to the functions below. MOV's is integer::translate_mov_special().
#pragma once

#include "cpu/block_builder.h"

namespace bhvm {

/// All mnemonics that are system instructions in every form.
void register_system(TranslatorTable& table);

/// PUSH and POP of a segment register.
bool translate_push_segment(BlockBuilder& block, const Instruction& insn);
bool translate_pop_segment(BlockBuilder& block, const Instruction& insn);

/// JMP, CALL and RET whose branch type is far.
bool translate_far_jump(BlockBuilder& block, const Instruction& insn);
bool translate_far_call(BlockBuilder& block, const Instruction& insn);
bool translate_far_return(BlockBuilder& block, const Instruction& insn);

}  // namespace bhvm
