// Conversions between integers, single and double precision, in XMM, MMX and general registers.
#include "cpu/sse/float_forms.h"
#include "cpu/sse/float_semantics.h"
#include "cpu/sse/translate.h"

namespace bhvm::sse {
namespace {

/// CVTSI2SS, CVTSI2SD.
template <class T>
bool from_integer_instruction(BlockBuilder& block, const Instruction& insn) {
  if (insn.width(1) == 64) return float_unary<fp::FromInteger<T>, i64>(block, insn);
  return float_unary<fp::FromInteger<T>, i32>(block, insn);
}
/// CVTxx2SI, CVTTxx2SI.
template <class T, bool truncate>
bool to_integer_instruction(BlockBuilder& block, const Instruction& insn) {
  if (insn.width(0) == 64) return float_unary<fp::ToInteger<u64, truncate>, T, Into::kGpr>(block, insn);
  return float_unary<fp::ToInteger<u32, truncate>, T, Into::kGpr>(block, insn);
}

/// From an MMX register or memory to an XMM register. The form with memory leaves the x87 state alone.
template <class F>
bool from_mmx_instruction(BlockBuilder& block, const Instruction& insn) {
  return emit_float_forms(block, insn, kFloatForms<F, Operands<void, u64>, Into::kXmm, true, false>);
}
/// From an XMM register or memory to an MMX register.
template <class F, class S>
bool to_mmx_instruction(BlockBuilder& block, const Instruction& insn) {
  return emit_float_forms(block, insn, kFloatForms<F, Operands<void, S>, Into::kMmx, true, true>);
}

// clang-format off
constexpr Row kRows[] = {
    {ZYDIS_MNEMONIC_CVTSI2SS, from_integer_instruction<float>},
    {ZYDIS_MNEMONIC_CVTSI2SD, from_integer_instruction<double>},
    {ZYDIS_MNEMONIC_CVTSS2SI, to_integer_instruction<float, false>},
    {ZYDIS_MNEMONIC_CVTTSS2SI, to_integer_instruction<float, true>},
    {ZYDIS_MNEMONIC_CVTSD2SI, to_integer_instruction<double, false>},
    {ZYDIS_MNEMONIC_CVTTSD2SI, to_integer_instruction<double, true>},
    {ZYDIS_MNEMONIC_CVTSS2SD, float_unary<fp::SingleToDouble, float>},
    {ZYDIS_MNEMONIC_CVTSD2SS, float_unary<fp::DoubleToSingle, double>},
    {ZYDIS_MNEMONIC_CVTPS2PD, float_unary<fp::SinglesToDoubles, u64>},
    {ZYDIS_MNEMONIC_CVTPD2PS, float_unary<fp::DoublesToSingles, f64x2>},
    {ZYDIS_MNEMONIC_CVTDQ2PS, float_unary<fp::Int32x4ToSingles, i32x4>},
    {ZYDIS_MNEMONIC_CVTPS2DQ, float_unary<fp::SinglesToInt32x4, f32x4>},
    {ZYDIS_MNEMONIC_CVTTPS2DQ, float_unary<fp::SinglesToInt32x4Truncate, f32x4>},
    {ZYDIS_MNEMONIC_CVTDQ2PD, float_unary<fp::Int32x2ToDoubles, u64>},
    {ZYDIS_MNEMONIC_CVTPD2DQ, float_unary<fp::DoublesToInt32x2, f64x2>},
    {ZYDIS_MNEMONIC_CVTTPD2DQ, float_unary<fp::DoublesToInt32x2Truncate, f64x2>},
    {ZYDIS_MNEMONIC_CVTPI2PS, from_mmx_instruction<fp::Int32x2ToSingles>},
    {ZYDIS_MNEMONIC_CVTPI2PD, from_mmx_instruction<fp::Int32x2ToDoubles>},
    {ZYDIS_MNEMONIC_CVTPS2PI, to_mmx_instruction<fp::SinglesToInt32x2<false>, u64>},
    {ZYDIS_MNEMONIC_CVTTPS2PI, to_mmx_instruction<fp::SinglesToInt32x2<true>, u64>},
    {ZYDIS_MNEMONIC_CVTPD2PI, to_mmx_instruction<fp::DoublesToMmx<false>, f64x2>},
    {ZYDIS_MNEMONIC_CVTTPD2PI, to_mmx_instruction<fp::DoublesToMmx<true>, f64x2>},
};
// clang-format on

}  // namespace

void register_convert(TranslatorTable& table) {
  for (const Row& row : kRows) table.add(row.mnemonic, row.translator);
}

}  // namespace bhvm::sse
