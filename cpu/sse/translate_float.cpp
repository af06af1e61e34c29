// Floating-point arithmetic and comparison.
#include <array>

#include "cpu/sse/float_forms.h"
#include "cpu/sse/float_lanes.h"
#include "cpu/sse/translate.h"

namespace bhvm::sse {
namespace {

/// CMPxx: a handler for each of the eight predicates.
template <class V, unsigned... predicate>
constexpr std::array<FloatForms, 8> compare_forms(std::integer_sequence<unsigned, predicate...>) {
  return {kFloatForms<fp::compare<predicate, V>>...};
}
template <class V>
bool compare_instruction(BlockBuilder& block, const Instruction& insn) {
  static constexpr std::array<FloatForms, 8> kForms = compare_forms<V>(std::make_integer_sequence<unsigned, 8>());
  const unsigned predicate = insn.operand(2).imm.value.u & 7;
  return !sse_usable(block, insn) || emit_forms(block, insn, forms_for_mode(kForms[predicate], insn));
}

/// COMISx and UCOMISx. OF, SF and AF are cleared.
template <bool quiet, class T, From from, bool checked>
BHVM_HANDLER(compare_ordered) {
  T source;
  BHVM_SSE_SOURCE(from, source);
  const T destination = operand<T>(cpu, op->dst);
  fp::Comparison result;
  if constexpr (checked) {
    const u32 before = host_mxcsr();
    set_host_mxcsr(before & ~mxcsr::kFlags);
    result = fp::compare_ordered<quiet>(destination, source);
    if (!settle_exceptions(cpu, before, false)) BHVM_FAULT;
  } else {
    result = fp::compare_ordered<quiet>(destination, source);
  }
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
  emit_forms(block, insn, forms_for_mode(kForms, insn));
  block.flags({.reads = 0, .writes = rflags::kArithmetic, .without_flags = nullptr});
  return true;
}

// clang-format off
constexpr Row kRows[] = {
    {ZYDIS_MNEMONIC_ADDSS, float_instruction<fp::add<float>, u32>},
    {ZYDIS_MNEMONIC_ADDSD, float_instruction<fp::add<double>, u64>},
    {ZYDIS_MNEMONIC_ADDPS, float_instruction<fp::add<f32x4>, u32>},
    {ZYDIS_MNEMONIC_ADDPD, float_instruction<fp::add<f64x2>, u64>},
    {ZYDIS_MNEMONIC_SUBSS, float_instruction<fp::subtract<float>, u32>},
    {ZYDIS_MNEMONIC_SUBSD, float_instruction<fp::subtract<double>, u64>},
    {ZYDIS_MNEMONIC_SUBPS, float_instruction<fp::subtract<f32x4>, u32>},
    {ZYDIS_MNEMONIC_SUBPD, float_instruction<fp::subtract<f64x2>, u64>},
    {ZYDIS_MNEMONIC_MULSS, float_instruction<fp::multiply<float>, u32>},
    {ZYDIS_MNEMONIC_MULSD, float_instruction<fp::multiply<double>, u64>},
    {ZYDIS_MNEMONIC_MULPS, float_instruction<fp::multiply<f32x4>, u32>},
    {ZYDIS_MNEMONIC_MULPD, float_instruction<fp::multiply<f64x2>, u64>},
    {ZYDIS_MNEMONIC_DIVSS, float_instruction<fp::divide<float>, u32>},
    {ZYDIS_MNEMONIC_DIVSD, float_instruction<fp::divide<double>, u64>},
    {ZYDIS_MNEMONIC_DIVPS, float_instruction<fp::divide<f32x4>, u32>},
    {ZYDIS_MNEMONIC_DIVPD, float_instruction<fp::divide<f64x2>, u64>},
    {ZYDIS_MNEMONIC_MINSS, float_instruction<fp::minimum<float>>},
    {ZYDIS_MNEMONIC_MINSD, float_instruction<fp::minimum<double>>},
    {ZYDIS_MNEMONIC_MINPS, float_instruction<fp::minimum<f32x4>>},
    {ZYDIS_MNEMONIC_MINPD, float_instruction<fp::minimum<f64x2>>},
    {ZYDIS_MNEMONIC_MAXSS, float_instruction<fp::maximum<float>>},
    {ZYDIS_MNEMONIC_MAXSD, float_instruction<fp::maximum<double>>},
    {ZYDIS_MNEMONIC_MAXPS, float_instruction<fp::maximum<f32x4>>},
    {ZYDIS_MNEMONIC_MAXPD, float_instruction<fp::maximum<f64x2>>},
    {ZYDIS_MNEMONIC_SQRTSS, float_instruction<fp::square_root<float>>},
    {ZYDIS_MNEMONIC_SQRTSD, float_instruction<fp::square_root<double>>},
    {ZYDIS_MNEMONIC_SQRTPS, float_instruction<fp::square_root<f32x4>>},
    {ZYDIS_MNEMONIC_SQRTPD, float_instruction<fp::square_root<f64x2>>},
    {ZYDIS_MNEMONIC_RCPSS, xmm_instruction<fp::reciprocal>},
    {ZYDIS_MNEMONIC_RCPPS, xmm_instruction<fp::each_lane<fp::reciprocal>>},
    {ZYDIS_MNEMONIC_RSQRTSS, xmm_instruction<fp::reciprocal_square_root>},
    {ZYDIS_MNEMONIC_RSQRTPS, xmm_instruction<fp::each_lane<fp::reciprocal_square_root>>},

    {ZYDIS_MNEMONIC_CMPSS, compare_instruction<float>},
    {ZYDIS_MNEMONIC_CMPPS, compare_instruction<f32x4>},
    {ZYDIS_MNEMONIC_CMPPD, compare_instruction<f64x2>},
    {ZYDIS_MNEMONIC_COMISS, compare_ordered_instruction<false, float>},
    {ZYDIS_MNEMONIC_COMISD, compare_ordered_instruction<false, double>},
    {ZYDIS_MNEMONIC_UCOMISS, compare_ordered_instruction<true, float>},
    {ZYDIS_MNEMONIC_UCOMISD, compare_ordered_instruction<true, double>},

    {ZYDIS_MNEMONIC_ADDSUBPS, float_instruction<fp::add_subtract<f32x4>, u32>},
    {ZYDIS_MNEMONIC_ADDSUBPD, float_instruction<fp::add_subtract<f64x2>, u64>},
    {ZYDIS_MNEMONIC_HADDPS, float_instruction<fp::add_neighbours<f32x4>, u32>},
    {ZYDIS_MNEMONIC_HADDPD, float_instruction<fp::add_neighbours<f64x2>, u64>},
    {ZYDIS_MNEMONIC_HSUBPS, float_instruction<fp::subtract_neighbours<f32x4>, u32>},
    {ZYDIS_MNEMONIC_HSUBPD, float_instruction<fp::subtract_neighbours<f64x2>, u64>},
    {ZYDIS_MNEMONIC_DPPS, float_instruction<fp::dot_product, u32>},
    {ZYDIS_MNEMONIC_DPPD, float_instruction<fp::dot_product_doubles, u64>},
    {ZYDIS_MNEMONIC_ROUNDSS, float_instruction<fp::round<float>>},
    {ZYDIS_MNEMONIC_ROUNDSD, float_instruction<fp::round<double>>},
    {ZYDIS_MNEMONIC_ROUNDPS, float_instruction<fp::round<f32x4>>},
    {ZYDIS_MNEMONIC_ROUNDPD, float_instruction<fp::round<f64x2>>},
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
