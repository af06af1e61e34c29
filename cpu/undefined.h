// Instructions that do not exist here: #UD for what CPUID does not claim, a clear stop for what it claims and bhvm
// lacks.
#pragma once

#include "cpu/block_builder.h"
#include "cpu/handler.h"

namespace bhvm {

/// Raises #UD.
BHVM_HANDLER(raise_invalid_opcode);
/// Raises #GP(0).
BHVM_HANDLER(raise_general_protection);
/// Raises #NM.
BHVM_HANDLER(raise_device_not_available);

/// No decoding: #UD, or #GP(0) for more than 15 bytes.
void emit_undecodable(BlockBuilder& block, bool too_long);
/// Decoded, but nobody translates it.
void emit_missing(BlockBuilder& block, const Instruction& insn);
/// An op that raises #UD (ends the block): for translators.
bool emit_invalid_opcode(BlockBuilder& block);

}  // namespace bhvm
