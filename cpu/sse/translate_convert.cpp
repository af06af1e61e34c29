// Conversions between integers, single and double precision, in XMM, MMX and general registers.
#include "cpu/sse/float_forms.h"
#include "cpu/sse/float_lanes.h"
#include "cpu/sse/translate.h"

namespace bhvm::sse {
namespace {

/// CVTSI2SS, CVTSI2SD.
template <class T>
bool from_integer_instruction(BlockBuilder& block, const Instruction& insn) {
  if (insn.width(1) == 64) return float_instruction<fp::from_integer<T, i64>>(block, insn);
  return float_instruction<fp::from_integer<T, i32>>(block, insn);
}
/// CVTxx2SI, CVTTxx2SI.
template <class T, bool truncate>
bool to_integer_instruction(BlockBuilder& block, const Instruction& insn) {
  if (insn.width(0) == 64) return float_instruction<fp::to_integer<u64, truncate, T>, void, Into::kGpr>(block, insn);
  return float_instruction<fp::to_integer<u32, truncate, T>, void, Into::kGpr>(block, insn);
}

/// From an MMX register or memory to an XMM register. The form with memory leaves the x87 state alone.
template <auto f>
bool from_mmx_instruction(BlockBuilder& block, const Instruction& insn) {
  static constexpr FloatForms kForms{
      {compute<f, From::kRegister, Into::kXmm, true>, compute<f, From::kUnaligned, Into::kXmm, false>, true},
      {compute_checked<f, From::kRegister, Into::kXmm, true, void>,
       compute_checked<f, From::kUnaligned, Into::kXmm, false, void>, true}};
  return !sse_usable(block, insn) || emit_forms(block, insn, forms_for_mode(kForms, insn));
}
/// From an XMM register or memory to an MMX register.
template <auto f>
bool to_mmx_instruction(BlockBuilder& block, const Instruction& insn) {
  static constexpr FloatForms kForms{kMmxForms<f>,
                                     {compute_checked<f, From::kRegister, Into::kMmx, true, void>,
                                      compute_checked<f, kMemoryOf<f>, Into::kMmx, true, void>, true}};
  return !sse_usable(block, insn) || emit_forms(block, insn, forms_for_mode(kForms, insn));
}

// clang-format off
constexpr Row kRows[] = {
    {ZYDIS_MNEMONIC_CVTSI2SS, from_integer_instruction<float>},
    {ZYDIS_MNEMONIC_CVTSI2SD, from_integer_instruction<double>},
    {ZYDIS_MNEMONIC_CVTSS2SI, to_integer_instruction<float, false>},
    {ZYDIS_MNEMONIC_CVTTSS2SI, to_integer_instruction<float, true>},
    {ZYDIS_MNEMONIC_CVTSD2SI, to_integer_instruction<double, false>},
    {ZYDIS_MNEMONIC_CVTTSD2SI, to_integer_instruction<double, true>},
    {ZYDIS_MNEMONIC_CVTSS2SD, float_instruction<fp::single_to_double>},
    {ZYDIS_MNEMONIC_CVTSD2SS, float_instruction<fp::double_to_single, u32>},
    {ZYDIS_MNEMONIC_CVTPS2PD, float_instruction<fp::singles_to_doubles>},
    {ZYDIS_MNEMONIC_CVTPD2PS, float_instruction<fp::doubles_to_singles, u32>},
    {ZYDIS_MNEMONIC_CVTDQ2PS, float_instruction<fp::int32x4_to_singles>},
    {ZYDIS_MNEMONIC_CVTPS2DQ, float_instruction<fp::singles_to_int32x4>},
    {ZYDIS_MNEMONIC_CVTTPS2DQ, float_instruction<fp::singles_to_int32x4_truncate>},
    {ZYDIS_MNEMONIC_CVTDQ2PD, float_instruction<fp::int32x2_to_doubles>},
    {ZYDIS_MNEMONIC_CVTPD2DQ, float_instruction<fp::doubles_to_int32x2>},
    {ZYDIS_MNEMONIC_CVTTPD2DQ, float_instruction<fp::doubles_to_int32x2_truncate>},
    {ZYDIS_MNEMONIC_CVTPI2PS, from_mmx_instruction<fp::int32x2_to_singles>},
    {ZYDIS_MNEMONIC_CVTPI2PD, from_mmx_instruction<fp::int32x2_to_doubles>},
    {ZYDIS_MNEMONIC_CVTPS2PI, to_mmx_instruction<fp::singles_to_int32x2>},
    {ZYDIS_MNEMONIC_CVTTPS2PI, to_mmx_instruction<fp::singles_to_int32x2_truncate>},
    {ZYDIS_MNEMONIC_CVTPD2PI, to_mmx_instruction<fp::doubles_to_int32x2_mmx>},
    {ZYDIS_MNEMONIC_CVTTPD2PI, to_mmx_instruction<fp::doubles_to_int32x2_truncate_mmx>},
};
// clang-format on

}  // namespace

void register_convert(TranslatorTable& table) {
  for (const Row& row : kRows) table.add(row.mnemonic, row.translator);
}

}  // namespace bhvm::sse
