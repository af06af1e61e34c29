// CLC STC CMC CLD STD LAHF SAHF SALC, NOP and its kin, UD0 UD1 UD2.
#include "base/planted_fault.h"
#include "cpu/integer/forms.h"
#include "cpu/integer/translate.h"
#include "cpu/undefined.h"

namespace bhvm::integer {
namespace {

constexpr u16 kCarry = static_cast<u16>(rflags::kCf);
constexpr u16 kLahfFlags = static_cast<u16>(rflags::kSf | rflags::kZf | rflags::kAf | rflags::kPf | rflags::kCf);

BHVM_HANDLER(clc) {
  cpu.flags.set_cf(false);
  BHVM_NEXT;
}
BHVM_HANDLER(stc) {
  cpu.flags.set_cf(true);
  BHVM_NEXT;
}
BHVM_HANDLER(cmc) {
  cpu.flags.set_cf(!cpu.flags.cf());
  BHVM_NEXT;
}
BHVM_HANDLER(cld) {
  cpu.s.rflags &= ~rflags::kDf;
  BHVM_NEXT;
}
BHVM_HANDLER(std_) {
  cpu.s.rflags |= rflags::kDf;
  BHVM_NEXT;
}
BHVM_HANDLER(lahf) {
  const u64 fixed = planted(PlantedFault::kLahfFixedBit) && !cpu.flags.cf() ? 0 : rflags::kFixed;
  operand<u8>(cpu, op->dst) = static_cast<u8>((cpu.flags.value() & kLahfFlags) | fixed);
  BHVM_NEXT;
}
BHVM_HANDLER(sahf) {
  const u64 of = cpu.flags.value() & rflags::kOf;
  cpu.flags.set((operand<u8>(cpu, op->src) & kLahfFlags) | of);
  BHVM_NEXT;
}
BHVM_HANDLER(salc) {
  operand<u8>(cpu, op->dst) = cpu.flags.cf() ? 0xFF : 0;
  BHVM_NEXT;
}

template <Handler handler, u16 reads, u16 writes>
bool translate_simple(BlockBuilder& block, const Instruction&) {
  Op& op = block.emit(handler, false);
  op.dst = op.src = static_cast<u16>(gpr(kRax) + 1);  // AH, for LAHF and SAHF
  block.flags({.reads = reads, .writes = writes});
  return true;
}

bool translate_salc(BlockBuilder& block, const Instruction&) {
  block.emit(salc, false).dst = gpr(kRax);
  block.flags({.reads = kCarry});
  return true;
}

/// Counted with its block, and nothing else.
bool translate_nop(BlockBuilder&, const Instruction&) { return true; }

bool translate_undefined(BlockBuilder& block, const Instruction&) { return emit_invalid_opcode(block); }

constexpr ZydisMnemonic kNops[] = {ZYDIS_MNEMONIC_NOP, ZYDIS_MNEMONIC_PAUSE, ZYDIS_MNEMONIC_ENDBR32,
                                   ZYDIS_MNEMONIC_ENDBR64};

}  // namespace

void register_flags(TranslatorTable& table) {
  table.add(ZYDIS_MNEMONIC_CLC, translate_simple<clc, 0, kCarry>);
  table.add(ZYDIS_MNEMONIC_STC, translate_simple<stc, 0, kCarry>);
  table.add(ZYDIS_MNEMONIC_CMC, translate_simple<cmc, kCarry, kCarry>);
  table.add(ZYDIS_MNEMONIC_CLD, translate_simple<cld, 0, 0>);
  table.add(ZYDIS_MNEMONIC_STD, translate_simple<std_, 0, 0>);
  table.add(ZYDIS_MNEMONIC_LAHF, translate_simple<lahf, kLahfFlags, 0>);
  table.add(ZYDIS_MNEMONIC_SAHF, translate_simple<sahf, static_cast<u16>(rflags::kOf), kLahfFlags>);
  table.add(ZYDIS_MNEMONIC_SALC, translate_salc);
  for (const ZydisMnemonic mnemonic : kNops) table.add(mnemonic, translate_nop);
  table.add(ZYDIS_MNEMONIC_UD0, translate_undefined);
  table.add(ZYDIS_MNEMONIC_UD1, translate_undefined);
  table.add(ZYDIS_MNEMONIC_UD2, translate_undefined);
}

}  // namespace bhvm::integer
