// ADD ADC SUB SBB CMP AND OR XOR TEST, INC DEC NEG NOT: handlers and translation.
//
// LOCK is accepted and changes nothing: one CPU, and an instruction is never cut in the middle.
#include "cpu/integer/alu.h"

#include "base/planted_fault.h"
#include "cpu/integer/forms.h"
#include "cpu/integer/steps.h"
#include "cpu/integer/translate.h"

namespace bhvm::integer {
namespace {

template <class Alu, class T, bool with_flags>
constexpr Handler reg_reg = plain<AluRegReg<Alu, T, with_flags>>;
template <class Alu, class T, bool with_flags>
constexpr Handler reg_imm = plain<AluRegImm<Alu, T, with_flags>>;
template <class Alu, class T, bool with_flags>
constexpr Handler reg_mem = plain<AluRegMem<Alu, T, with_flags>>;

template <class Alu, class T, bool with_flags, bool immediate>
constexpr Handler mem_any = plain<AluMem<Alu, T, with_flags, immediate>>;

/// Handlers of one instruction at one width, with flags and without.
struct Forms {
  Handler rr[2], ri[2], rm[2], mr[2], mi[2];
};

template <class Alu, class T>
constexpr Forms forms() {
  return {{reg_reg<Alu, T, true>, reg_reg<Alu, T, false>},
          {reg_imm<Alu, T, true>, reg_imm<Alu, T, false>},
          {reg_mem<Alu, T, true>, reg_mem<Alu, T, false>},
          {mem_any<Alu, T, true, false>, mem_any<Alu, T, false, false>},
          {mem_any<Alu, T, true, true>, mem_any<Alu, T, false, true>}};
}

template <class Alu>
bool translate_alu(BlockBuilder& block, const Instruction& insn) {
  static constexpr Forms kForms[] = {forms<Alu, u8>(), forms<Alu, u16>(), forms<Alu, u32>(), forms<Alu, u64>()};
  const Forms& f = kForms[width_index(insn.width(0))];
  const bool forgotten = planted(PlantedFault::kDeadFlags) && insn.width(0) == 16;
  FlagUse use{.reads = static_cast<u16>(Alu::kReadsCarry && !forgotten ? rflags::kCf : 0), .writes = kAllFlags};
  if (insn.is_memory(0)) {
    const Address address = block.address(insn, insn.operand(0));
    const bool imm = insn.is_immediate(1);
    Op& op = block.emit(imm ? f.mi[0] : f.mr[0], address);
    if (imm)
      block.immediate(insn, 1);
    else
      op.src = register_of(insn, 1);
    use.without_flags = imm ? f.mi[1] : f.mr[1];
  } else if (insn.is_memory(1)) {
    const Address address = block.address(insn, insn.operand(1));
    Op& op = block.emit(f.rm[0], address);
    op.dst = register_of(insn, 0);
    use.without_flags = f.rm[1];
  } else if (insn.is_immediate(1)) {
    Op& op = block.emit(f.ri[0], false);
    op.dst = register_of(insn, 0);
    block.immediate(insn, 1);
    use.without_flags = f.ri[1];
  } else {
    Op& op = block.emit(f.rr[0], false);
    op.dst = register_of(insn, 0);
    op.src = register_of(insn, 1);
    use.without_flags = f.rr[1];
  }
  block.flags(use);
  return true;
}

template <class Alu, class T, bool with_flags>
constexpr Handler one_reg = plain<OneReg<Alu, T, with_flags>>;

template <class Alu, class T, Through through = Through::kTlb>
BHVM_HANDLER(one_mem) {
  const u64 linear = address_of(cpu, op);
  Update<T, through> update;
  const bool loaded = update.load(cpu, fast, linear);
  if (planted(PlantedFault::kFlagsBeforeFault) && through == Through::kSlow && !loaded &&
      cpu.fault.vector == vector::kPageFault && (cpu.fault.error_code & pf_error::kPresent) != 0) {
    cpu.flags.set_cf(!cpu.flags.cf());
  }
  BHVM_ACCESS(loaded, one_mem<Alu, T, Through::kSlow>);
  update.store(cpu, linear, Alu::template apply<T, true>(update.value, cpu.flags));
  BHVM_NEXT;
}

template <class Alu>
bool translate_one(BlockBuilder& block, const Instruction& insn) {
  static constexpr ByWidth kReg[2] = {
      {one_reg<Alu, u8, true>, one_reg<Alu, u16, true>, one_reg<Alu, u32, true>, one_reg<Alu, u64, true>},
      {one_reg<Alu, u8, false>, one_reg<Alu, u16, false>, one_reg<Alu, u32, false>, one_reg<Alu, u64, false>}};
  static constexpr ByWidth kMem = {one_mem<Alu, u8>, one_mem<Alu, u16>, one_mem<Alu, u32>, one_mem<Alu, u64>};
  const unsigned width = width_index(insn.width(0));
  // INC and DEC carry CF through their flag computation.
  const u16 reads = Alu::kFlagsWritten != 0 && Alu::kFlagsWritten != kAllFlags ? u16{rflags::kCf} : u16{0};
  if (insn.is_memory(0)) {
    const Address address = block.address(insn, insn.operand(0));
    block.emit(kMem[width], address);
    block.flags({.reads = reads, .writes = Alu::kFlagsWritten});
  } else {
    Op& op = block.emit(kReg[0][width], false);
    op.dst = register_of(insn, 0);
    block.flags({.reads = reads, .writes = Alu::kFlagsWritten, .without_flags = kReg[1][width]});
  }
  return true;
}

template <class Alu, class T>
bool matches(Handler handler, bool& immediate) {
  immediate = handler == reg_imm<Alu, T, true>;
  return immediate || handler == reg_reg<Alu, T, true>;
}

template <class Alu>
bool matches_any_width(Handler handler, FusableCompare& compare) {
  if (matches<Alu, u8>(handler, compare.immediate))
    compare.width = 0;
  else if (matches<Alu, u16>(handler, compare.immediate))
    compare.width = 1;
  else if (matches<Alu, u32>(handler, compare.immediate))
    compare.width = 2;
  else if (matches<Alu, u64>(handler, compare.immediate))
    compare.width = 3;
  else
    return false;
  return true;
}

}  // namespace

bool fusable_compare(Handler handler, FusableCompare& compare) {
  compare.is_test = matches_any_width<Test>(handler, compare);
  return compare.is_test || matches_any_width<Cmp>(handler, compare);
}

void register_alu(TranslatorTable& table) {
  table.add(ZYDIS_MNEMONIC_ADD, translate_alu<Add>);
  table.add(ZYDIS_MNEMONIC_ADC, translate_alu<Adc>);
  table.add(ZYDIS_MNEMONIC_SUB, translate_alu<Sub>);
  table.add(ZYDIS_MNEMONIC_SBB, translate_alu<Sbb>);
  table.add(ZYDIS_MNEMONIC_CMP, translate_alu<Cmp>);
  table.add(ZYDIS_MNEMONIC_AND, translate_alu<And>);
  table.add(ZYDIS_MNEMONIC_OR, translate_alu<Or>);
  table.add(ZYDIS_MNEMONIC_XOR, translate_alu<Xor>);
  table.add(ZYDIS_MNEMONIC_TEST, translate_alu<Test>);
  table.add(ZYDIS_MNEMONIC_INC, translate_one<Inc>);
  table.add(ZYDIS_MNEMONIC_DEC, translate_one<Dec>);
  table.add(ZYDIS_MNEMONIC_NEG, translate_one<Neg>);
  table.add(ZYDIS_MNEMONIC_NOT, translate_one<Not>);
}

}  // namespace bhvm::integer
