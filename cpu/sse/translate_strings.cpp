// String comparisons.
#include "cpu/sse/forms.h"
#include "cpu/sse/string_compare.h"
#include "cpu/sse/translate.h"

namespace bhvm::sse {
namespace {

enum class Lengths : u8 { kImplicit, kExplicit32, kExplicit64 };

/// The comparison; writes the flags (AF and PF are cleared) and RCX, or XMM0 when `mask`.
template <Lengths kind, bool mask>
BHVM_COLD void compare_and_write(Cpu& cpu, u8x16 a, u8x16 b, Imm control) {
  StringLengths lengths;
  if constexpr (kind == Lengths::kImplicit) {
    lengths = implicit_lengths(a, b, control);
  } else {
    const u64 rax = cpu.s.gpr[kRax];
    const u64 rdx = cpu.s.gpr[kRdx];
    constexpr bool k64 = kind == Lengths::kExplicit64;
    lengths.a = explicit_length(k64 ? static_cast<i64>(rax) : static_cast<i32>(rax), control);
    lengths.b = explicit_length(k64 ? static_cast<i64>(rdx) : static_cast<i32>(rdx), control);
  }
  const StringComparison result = compare_strings(a, b, lengths, control);
  if constexpr (mask) {
    cpu.s.xmm[0] = as<Xmm>(string_mask(result, control));
  } else {
    cpu.s.gpr[kRcx] = string_index(result, control);
  }
  cpu.flags.set((result.cf ? rflags::kCf : 0) | (result.zf ? rflags::kZf : 0) | (result.sf ? rflags::kSf : 0) |
                (result.of ? rflags::kOf : 0));
}

/// The memory operand need not be aligned.
template <Lengths kind, bool mask, From from>
BHVM_HANDLER(compare_strings_op) {
  u8x16 source;
  BHVM_SSE_SOURCE(from, source, compare_strings_op<kind, mask, From::kSlow>);
  compare_and_write<kind, mask>(cpu, operand<u8x16>(cpu, op->dst), source, Imm{static_cast<u8>(op->imm)});
  BHVM_NEXT;
}

template <Lengths kind, bool mask>
bool emit_string_comparison(BlockBuilder& block, const Instruction& insn) {
  constexpr Forms kForms{compare_strings_op<kind, mask, From::kRegister>,
                         compare_strings_op<kind, mask, From::kUnaligned>, false};
  emit_forms(block, insn, kForms);
  block.flags({.reads = 0, .writes = rflags::kArithmetic, .without_flags = nullptr});
  return true;
}
template <bool explicit_lengths, bool mask>
bool string_instruction(BlockBuilder& block, const Instruction& insn) {
  if (!sse_usable(block, insn)) return true;
  if constexpr (!explicit_lengths) return emit_string_comparison<Lengths::kImplicit, mask>(block, insn);
  // REX.W: the lengths are in RAX and RDX.
  if (insn.z.raw.rex.W != 0) return emit_string_comparison<Lengths::kExplicit64, mask>(block, insn);
  return emit_string_comparison<Lengths::kExplicit32, mask>(block, insn);
}

constexpr Row kRows[] = {
    {ZYDIS_MNEMONIC_PCMPESTRI, string_instruction<true, false>},
    {ZYDIS_MNEMONIC_PCMPESTRM, string_instruction<true, true>},
    {ZYDIS_MNEMONIC_PCMPISTRI, string_instruction<false, false>},
    {ZYDIS_MNEMONIC_PCMPISTRM, string_instruction<false, true>},
};

}  // namespace

void register_strings(TranslatorTable& table) {
  for (const Row& row : kRows) table.add(row.mnemonic, row.translator);
}

}  // namespace bhvm::sse
