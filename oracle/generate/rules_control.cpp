// Branches, frames on the stack, selectors, counters.
#include <iterator>

#include "oracle/generate/rules.h"

namespace bhvm::oracle {
namespace {

constexpr unsigned kRcx = 1, kRbp = 5;

u64 somewhere_to_go(Draft& d) { return branch_target(d.dice, d.plan.place, !d.plan.code64, d.plan.kernel); }

/// A far pointer or an interrupt return: code that can run in half of the cases.
u16 code_selector(Draft& d) {
  if (d.dice.coin()) return selector_value(d.dice);
  return d.plan.code64 == d.dice.percent(85) ? kUserCode64 : kUserCode32;
}

void far_pointer(Draft& d, u64 offset, unsigned bytes) {
  d.set_value<u64>(0, offset);
  d.set_value<u16>(bytes, code_selector(d));
  d.value_bytes = bytes + 2;
}

/// JMP and CALL through a register or memory.
void indirect_branch(Draft& d) {
  const ZydisDecodedOperand& operand = d.insn().operand(0);
  const unsigned bytes = d.insn().z.operand_width / 8;
  if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) return d.set_register(operand.reg.value, somewhere_to_go(d));
  if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY) return;
  if (d.insn().z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) return far_pointer(d, somewhere_to_go(d), bytes);
  d.set_value<u64>(0, somewhere_to_go(d));
  d.value_bytes = bytes;
}

void near_or_far_return(Draft& d) {
  const unsigned bytes = d.insn().z.operand_width / 8;
  d.set_stack(0, somewhere_to_go(d), bytes);
  if (d.insn().z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) d.set_stack(bytes, code_selector(d), bytes);
}

u64 flags_image(Draft& d) {
  constexpr u64 kVirtual8086 = 1 << 17;
  u64 flags = d.dice.bits() & 0x3F7FD5 & ~kVirtual8086;
  if (!d.dice.one_in(6)) flags &= ~u64{0x100};             // TF
  if (!d.dice.one_in(6)) flags &= ~u64{0x40000 | 0x4000};  // AC, NT
  return flags | 2;
}

/// QEMU would take the VM flag seriously in IA-32e mode, and keep VIF and VIP for ever.
void interrupt_return(Draft& d) {
  d.stack_is_exact = true;
  const unsigned bytes = d.insn().z.operand_width / 8;
  d.set_stack(0, somewhere_to_go(d), bytes);
  d.set_stack(bytes, code_selector(d), bytes);
  d.set_stack(2 * bytes, flags_image(d), bytes);
  d.set_stack(3 * bytes, stack_target(d.dice, 8, 8, !d.plan.code64), bytes);
  d.set_stack(4 * bytes, d.dice.coin() ? kUserData : selector_value(d.dice), bytes);
}

void pop_flags(Draft& d) { d.set_stack(0, flags_image(d), d.insn().z.operand_width / 8); }

/// Nested frames are copied from where RBP points.
void enter(Draft& d) { d.gpr(kRbp) = stack_target(d.dice, 64, 8, !d.plan.code64); }

void counted_branch(Draft& d) {
  static constexpr u64 kCounts[] = {0, 1, 2, 0x10000, 0x10001, 0x100000000, 0x100000001, ~u64{0}};
  if (d.dice.percent(80)) d.gpr(kRcx) = d.dice.pick(kCounts);
}

bool is_segment_register(const ZydisDecodedOperand& operand) {
  return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
         ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_SEGMENT;
}

/// The source operand holds a selector.
void selector_source(Draft& d, const ZydisDecodedOperand& source) {
  const u16 selector = selector_value(d.dice);
  if (source.type == ZYDIS_OPERAND_TYPE_MEMORY) return d.set_value<u16>(0, selector);
  d.set_register(source.reg.value, (d.dice.bits() << 16) | selector);
}

void check_selector(Draft& d) { selector_source(d, d.insn().operand(d.insn().z.operand_count_visible - 1)); }

void adjust_selector(Draft& d) {
  for (unsigned i = 0; i < 2; ++i) {
    const ZydisDecodedOperand& operand = d.insn().operand(i);
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) d.set_value<u16>(0, selector_value(d.dice));
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) d.set_register(operand.reg.value, selector_value(d.dice));
  }
}

void move(Draft& d) {
  if (is_segment_register(d.insn().operand(0))) selector_source(d, d.insn().operand(1));
}

void pop(Draft& d) {
  if (is_segment_register(d.insn().operand(0))) d.set_stack(0, selector_value(d.dice), d.insn().z.operand_width / 8);
}

void load_far_pointer(Draft& d) {
  const unsigned bytes = d.insn().operand(0).size / 8;
  d.set_value<u64>(0, d.dice.bits());
  d.set_value<u16>(bytes, selector_value(d.dice));
  d.value_bytes = bytes + 2;
}

void write_segment_base(Draft& d) {
  if (d.dice.one_in(4)) return;
  d.set_register(d.insn().operand(0).reg.value, stack_target(d.dice, 0, 0, false));
}

/// XGETBV, XSETBV, RDPMC, RDMSR, WRMSR: small indices and those of well-known registers.
void indexed_register(Draft& d) {
  static constexpr u64 kIndices[] = {0, 0, 0, 1, 2, 0x10, 0x1B, 0x174, 0x277, 0xC0000080, 0xC0000100};
  d.gpr(kRcx) = d.dice.pick(kIndices);
}

constexpr RuleRow kRows[] = {
    {ZYDIS_MNEMONIC_JMP, indirect_branch},
    {ZYDIS_MNEMONIC_CALL, indirect_branch},
    {ZYDIS_MNEMONIC_RET, near_or_far_return},
    {ZYDIS_MNEMONIC_IRET, interrupt_return},
    {ZYDIS_MNEMONIC_IRETD, interrupt_return},
    {ZYDIS_MNEMONIC_IRETQ, interrupt_return},
    {ZYDIS_MNEMONIC_POPF, pop_flags},
    {ZYDIS_MNEMONIC_POPFD, pop_flags},
    {ZYDIS_MNEMONIC_POPFQ, pop_flags},
    {ZYDIS_MNEMONIC_ENTER, enter},
    {ZYDIS_MNEMONIC_JCXZ, counted_branch},
    {ZYDIS_MNEMONIC_JECXZ, counted_branch},
    {ZYDIS_MNEMONIC_JRCXZ, counted_branch},
    {ZYDIS_MNEMONIC_LOOP, counted_branch},
    {ZYDIS_MNEMONIC_LOOPE, counted_branch},
    {ZYDIS_MNEMONIC_LOOPNE, counted_branch},
    {ZYDIS_MNEMONIC_LAR, check_selector},
    {ZYDIS_MNEMONIC_LSL, check_selector},
    {ZYDIS_MNEMONIC_VERR, check_selector},
    {ZYDIS_MNEMONIC_VERW, check_selector},
    {ZYDIS_MNEMONIC_LLDT, check_selector},
    {ZYDIS_MNEMONIC_LTR, check_selector},
    {ZYDIS_MNEMONIC_ARPL, adjust_selector},
    {ZYDIS_MNEMONIC_MOV, move},
    {ZYDIS_MNEMONIC_POP, pop},
    {ZYDIS_MNEMONIC_LDS, load_far_pointer},
    {ZYDIS_MNEMONIC_LES, load_far_pointer},
    {ZYDIS_MNEMONIC_LSS, load_far_pointer},
    {ZYDIS_MNEMONIC_LFS, load_far_pointer},
    {ZYDIS_MNEMONIC_LGS, load_far_pointer},
    {ZYDIS_MNEMONIC_WRFSBASE, write_segment_base},
    {ZYDIS_MNEMONIC_WRGSBASE, write_segment_base},
    {ZYDIS_MNEMONIC_XGETBV, indexed_register},
    {ZYDIS_MNEMONIC_XSETBV, indexed_register},
    {ZYDIS_MNEMONIC_RDPMC, indexed_register},
    {ZYDIS_MNEMONIC_RDMSR, indexed_register},
    {ZYDIS_MNEMONIC_WRMSR, indexed_register},
};

}  // namespace

std::span<const RuleRow> control_rules() { return kRows; }

}  // namespace bhvm::oracle
