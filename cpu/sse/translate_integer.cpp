// MMX and SSE integer instructions: arithmetic, logic, comparison, shifts, shuffles.
#include <array>

#include "cpu/sse/forms.h"
#include "cpu/sse/shuffles.h"
#include "cpu/sse/translate.h"

namespace bhvm::sse::inline BHVM_SSE_HOST {
namespace {

/// A shift by a register's or memory's count, or by an immediate.
template <auto by_count, auto by_imm, auto mmx_by_count, auto mmx_by_imm>
bool shift_instruction(BlockBuilder& block, const Instruction& insn) {
  if (insn.is_immediate(1)) return both_instruction<by_imm, mmx_by_imm>(block, insn);
  return both_instruction<by_count, mmx_by_count>(block, insn);
}
template <class Xmm, class Mmx>
inline constexpr Translator kShiftLeft =
    shift_instruction<shift_left<Xmm>, shift_left_imm<Xmm>, shift_left<Mmx>, shift_left_imm<Mmx>>;
template <class Xmm, class Mmx>
inline constexpr Translator kShiftRight =
    shift_instruction<shift_right<Xmm>, shift_right_imm<Xmm>, shift_right<Mmx>, shift_right_imm<Mmx>>;

/// PUNPCKLxx: the MMX form reads 32 bits of memory, the XMM form 16 bytes.
template <class Xmm, class Mmx>
bool unpack_low_instruction(BlockBuilder& block, const Instruction& insn) {
  return both_instruction<unpack_low<Xmm>, unpack_low_half<Mmx>>(block, insn);
}

/// PSHUFD between registers: a handler for each immediate, since it is among the commonest instructions of vector code.
template <std::size_t... order>
constexpr std::array<Handler, 256> shuffle_handlers(std::index_sequence<order...>) {
  return {compute<shuffle_doublewords_fixed<order>, From::kRegister, Into::kXmm, false>...};
}
constexpr std::array<Handler, 256> kShuffleDoublewords = shuffle_handlers(std::make_index_sequence<256>());

bool translate_pshufd(BlockBuilder& block, const Instruction& insn) {
  Forms forms = kXmmForms<shuffle_doublewords>;
  forms.reg = kShuffleDoublewords[insn.operand(2).imm.value.u & 0xFF];
  return !sse_usable(block, insn) || emit_forms(block, insn, forms);
}

/// PMOVMSKB, MOVMSKPS, MOVMSKPD.
template <auto xmm, auto mmx>
bool mask_instruction(BlockBuilder& block, const Instruction& insn) {
  if (is_mmx(insn.operand(1))) return !mmx_usable(block, insn) || emit_forms(block, insn, kMmxForms<mmx, Into::kGpr>);
  return !sse_usable(block, insn) || emit_forms(block, insn, kXmmForms<xmm, Into::kGpr>);
}

/// PEXTRx, EXTRACTPS: to a general register, zero-extended, or to memory as it is.
template <auto to_gpr, auto to_memory>
bool extract_instruction(BlockBuilder& block, const Instruction& insn) {
  if (!sse_usable(block, insn)) return true;
  if (!insn.is_memory(0)) return emit_forms(block, insn, kXmmForms<to_gpr, Into::kGpr>);
  Op& op = block.emit(compute_store<to_memory, From::kUnaligned, false>, block.address(insn, insn.operand(0)));
  op.src = BlockBuilder::offset_of(insn.operand(1).reg.value);
  op.imm = static_cast<i64>(insn.operand(2).imm.value.u & 0xFF);
  return true;
}
bool translate_pextrw(BlockBuilder& block, const Instruction& insn) {
  if (is_mmx(insn.operand(1))) {
    return !mmx_usable(block, insn) || emit_forms(block, insn, kMmxForms<extract<u32, u16x4>, Into::kGpr>);
  }
  return extract_instruction<extract<u32, u16x8>, extract<u16, u16x8>>(block, insn);
}

bool translate_insertps(BlockBuilder& block, const Instruction& insn) {
  constexpr Forms kForms{kXmmForms<insert_single_lane>.reg, kXmmForms<insert_single>.mem, false};
  return !sse_usable(block, insn) || emit_forms(block, insn, kForms);
}

/// PTEST: ZF from the common bits, CF from the bits of the source alone.
template <From from>
BHVM_HANDLER(test_bits) {
  u64x2 source;
  BHVM_SSE_SOURCE(from, source, test_bits<From::kSlow>);
  const u64x2 destination = operand<u64x2>(cpu, op->dst);
  const u64x2 both = destination & source;
  const u64x2 alone = ~destination & source;
  cpu.flags.set(((both[0] | both[1]) == 0 ? rflags::kZf : 0) | ((alone[0] | alone[1]) == 0 ? rflags::kCf : 0));
  BHVM_NEXT;
}
bool translate_ptest(BlockBuilder& block, const Instruction& insn) {
  constexpr Forms kForms{test_bits<From::kRegister>, test_bits<From::kAligned>, false};
  if (!sse_usable(block, insn)) return true;
  emit_forms(block, insn, kForms);
  block.flags({.reads = 0, .writes = rflags::kArithmetic, .without_flags = nullptr});
  return true;
}

// clang-format off
constexpr Row kRows[] = {
    {ZYDIS_MNEMONIC_PADDB, both_instruction<add<u8x16>, add<u8x8>>},
    {ZYDIS_MNEMONIC_PADDW, both_instruction<add<u16x8>, add<u16x4>>},
    {ZYDIS_MNEMONIC_PADDD, both_instruction<add<u32x4>, add<u32x2>>},
    {ZYDIS_MNEMONIC_PADDQ, both_instruction<add<u64x2>, add<u64x1>>},
    {ZYDIS_MNEMONIC_PSUBB, both_instruction<subtract<u8x16>, subtract<u8x8>>},
    {ZYDIS_MNEMONIC_PSUBW, both_instruction<subtract<u16x8>, subtract<u16x4>>},
    {ZYDIS_MNEMONIC_PSUBD, both_instruction<subtract<u32x4>, subtract<u32x2>>},
    {ZYDIS_MNEMONIC_PSUBQ, both_instruction<subtract<u64x2>, subtract<u64x1>>},
    {ZYDIS_MNEMONIC_PADDSB, both_instruction<add_saturate<i8x16>, add_saturate<i8x8>>},
    {ZYDIS_MNEMONIC_PADDSW, both_instruction<add_saturate<i16x8>, add_saturate<i16x4>>},
    {ZYDIS_MNEMONIC_PADDUSB, both_instruction<add_saturate<u8x16>, add_saturate<u8x8>>},
    {ZYDIS_MNEMONIC_PADDUSW, both_instruction<add_saturate<u16x8>, add_saturate<u16x4>>},
    {ZYDIS_MNEMONIC_PSUBSB, both_instruction<subtract_saturate<i8x16>, subtract_saturate<i8x8>>},
    {ZYDIS_MNEMONIC_PSUBSW, both_instruction<subtract_saturate<i16x8>, subtract_saturate<i16x4>>},
    {ZYDIS_MNEMONIC_PSUBUSB, both_instruction<subtract_saturate<u8x16>, subtract_saturate<u8x8>>},
    {ZYDIS_MNEMONIC_PSUBUSW, both_instruction<subtract_saturate<u16x8>, subtract_saturate<u16x4>>},
    {ZYDIS_MNEMONIC_PAVGB, both_instruction<average<u8x16>, average<u8x8>>},
    {ZYDIS_MNEMONIC_PAVGW, both_instruction<average<u16x8>, average<u16x4>>},
    {ZYDIS_MNEMONIC_PMULLW, both_instruction<multiply_low<u16x8>, multiply_low<u16x4>>},
    {ZYDIS_MNEMONIC_PMULLD, xmm_instruction<multiply_low<u32x4>>},
    {ZYDIS_MNEMONIC_PMULHW, both_instruction<multiply_high<i16x8>, multiply_high<i16x4>>},
    {ZYDIS_MNEMONIC_PMULHUW, both_instruction<multiply_high<u16x8>, multiply_high<u16x4>>},
    {ZYDIS_MNEMONIC_PMULHRSW, both_instruction<multiply_high_round<i16x8>, multiply_high_round<i16x4>>},
    {ZYDIS_MNEMONIC_PMULUDQ, both_instruction<multiply_even<u32, u64x2>, multiply_even<u32, u64x1>>},
    {ZYDIS_MNEMONIC_PMULDQ, xmm_instruction<multiply_even<i32, u64x2>>},
    {ZYDIS_MNEMONIC_PMADDWD, both_instruction<multiply_add<i16x8>, multiply_add<i16x4>>},
    {ZYDIS_MNEMONIC_PMADDUBSW, both_instruction<multiply_add_bytes<u8x16>, multiply_add_bytes<u8x8>>},
    {ZYDIS_MNEMONIC_PSADBW, both_instruction<sum_of_differences<u8x16>, sum_of_differences<u8x8>>},
    {ZYDIS_MNEMONIC_MPSADBW, xmm_instruction<multiple_sums_of_differences>},
    {ZYDIS_MNEMONIC_PHMINPOSUW, xmm_instruction<minimum_position>},

    {ZYDIS_MNEMONIC_PAND, both_instruction<bit_and<u64x2>, bit_and<u64x1>>},
    {ZYDIS_MNEMONIC_PANDN, both_instruction<and_not<u64x2>, and_not<u64x1>>},
    {ZYDIS_MNEMONIC_POR, both_instruction<bit_or<u64x2>, bit_or<u64x1>>},
    {ZYDIS_MNEMONIC_PXOR, both_instruction<bit_xor<u64x2>, bit_xor<u64x1>>},
    {ZYDIS_MNEMONIC_ANDPS, xmm_instruction<bit_and<u64x2>>},
    {ZYDIS_MNEMONIC_ANDPD, xmm_instruction<bit_and<u64x2>>},
    {ZYDIS_MNEMONIC_ANDNPS, xmm_instruction<and_not<u64x2>>},
    {ZYDIS_MNEMONIC_ANDNPD, xmm_instruction<and_not<u64x2>>},
    {ZYDIS_MNEMONIC_ORPS, xmm_instruction<bit_or<u64x2>>},
    {ZYDIS_MNEMONIC_ORPD, xmm_instruction<bit_or<u64x2>>},
    {ZYDIS_MNEMONIC_XORPS, xmm_instruction<bit_xor<u64x2>>},
    {ZYDIS_MNEMONIC_XORPD, xmm_instruction<bit_xor<u64x2>>},
    {ZYDIS_MNEMONIC_PTEST, translate_ptest},

    {ZYDIS_MNEMONIC_PCMPEQB, both_instruction<equal<u8x16>, equal<u8x8>>},
    {ZYDIS_MNEMONIC_PCMPEQW, both_instruction<equal<u16x8>, equal<u16x4>>},
    {ZYDIS_MNEMONIC_PCMPEQD, both_instruction<equal<u32x4>, equal<u32x2>>},
    {ZYDIS_MNEMONIC_PCMPEQQ, xmm_instruction<equal<u64x2>>},
    {ZYDIS_MNEMONIC_PCMPGTB, both_instruction<greater<i8x16>, greater<i8x8>>},
    {ZYDIS_MNEMONIC_PCMPGTW, both_instruction<greater<i16x8>, greater<i16x4>>},
    {ZYDIS_MNEMONIC_PCMPGTD, both_instruction<greater<i32x4>, greater<i32x2>>},
    {ZYDIS_MNEMONIC_PCMPGTQ, xmm_instruction<greater<i64x2>>},
    {ZYDIS_MNEMONIC_PMINUB, both_instruction<minimum<u8x16>, minimum<u8x8>>},
    {ZYDIS_MNEMONIC_PMINSW, both_instruction<minimum<i16x8>, minimum<i16x4>>},
    {ZYDIS_MNEMONIC_PMINSB, xmm_instruction<minimum<i8x16>>},
    {ZYDIS_MNEMONIC_PMINUW, xmm_instruction<minimum<u16x8>>},
    {ZYDIS_MNEMONIC_PMINSD, xmm_instruction<minimum<i32x4>>},
    {ZYDIS_MNEMONIC_PMINUD, xmm_instruction<minimum<u32x4>>},
    {ZYDIS_MNEMONIC_PMAXUB, both_instruction<maximum<u8x16>, maximum<u8x8>>},
    {ZYDIS_MNEMONIC_PMAXSW, both_instruction<maximum<i16x8>, maximum<i16x4>>},
    {ZYDIS_MNEMONIC_PMAXSB, xmm_instruction<maximum<i8x16>>},
    {ZYDIS_MNEMONIC_PMAXUW, xmm_instruction<maximum<u16x8>>},
    {ZYDIS_MNEMONIC_PMAXSD, xmm_instruction<maximum<i32x4>>},
    {ZYDIS_MNEMONIC_PMAXUD, xmm_instruction<maximum<u32x4>>},
    {ZYDIS_MNEMONIC_PABSB, both_instruction<absolute<i8x16>, absolute<i8x8>>},
    {ZYDIS_MNEMONIC_PABSW, both_instruction<absolute<i16x8>, absolute<i16x4>>},
    {ZYDIS_MNEMONIC_PABSD, both_instruction<absolute<i32x4>, absolute<i32x2>>},
    {ZYDIS_MNEMONIC_PSIGNB, both_instruction<sign<i8x16>, sign<i8x8>>},
    {ZYDIS_MNEMONIC_PSIGNW, both_instruction<sign<i16x8>, sign<i16x4>>},
    {ZYDIS_MNEMONIC_PSIGND, both_instruction<sign<i32x4>, sign<i32x2>>},
    {ZYDIS_MNEMONIC_PHADDW, both_instruction<add_neighbours<u16x8>, add_neighbours<u16x4>>},
    {ZYDIS_MNEMONIC_PHADDD, both_instruction<add_neighbours<u32x4>, add_neighbours<u32x2>>},
    {ZYDIS_MNEMONIC_PHADDSW, both_instruction<add_neighbours_saturate<i16x8>, add_neighbours_saturate<i16x4>>},
    {ZYDIS_MNEMONIC_PHSUBW, both_instruction<subtract_neighbours<u16x8>, subtract_neighbours<u16x4>>},
    {ZYDIS_MNEMONIC_PHSUBD, both_instruction<subtract_neighbours<u32x4>, subtract_neighbours<u32x2>>},
    {ZYDIS_MNEMONIC_PHSUBSW, both_instruction<subtract_neighbours_saturate<i16x8>, subtract_neighbours_saturate<i16x4>>},

    {ZYDIS_MNEMONIC_PSLLW, kShiftLeft<u16x8, u16x4>},
    {ZYDIS_MNEMONIC_PSLLD, kShiftLeft<u32x4, u32x2>},
    {ZYDIS_MNEMONIC_PSLLQ, kShiftLeft<u64x2, u64x1>},
    {ZYDIS_MNEMONIC_PSRLW, kShiftRight<u16x8, u16x4>},
    {ZYDIS_MNEMONIC_PSRLD, kShiftRight<u32x4, u32x2>},
    {ZYDIS_MNEMONIC_PSRLQ, kShiftRight<u64x2, u64x1>},
    {ZYDIS_MNEMONIC_PSRAW, kShiftRight<i16x8, i16x4>},
    {ZYDIS_MNEMONIC_PSRAD, kShiftRight<i32x4, i32x2>},
    {ZYDIS_MNEMONIC_PSLLDQ, xmm_instruction<shift_left_bytes>},
    {ZYDIS_MNEMONIC_PSRLDQ, xmm_instruction<shift_right_bytes>},

    {ZYDIS_MNEMONIC_PACKSSWB, both_instruction<pack<i8, i16x8>, pack<i8, i16x4>>},
    {ZYDIS_MNEMONIC_PACKSSDW, both_instruction<pack<i16, i32x4>, pack<i16, i32x2>>},
    {ZYDIS_MNEMONIC_PACKUSWB, both_instruction<pack<u8, i16x8>, pack<u8, i16x4>>},
    {ZYDIS_MNEMONIC_PACKUSDW, xmm_instruction<pack<u16, i32x4>>},
    {ZYDIS_MNEMONIC_PUNPCKLBW, unpack_low_instruction<u8x16, u8x8>},
    {ZYDIS_MNEMONIC_PUNPCKLWD, unpack_low_instruction<u16x8, u16x4>},
    {ZYDIS_MNEMONIC_PUNPCKLDQ, unpack_low_instruction<u32x4, u32x2>},
    {ZYDIS_MNEMONIC_PUNPCKLQDQ, xmm_instruction<unpack_low<u64x2>>},
    {ZYDIS_MNEMONIC_PUNPCKHBW, both_instruction<unpack_high<u8x16>, unpack_high<u8x8>>},
    {ZYDIS_MNEMONIC_PUNPCKHWD, both_instruction<unpack_high<u16x8>, unpack_high<u16x4>>},
    {ZYDIS_MNEMONIC_PUNPCKHDQ, both_instruction<unpack_high<u32x4>, unpack_high<u32x2>>},
    {ZYDIS_MNEMONIC_PUNPCKHQDQ, xmm_instruction<unpack_high<u64x2>>},
    {ZYDIS_MNEMONIC_UNPCKLPS, xmm_instruction<unpack_low<u32x4>>},
    {ZYDIS_MNEMONIC_UNPCKLPD, xmm_instruction<unpack_low<u64x2>>},
    {ZYDIS_MNEMONIC_UNPCKHPS, xmm_instruction<unpack_high<u32x4>>},
    {ZYDIS_MNEMONIC_UNPCKHPD, xmm_instruction<unpack_high<u64x2>>},
    {ZYDIS_MNEMONIC_PSHUFD, translate_pshufd},
    {ZYDIS_MNEMONIC_PSHUFLW, xmm_instruction<shuffle_low_words>},
    {ZYDIS_MNEMONIC_PSHUFHW, xmm_instruction<shuffle_high_words>},
    {ZYDIS_MNEMONIC_PSHUFW, both_instruction<shuffle_low_words, shuffle_words>},
    {ZYDIS_MNEMONIC_PSHUFB, both_instruction<shuffle_bytes, shuffle_bytes_mmx>},
    {ZYDIS_MNEMONIC_SHUFPS, xmm_instruction<shuffle_singles>},
    {ZYDIS_MNEMONIC_SHUFPD, xmm_instruction<shuffle_doubles>},
    {ZYDIS_MNEMONIC_PALIGNR, both_instruction<align_right, align_right_mmx>},
    {ZYDIS_MNEMONIC_PBLENDW, xmm_instruction<blend_imm<u16x8>>},
    {ZYDIS_MNEMONIC_BLENDPS, xmm_instruction<blend_imm<u32x4>>},
    {ZYDIS_MNEMONIC_BLENDPD, xmm_instruction<blend_imm<u64x2>>},
    {ZYDIS_MNEMONIC_PBLENDVB, xmm_instruction<blend_by_xmm0<i8x16>>},
    {ZYDIS_MNEMONIC_BLENDVPS, xmm_instruction<blend_by_xmm0<i32x4>>},
    {ZYDIS_MNEMONIC_BLENDVPD, xmm_instruction<blend_by_xmm0<i64x2>>},

    {ZYDIS_MNEMONIC_PMOVMSKB, mask_instruction<top_bits<u8x16>, top_bits<u8x8>>},
    {ZYDIS_MNEMONIC_MOVMSKPS, mask_instruction<top_bits<u32x4>, top_bits<u32x2>>},
    {ZYDIS_MNEMONIC_MOVMSKPD, mask_instruction<top_bits<u64x2>, top_bits<u64x1>>},
    {ZYDIS_MNEMONIC_PINSRB, xmm_instruction<insert<u8x16, u8>>},
    {ZYDIS_MNEMONIC_PINSRW, both_instruction<insert<u16x8, u16>, insert<u16x4, u16>>},
    {ZYDIS_MNEMONIC_PINSRD, xmm_instruction<insert<u32x4, u32>>},
    {ZYDIS_MNEMONIC_PINSRQ, xmm_instruction<insert<u64x2, u64>>},
    {ZYDIS_MNEMONIC_INSERTPS, translate_insertps},
    {ZYDIS_MNEMONIC_PEXTRB, extract_instruction<extract<u32, u8x16>, extract<u8, u8x16>>},
    {ZYDIS_MNEMONIC_PEXTRW, translate_pextrw},
    {ZYDIS_MNEMONIC_PEXTRD, extract_instruction<extract<u32, u32x4>, extract<u32, u32x4>>},
    {ZYDIS_MNEMONIC_PEXTRQ, extract_instruction<extract<u64, u64x2>, extract<u64, u64x2>>},
    {ZYDIS_MNEMONIC_EXTRACTPS, extract_instruction<extract<u32, u32x4>, extract<u32, u32x4>>},

    {ZYDIS_MNEMONIC_PMOVSXBW, xmm_instruction<extend<i8, i16>>},
    {ZYDIS_MNEMONIC_PMOVSXBD, xmm_instruction<extend<i8, i32>>},
    {ZYDIS_MNEMONIC_PMOVSXBQ, xmm_instruction<extend<i8, i64>>},
    {ZYDIS_MNEMONIC_PMOVSXWD, xmm_instruction<extend<i16, i32>>},
    {ZYDIS_MNEMONIC_PMOVSXWQ, xmm_instruction<extend<i16, i64>>},
    {ZYDIS_MNEMONIC_PMOVSXDQ, xmm_instruction<extend<i32, i64>>},
    {ZYDIS_MNEMONIC_PMOVZXBW, xmm_instruction<extend<u8, i16>>},
    {ZYDIS_MNEMONIC_PMOVZXBD, xmm_instruction<extend<u8, i32>>},
    {ZYDIS_MNEMONIC_PMOVZXBQ, xmm_instruction<extend<u8, i64>>},
    {ZYDIS_MNEMONIC_PMOVZXWD, xmm_instruction<extend<u16, i32>>},
    {ZYDIS_MNEMONIC_PMOVZXWQ, xmm_instruction<extend<u16, i64>>},
    {ZYDIS_MNEMONIC_PMOVZXDQ, xmm_instruction<extend<u32, i64>>},
    {ZYDIS_MNEMONIC_MOVDDUP, xmm_instruction<duplicate_double>},
    {ZYDIS_MNEMONIC_MOVSLDUP, xmm_instruction<duplicate_even>},
    {ZYDIS_MNEMONIC_MOVSHDUP, xmm_instruction<duplicate_odd>},
};
// clang-format on

}  // namespace

void register_integer(TranslatorTable& table) {
  for (const Row& row : kRows) table.add(row.mnemonic, row.translator);
}

}  // namespace bhvm::sse::inline BHVM_SSE_HOST
