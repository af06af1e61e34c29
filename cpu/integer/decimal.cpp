// 32-bit code only: AAA AAS AAM AAD DAA DAS, BOUND, and INTO's kin live in cpu/system.
//
// Undefined flags: OF of AAA, AAS, DAA and DAS is cleared; AAA and AAS set SF, ZF and PF by AL, AAM and AAD clear CF,
// OF and AF.
#include "cpu/integer/forms.h"
#include "cpu/integer/translate.h"

namespace bhvm::integer {
namespace {

BHVM_INLINE u8& al(Cpu& cpu) { return *reinterpret_cast<u8*>(&cpu.s.gpr[kRax]); }
BHVM_INLINE u8& ah(Cpu& cpu) { return *(reinterpret_cast<u8*>(&cpu.s.gpr[kRax]) + 1); }
BHVM_INLINE u16& ax(Cpu& cpu) { return *reinterpret_cast<u16*>(&cpu.s.gpr[kRax]); }

void set_result_flags(Cpu& cpu, u8 result, bool cf, bool af) {
  cpu.flags.set_logic<u8>(result);
  const u64 others = cpu.flags.value() & ~(rflags::kCf | rflags::kAf);
  cpu.flags.set(others | (cf ? rflags::kCf : 0) | (af ? rflags::kAf : 0));
}

template <bool subtract>
BHVM_HANDLER(ascii_adjust) {
  const bool adjust = (al(cpu) & 0xF) > 9 || cpu.flags.af();
  if (adjust) {
    ax(cpu) = static_cast<u16>(subtract ? ax(cpu) - 0x106 : ax(cpu) + 0x106);
  }
  al(cpu) &= 0xF;
  set_result_flags(cpu, al(cpu), adjust, adjust);
  BHVM_NEXT;
}

template <bool subtract>
BHVM_HANDLER(decimal_adjust) {
  const u8 old_al = al(cpu);
  const bool old_cf = cpu.flags.cf();
  const bool low = (old_al & 0xF) > 9 || cpu.flags.af();
  const bool high = old_al > 0x99 || old_cf;
  bool cf = false;
  if (low) {
    al(cpu) = static_cast<u8>(subtract ? al(cpu) - 6 : al(cpu) + 6);
    cf = old_cf || (subtract ? old_al < 6 : old_al > 0xF9);
  }
  if (high) {
    al(cpu) = static_cast<u8>(subtract ? al(cpu) - 0x60 : al(cpu) + 0x60);
    cf = true;
  }
  set_result_flags(cpu, al(cpu), cf, low);
  BHVM_NEXT;
}

BHVM_HANDLER(aam) {
  const u8 base = static_cast<u8>(op->imm);
  if (base == 0) {
    cpu.raise(vector::kDivideError);
    BHVM_FAULT;
  }
  const u8 value = al(cpu);
  ah(cpu) = static_cast<u8>(value / base);
  al(cpu) = static_cast<u8>(value % base);
  set_result_flags(cpu, al(cpu), false, false);
  BHVM_NEXT;
}

BHVM_HANDLER(aad) {
  ax(cpu) = static_cast<u8>(al(cpu) + ah(cpu) * static_cast<u8>(op->imm));
  set_result_flags(cpu, al(cpu), false, false);
  BHVM_NEXT;
}

template <Handler handler>
bool translate_decimal(BlockBuilder& block, const Instruction& insn) {
  Op& op = block.emit(handler);
  if (insn.z.operand_count_visible > 0 && insn.is_immediate(0)) op.imm = static_cast<i64>(insn.operand(0).imm.value.u);
  block.flags({.reads = kAllFlags, .writes = kAllFlags});
  return true;
}

/// BOUND r, m: the index against the pair in memory, both signed.
template <class T>
BHVM_HANDLER(bound) {
  using S = std::make_signed_t<T>;
  const u64 linear = address_of(cpu, op);
  T low, high;
  if (!load<T>(cpu, linear, low) || !load<T>(cpu, (linear + sizeof(T)) & 0xFFFFFFFF, high)) BHVM_FAULT;
  const S index = static_cast<S>(operand<T>(cpu, op->src));
  if (index < static_cast<S>(low) || index > static_cast<S>(high)) {
    cpu.raise(vector::kBoundRange);
    BHVM_FAULT;
  }
  BHVM_NEXT;
}

bool translate_bound(BlockBuilder& block, const Instruction& insn) {
  const Address address = block.address(insn, insn.operand(1));
  block.emit(insn.width(0) == 16 ? bound<u16> : bound<u32>, address).src = register_of(insn, 0);
  return true;
}

}  // namespace

void register_decimal(TranslatorTable& table) {
  table.add(ZYDIS_MNEMONIC_AAA, translate_decimal<ascii_adjust<false>>);
  table.add(ZYDIS_MNEMONIC_AAS, translate_decimal<ascii_adjust<true>>);
  table.add(ZYDIS_MNEMONIC_DAA, translate_decimal<decimal_adjust<false>>);
  table.add(ZYDIS_MNEMONIC_DAS, translate_decimal<decimal_adjust<true>>);
  table.add(ZYDIS_MNEMONIC_AAM, translate_decimal<aam>);
  table.add(ZYDIS_MNEMONIC_AAD, translate_decimal<aad>);
  table.add(ZYDIS_MNEMONIC_BOUND, translate_bound);
}

}  // namespace bhvm::integer
