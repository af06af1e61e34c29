// Moves between registers and memory.
#include "cpu/sse/forms.h"
#include "cpu/sse/moves.h"
#include "cpu/sse/translate.h"

namespace bhvm::sse {
namespace {

u16 offset(const Instruction& insn, unsigned i) { return BlockBuilder::offset_of(insn.operand(i).reg.value); }

/// Half of an XMM register: 0 or 8 bytes on from its offset.
constexpr u16 kLow = 0;
constexpr u16 kHigh = 8;

/// register = f(memory)
template <auto f>
bool emit_load(BlockBuilder& block, const Instruction& insn, u16 part = kLow) {
  const Address address = block.address(insn, insn.operand(1));
  Op& op = block.emit(
      address.simple ? compute<f, From::kSimple, Into::kXmm, false> : compute<f, From::kUnaligned, Into::kXmm, false>,
      address);
  op.dst = static_cast<u16>(offset(insn, 0) + part);
  return true;
}
/// memory = part of a register
template <class T>
bool emit_store(BlockBuilder& block, const Instruction& insn, u16 part = kLow) {
  const Address address = block.address(insn, insn.operand(0));
  Op& op = block.emit(
      address.simple ? compute_store<same<T>, From::kSimple, false> : compute_store<same<T>, From::kUnaligned, false>,
      address);
  op.src = static_cast<u16>(offset(insn, 1) + part);
  return true;
}
/// part of a register = f(part of another); `from` and `to` are kLow or kHigh
template <auto f, Into into = Into::kXmm>
bool emit_move(BlockBuilder& block, const Instruction& insn, u16 to = kLow, u16 from = kLow) {
  Op& op = block.emit(compute<f, From::kRegister, into, false>, false);
  op.dst = static_cast<u16>(offset(insn, 0) + to);
  op.src = static_cast<u16>(offset(insn, 1) + from);
  return true;
}

/// MOVUPS, MOVUPD, MOVDQU, LDDQU (unaligned); MOVAPS, MOVAPD, MOVDQA, MOVNTDQA, MOVNTPS, MOVNTPD, MOVNTDQ (aligned).
template <bool aligned>
bool translate_whole(BlockBuilder& block, const Instruction& insn) {
  if (!sse_usable(block, insn)) return true;
  if (insn.is_register(0) && insn.is_register(1)) return emit_move<same<u64x2>>(block, insn);
  if (!aligned) {
    return insn.is_memory(0) ? emit_store<u64x2>(block, insn) : emit_load<same<u64x2>>(block, insn);
  }
  if (insn.is_memory(0)) {
    Op& op = block.emit(compute_store<same<u64x2>, From::kAligned, false>, block.address(insn, insn.operand(0)));
    op.src = offset(insn, 1);
    return true;
  }
  return emit_forms(block, insn, kXmmForms<same<u64x2>>);
}

/// MOVSS and MOVSD: a load clears the rest, a move between registers keeps it.
template <class T, auto extend>
bool translate_scalar(BlockBuilder& block, const Instruction& insn) {
  if (!sse_usable(block, insn)) return true;
  if (insn.is_memory(0)) return emit_store<T>(block, insn);
  if (insn.is_memory(1)) return emit_load<extend>(block, insn);
  return emit_move<same<T>>(block, insn);
}

/// MOVLPS, MOVLPD, MOVHPS, MOVHPD: between memory and one half.
template <u16 part>
bool translate_half(BlockBuilder& block, const Instruction& insn) {
  if (!sse_usable(block, insn)) return true;
  if (insn.is_memory(0)) return emit_store<u64>(block, insn, part);
  return emit_load<same<u64>>(block, insn, part);
}
bool translate_movhlps(BlockBuilder& block, const Instruction& insn) {
  return !sse_usable(block, insn) || emit_move<same<u64>>(block, insn, kLow, kHigh);
}
bool translate_movlhps(BlockBuilder& block, const Instruction& insn) {
  return !sse_usable(block, insn) || emit_move<same<u64>>(block, insn, kHigh, kLow);
}

/// MOVD and MOVQ with an MMX register. T is what the other operand holds.
template <class T, auto extend>
bool translate_mmx_move(BlockBuilder& block, const Instruction& insn) {
  if (!mmx_usable(block, insn)) return true;
  if (is_mmx(insn.operand(0))) return emit_forms(block, insn, kMmxForms<extend>);
  if (insn.is_memory(0)) {
    Op& op = block.emit(compute_store<same<T>, From::kUnaligned, true>, block.address(insn, insn.operand(0)));
    op.src = offset(insn, 1);
    return true;
  }
  return emit_forms(block, insn, kMmxForms<same<T>, Into::kGpr>);
}

/// MOVD and MOVQ.
template <class T, auto extend, auto extend_mmx>
bool translate_movd_movq(BlockBuilder& block, const Instruction& insn) {
  if (is_mmx(insn.operand(0)) || is_mmx(insn.operand(1))) return translate_mmx_move<T, extend_mmx>(block, insn);
  if (!sse_usable(block, insn)) return true;
  if (insn.is_memory(0)) return emit_store<T>(block, insn);
  if (insn.is_memory(1)) return emit_load<extend>(block, insn);
  if (is_gpr(insn.operand(0))) return emit_move<same<T>, Into::kGpr>(block, insn);
  return emit_move<extend>(block, insn);
}

bool translate_movntq(BlockBuilder& block, const Instruction& insn) {
  return translate_mmx_move<u64, same<u64>>(block, insn);
}
bool translate_movq2dq(BlockBuilder& block, const Instruction& insn) {
  return !sse_usable(block, insn) || emit_forms(block, insn, kMmxForms<zero_extend, Into::kXmm>);
}
bool translate_movdq2q(BlockBuilder& block, const Instruction& insn) {
  return !sse_usable(block, insn) || emit_forms(block, insn, kMmxForms<same<u64>>);
}

/// MOVNTI: a store of a general register; no unit is asked.
bool translate_movnti(BlockBuilder& block, const Instruction& insn) {
  return insn.width(0) == 64 ? emit_store<u64>(block, insn) : emit_store<u32>(block, insn);
}

/// Stores the bytes whose mask has its top bit set. Either all of them or, with a fault, none. Outside 64-bit mode
/// linear addresses wrap at 4 GiB.
BHVM_COLD bool store_masked(Cpu& cpu, u64 linear, const u8* bytes, const u8* mask, unsigned size) {
  const u64 last = cpu.code64() ? ~u64{0} : 0xFFFFFFFF;
  for (unsigned i = 0; i < size; ++i) {
    if ((mask[i] & 0x80) != 0 && !cpu.probe_write((linear + i) & last, 1)) return false;
  }
  for (unsigned i = 0; i < size; ++i) {
    if ((mask[i] & 0x80) != 0 && !store(cpu, (linear + i) & last, bytes[i])) return false;
  }
  return true;
}
/// MASKMOVQ, MASKMOVDQU: the address is in cpu.scratch_address.
template <unsigned size, bool mmx>
BHVM_HANDLER(masked_move) {
  if constexpr (mmx) BHVM_MMX_CHECK;
  if (!store_masked(cpu, cpu.scratch_address, &operand<u8>(cpu, op->dst), &operand<u8>(cpu, op->src), size)) BHVM_FAULT;
  if constexpr (mmx) cpu.s.x87.enter_mmx();
  BHVM_NEXT;
}
template <unsigned size, bool mmx>
bool translate_masked_move(BlockBuilder& block, const Instruction& insn) {
  if (!(mmx ? mmx_usable(block, insn) : sse_usable(block, insn))) return true;
  block.address_to_scratch(insn, insn.operand(2));
  Op& op = block.emit(masked_move<size, mmx>);
  op.dst = offset(insn, 0);
  op.src = offset(insn, 1);
  return true;
}

constexpr Row kRows[] = {
    {ZYDIS_MNEMONIC_MOVUPS, translate_whole<false>},
    {ZYDIS_MNEMONIC_MOVUPD, translate_whole<false>},
    {ZYDIS_MNEMONIC_MOVDQU, translate_whole<false>},
    {ZYDIS_MNEMONIC_LDDQU, translate_whole<false>},
    {ZYDIS_MNEMONIC_MOVAPS, translate_whole<true>},
    {ZYDIS_MNEMONIC_MOVAPD, translate_whole<true>},
    {ZYDIS_MNEMONIC_MOVDQA, translate_whole<true>},
    {ZYDIS_MNEMONIC_MOVNTDQA, translate_whole<true>},
    {ZYDIS_MNEMONIC_MOVNTPS, translate_whole<true>},
    {ZYDIS_MNEMONIC_MOVNTPD, translate_whole<true>},
    {ZYDIS_MNEMONIC_MOVNTDQ, translate_whole<true>},
    {ZYDIS_MNEMONIC_MOVSS, translate_scalar<u32, zero_extend_doubleword>},
    {ZYDIS_MNEMONIC_MOVLPS, translate_half<kLow>},
    {ZYDIS_MNEMONIC_MOVLPD, translate_half<kLow>},
    {ZYDIS_MNEMONIC_MOVHPS, translate_half<kHigh>},
    {ZYDIS_MNEMONIC_MOVHPD, translate_half<kHigh>},
    {ZYDIS_MNEMONIC_MOVHLPS, translate_movhlps},
    {ZYDIS_MNEMONIC_MOVLHPS, translate_movlhps},
    {ZYDIS_MNEMONIC_MOVD, translate_movd_movq<u32, zero_extend_doubleword, zero_extend_mmx>},
    {ZYDIS_MNEMONIC_MOVQ, translate_movd_movq<u64, zero_extend, same<u64>>},
    {ZYDIS_MNEMONIC_MOVNTQ, translate_movntq},
    {ZYDIS_MNEMONIC_MOVQ2DQ, translate_movq2dq},
    {ZYDIS_MNEMONIC_MOVDQ2Q, translate_movdq2q},
    {ZYDIS_MNEMONIC_MOVNTI, translate_movnti},
    {ZYDIS_MNEMONIC_MASKMOVQ, translate_masked_move<8, true>},
    {ZYDIS_MNEMONIC_MASKMOVDQU, translate_masked_move<16, false>},
};

}  // namespace

void register_moves(TranslatorTable& table) {
  for (const Row& row : kRows) table.add(row.mnemonic, row.translator);
}

}  // namespace bhvm::sse

namespace bhvm {
bool translate_sse_movsd(BlockBuilder& block, const Instruction& insn) {
  return insn.z.operand_count_visible == 2 && sse::translate_scalar<u64, sse::zero_extend>(block, insn);
}
}  // namespace bhvm
