// The MMX, SSE to SSE4.2, AES-NI and PCLMULQDQ instructions.
#pragma once

#include "cpu/block_builder.h"

namespace bhvm {

namespace sse {
/// Can what is built for hosts with SSE4.2, AES-NI and PCLMULQDQ run here (cpu/sse/vector.h)? False where nothing is.
bool has_sse42_host();
}  // namespace sse

/// Adds the group to the table.
void register_sse(TranslatorTable& table);

/// MOVSD and CMPSD are also names of string instructions, and the table is by name: the translator of those hands over
/// instructions with visible operands to these. register_sse() adds them only where the table has no entry yet.
bool translate_sse_movsd(BlockBuilder& block, const Instruction& insn);
bool translate_sse_cmpsd(BlockBuilder& block, const Instruction& insn);

namespace sse {
// The parts, one file each.
void register_moves(TranslatorTable& table);
void register_float(TranslatorTable& table);
void register_convert(TranslatorTable& table);
void register_strings(TranslatorTable& table);
void register_control(TranslatorTable& table);

// These are built for several hosts' instruction sets (cpu/sse/vector.h).
inline namespace any_host {
void register_integer(TranslatorTable& table);
void register_ciphers(TranslatorTable& table);
}  // namespace any_host
#if BHVM_SSE_HOSTS
/// Hosts with SSE4.2, AES-NI and PCLMULQDQ.
inline namespace sse42_host {
void register_integer(TranslatorTable& table);
void register_ciphers(TranslatorTable& table);
}  // namespace sse42_host
#endif
}  // namespace sse

}  // namespace bhvm
