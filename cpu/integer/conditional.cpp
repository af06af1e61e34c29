// SETcc and CMOVcc.
#include <utility>

#include "cpu/integer/forms.h"
#include "cpu/integer/steps.h"
#include "cpu/integer/translate.h"

namespace bhvm::integer {
namespace {

template <Condition condition>
BHVM_HANDLER(set_mem) {
  if (!store<u8>(cpu, address_of(cpu, op), holds<condition>(cpu.flags) ? 1 : 0)) BHVM_FAULT;
  BHVM_NEXT;
}

template <Condition condition>
bool translate_set(BlockBuilder& block, const Instruction& insn) {
  if (insn.is_memory(0)) {
    const Address address = block.address(insn, insn.operand(0));
    block.emit(set_mem<condition>, address);
  } else {
    block.emit(plain<SetReg<condition>>, false).dst = register_of(insn, 0);
  }
  block.flags({.reads = flags_read_by(condition)});
  return true;
}

template <Condition condition, class T>
constexpr Handler move_reg = plain<MovRegRegIf<condition, T>>;
template <Condition condition, class T>
constexpr Handler move_mem = plain<MovRegMemIf<condition, T>>;

template <Condition condition>
bool translate_move(BlockBuilder& block, const Instruction& insn) {
  static constexpr ByWidth kReg = {nullptr, move_reg<condition, u16>, move_reg<condition, u32>,
                                   move_reg<condition, u64>};
  static constexpr ByWidth kMem = {nullptr, move_mem<condition, u16>, move_mem<condition, u32>,
                                   move_mem<condition, u64>};
  const unsigned width = width_index(insn.width(0));
  if (insn.is_memory(1)) {
    const Address address = block.address(insn, insn.operand(1));
    block.emit(kMem[width], address).dst = register_of(insn, 0);
  } else {
    Op& op = block.emit(kReg[width], false);
    op.dst = register_of(insn, 0);
    op.src = register_of(insn, 1);
  }
  block.flags({.reads = flags_read_by(condition)});
  return true;
}

constexpr ZydisMnemonic kSet[kConditions] = {
    ZYDIS_MNEMONIC_SETO, ZYDIS_MNEMONIC_SETNO, ZYDIS_MNEMONIC_SETB,  ZYDIS_MNEMONIC_SETNB,
    ZYDIS_MNEMONIC_SETZ, ZYDIS_MNEMONIC_SETNZ, ZYDIS_MNEMONIC_SETBE, ZYDIS_MNEMONIC_SETNBE,
    ZYDIS_MNEMONIC_SETS, ZYDIS_MNEMONIC_SETNS, ZYDIS_MNEMONIC_SETP,  ZYDIS_MNEMONIC_SETNP,
    ZYDIS_MNEMONIC_SETL, ZYDIS_MNEMONIC_SETNL, ZYDIS_MNEMONIC_SETLE, ZYDIS_MNEMONIC_SETNLE};
constexpr ZydisMnemonic kMove[kConditions] = {
    ZYDIS_MNEMONIC_CMOVO, ZYDIS_MNEMONIC_CMOVNO, ZYDIS_MNEMONIC_CMOVB,  ZYDIS_MNEMONIC_CMOVNB,
    ZYDIS_MNEMONIC_CMOVZ, ZYDIS_MNEMONIC_CMOVNZ, ZYDIS_MNEMONIC_CMOVBE, ZYDIS_MNEMONIC_CMOVNBE,
    ZYDIS_MNEMONIC_CMOVS, ZYDIS_MNEMONIC_CMOVNS, ZYDIS_MNEMONIC_CMOVP,  ZYDIS_MNEMONIC_CMOVNP,
    ZYDIS_MNEMONIC_CMOVL, ZYDIS_MNEMONIC_CMOVNL, ZYDIS_MNEMONIC_CMOVLE, ZYDIS_MNEMONIC_CMOVNLE};

template <std::size_t... i>
void add_all(TranslatorTable& table, std::index_sequence<i...>) {
  (table.add(kSet[i], translate_set<static_cast<Condition>(i)>), ...);
  (table.add(kMove[i], translate_move<static_cast<Condition>(i)>), ...);
}

}  // namespace

void register_conditional(TranslatorTable& table) { add_all(table, std::make_index_sequence<kConditions>()); }

}  // namespace bhvm::integer
