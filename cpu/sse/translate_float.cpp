// Floating-point arithmetic and comparison.
#include <array>

#include "cpu/sse/float_forms.h"
#include "cpu/sse/float_semantics.h"
#include "cpu/sse/reciprocal.h"
#include "cpu/sse/translate.h"

namespace bhvm::sse {
namespace {

/// CMPxx: a handler for each of the eight predicates.
template <class V, unsigned... predicate>
constexpr std::array<FloatForms, 8> compare_forms(std::integer_sequence<unsigned, predicate...>) {
  return {kFloatForms<fp::Compare<predicate>, Operands<V, V>>...};
}
template <class V>
bool compare_instruction(BlockBuilder& block, const Instruction& insn) {
  static constexpr std::array<FloatForms, 8> kForms = compare_forms<V>(std::make_integer_sequence<unsigned, 8>());
  return emit_float_forms(block, insn, kForms[insn.operand(2).imm.value.u & 7]);
}

/// COMISx and UCOMISx. OF, SF and AF are cleared.
template <bool quiet, class T, From from, bool checked>
BHVM_HANDLER(compare_ordered) {
  T source;
  BHVM_SSE_SOURCE(from, source, compare_ordered<quiet, T, From::kSlow, checked>);
  UnitFor<checked> unit(cpu);
  const Comparison result = unit.template compare_ordered<quiet>(operand<T>(cpu, op->dst), source);
  if (!settle(cpu, unit)) BHVM_FAULT;
  cpu.flags.result = u64{!result.zf};  // even parity when 0, odd when 1
  cpu.flags.aux = (result.cf ? LazyFlags::kCarryOut | LazyFlags::kCarryIn : 0) |
                  (u64{result.pf != result.zf} << LazyFlags::kParityShift);
  BHVM_NEXT;
}
template <bool quiet, class T>
bool compare_ordered_instruction(BlockBuilder& block, const Instruction& insn) {
  static constexpr FloatForms kForms{
      {compare_ordered<quiet, T, From::kRegister, false>, compare_ordered<quiet, T, From::kUnaligned, false>, false},
      {compare_ordered<quiet, T, From::kRegister, true>, compare_ordered<quiet, T, From::kUnaligned, true>, true}};
  if (!sse_usable(block, insn)) return true;
  emit_float_forms(block, insn, kForms);
  block.flags({.reads = 0, .writes = rflags::kArithmetic, .without_flags = nullptr});
  return true;
}

// clang-format off
constexpr Row kRows[] = {
    {ZYDIS_MNEMONIC_ADDSS, float_binary<fp::Add, float>},
    {ZYDIS_MNEMONIC_ADDSD, float_binary<fp::Add, double>},
    {ZYDIS_MNEMONIC_ADDPS, float_binary<fp::Add, f32x4>},
    {ZYDIS_MNEMONIC_ADDPD, float_binary<fp::Add, f64x2>},
    {ZYDIS_MNEMONIC_SUBSS, float_binary<fp::Subtract, float>},
    {ZYDIS_MNEMONIC_SUBSD, float_binary<fp::Subtract, double>},
    {ZYDIS_MNEMONIC_SUBPS, float_binary<fp::Subtract, f32x4>},
    {ZYDIS_MNEMONIC_SUBPD, float_binary<fp::Subtract, f64x2>},
    {ZYDIS_MNEMONIC_MULSS, float_binary<fp::Multiply, float>},
    {ZYDIS_MNEMONIC_MULSD, float_binary<fp::Multiply, double>},
    {ZYDIS_MNEMONIC_MULPS, float_binary<fp::Multiply, f32x4>},
    {ZYDIS_MNEMONIC_MULPD, float_binary<fp::Multiply, f64x2>},
    {ZYDIS_MNEMONIC_DIVSS, float_binary<fp::Divide, float>},
    {ZYDIS_MNEMONIC_DIVSD, float_binary<fp::Divide, double>},
    {ZYDIS_MNEMONIC_DIVPS, float_binary<fp::Divide, f32x4>},
    {ZYDIS_MNEMONIC_DIVPD, float_binary<fp::Divide, f64x2>},
    {ZYDIS_MNEMONIC_MINSS, float_binary<fp::Minimum, float>},
    {ZYDIS_MNEMONIC_MINSD, float_binary<fp::Minimum, double>},
    {ZYDIS_MNEMONIC_MINPS, float_binary<fp::Minimum, f32x4>},
    {ZYDIS_MNEMONIC_MINPD, float_binary<fp::Minimum, f64x2>},
    {ZYDIS_MNEMONIC_MAXSS, float_binary<fp::Maximum, float>},
    {ZYDIS_MNEMONIC_MAXSD, float_binary<fp::Maximum, double>},
    {ZYDIS_MNEMONIC_MAXPS, float_binary<fp::Maximum, f32x4>},
    {ZYDIS_MNEMONIC_MAXPD, float_binary<fp::Maximum, f64x2>},
    {ZYDIS_MNEMONIC_SQRTSS, float_unary<fp::SquareRoot, float>},
    {ZYDIS_MNEMONIC_SQRTSD, float_unary<fp::SquareRoot, double>},
    {ZYDIS_MNEMONIC_SQRTPS, float_unary<fp::SquareRoot, f32x4>},
    {ZYDIS_MNEMONIC_SQRTPD, float_unary<fp::SquareRoot, f64x2>},
    {ZYDIS_MNEMONIC_RCPSS, xmm_instruction<reciprocal>},
    {ZYDIS_MNEMONIC_RCPPS, xmm_instruction<each_lane<reciprocal>>},
    {ZYDIS_MNEMONIC_RSQRTSS, xmm_instruction<reciprocal_square_root>},
    {ZYDIS_MNEMONIC_RSQRTPS, xmm_instruction<each_lane<reciprocal_square_root>>},

    {ZYDIS_MNEMONIC_CMPSS, compare_instruction<float>},
    {ZYDIS_MNEMONIC_CMPPS, compare_instruction<f32x4>},
    {ZYDIS_MNEMONIC_CMPPD, compare_instruction<f64x2>},
    {ZYDIS_MNEMONIC_COMISS, compare_ordered_instruction<false, float>},
    {ZYDIS_MNEMONIC_COMISD, compare_ordered_instruction<false, double>},
    {ZYDIS_MNEMONIC_UCOMISS, compare_ordered_instruction<true, float>},
    {ZYDIS_MNEMONIC_UCOMISD, compare_ordered_instruction<true, double>},

    {ZYDIS_MNEMONIC_ADDSUBPS, float_binary<fp::AddSubtract, f32x4>},
    {ZYDIS_MNEMONIC_ADDSUBPD, float_binary<fp::AddSubtract, f64x2>},
    {ZYDIS_MNEMONIC_HADDPS, float_binary<fp::AddNeighbours, f32x4>},
    {ZYDIS_MNEMONIC_HADDPD, float_binary<fp::AddNeighbours, f64x2>},
    {ZYDIS_MNEMONIC_HSUBPS, float_binary<fp::SubtractNeighbours, f32x4>},
    {ZYDIS_MNEMONIC_HSUBPD, float_binary<fp::SubtractNeighbours, f64x2>},
    {ZYDIS_MNEMONIC_DPPS, float_binary_imm<fp::DotProduct, f32x4>},
    {ZYDIS_MNEMONIC_DPPD, float_binary_imm<fp::DotProduct, f64x2>},
    {ZYDIS_MNEMONIC_ROUNDSS, float_unary_imm<fp::Round, float>},
    {ZYDIS_MNEMONIC_ROUNDSD, float_unary_imm<fp::Round, double>},
    {ZYDIS_MNEMONIC_ROUNDPS, float_unary_imm<fp::Round, f32x4>},
    {ZYDIS_MNEMONIC_ROUNDPD, float_unary_imm<fp::Round, f64x2>},
};
// clang-format on

}  // namespace

void register_float(TranslatorTable& table) {
  for (const Row& row : kRows) table.add(row.mnemonic, row.translator);
}

}  // namespace bhvm::sse

namespace bhvm {
bool translate_sse_cmpsd(BlockBuilder& block, const Instruction& insn) {
  return insn.z.operand_count_visible == 3 && sse::compare_instruction<double>(block, insn);
}
}  // namespace bhvm
