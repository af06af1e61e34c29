// PUSH POP PUSHA POPA ENTER LEAVE. (PUSHF and POPF are in cpu/system: they change how the machine runs.)
#include "cpu/integer/forms.h"
#include "cpu/integer/stack_access.h"
#include "cpu/integer/steps.h"
#include "cpu/integer/translate.h"
#include "cpu/system/translate.h"

namespace bhvm::integer {
namespace {

template <class T>
inline constexpr i64 kSize = static_cast<i64>(sizeof(T));

template <class Stack, class T>
BHVM_HANDLER(push_reg) {
  if (!Stack::template write<T>(cpu, -kSize<T>, operand<T>(cpu, op->src))) BHVM_FAULT;
  Stack::move(cpu, -kSize<T>);
  BHVM_NEXT;
}

template <class Stack, class T>
BHVM_HANDLER(push_imm) {
  if (!Stack::template write<T>(cpu, -kSize<T>, static_cast<T>(op->imm))) BHVM_FAULT;
  Stack::move(cpu, -kSize<T>);
  BHVM_NEXT;
}

template <class Stack, class T, Through through = Through::kTlb>
BHVM_HANDLER(push_mem) {
  T value;
  BHVM_ACCESS(load_by<through>(cpu, fast, address_of(cpu, op), value), push_mem<Stack, T, Through::kSlow>);
  if (!Stack::template write<T>(cpu, -kSize<T>, value)) {
    blame_stack(cpu);
    BHVM_FAULT;
  }
  Stack::move(cpu, -kSize<T>);
  BHVM_NEXT;
}

template <class Stack, class T, Through through = Through::kTlb>
BHVM_HANDLER(pop_reg) {
  T value;
  u64 linear;
  if (!Stack::place(cpu, 0, sizeof(T), false, linear)) BHVM_FAULT;
  BHVM_ACCESS(load_by<through>(cpu, fast, linear, value), pop_reg<Stack, T, Through::kSlow>);
  Stack::move(cpu, kSize<T>);
  write_gpr<T>(cpu, op->dst, value);  // POP RSP: the value wins
  BHVM_NEXT;
}

/// An address relative to RSP is computed with RSP already incremented: the translator added that to `disp`.
template <class Stack, class T>
BHVM_HANDLER(pop_mem) {
  T value;
  if (!Stack::template read<T>(cpu, 0, value)) {
    blame_stack(cpu);
    BHVM_FAULT;
  }
  if (!store<T>(cpu, address_of(cpu, op), value)) BHVM_FAULT;
  Stack::move(cpu, kSize<T>);
  BHVM_NEXT;
}

/// [64/32/16-bit operand][stack shape]; shapes 1 and 2 have no 64-bit operands, shape 0 no 32-bit ones.
struct PushForms {
  Handler wide[3], narrow[3];
};
#define BHVM_PUSH_FORMS(name) \
  {{name<Stack64, u64>, name<Stack32<false>, u32>, name<Stack32<true>, u32>}, BHVM_BY_STACK(name, u16)}
constexpr PushForms kPushReg = {{plain<Push64>, push_reg<Stack32<false>, u32>, push_reg<Stack32<true>, u32>},
                                BHVM_BY_STACK(push_reg, u16)};
constexpr PushForms kPushImm = BHVM_PUSH_FORMS(push_imm);
constexpr PushForms kPushMem = BHVM_PUSH_FORMS(push_mem);
constexpr PushForms kPopReg = {{plain<Pop64>, pop_reg<Stack32<false>, u32>, pop_reg<Stack32<true>, u32>},
                               BHVM_BY_STACK(pop_reg, u16)};
constexpr PushForms kPopMem = BHVM_PUSH_FORMS(pop_mem);

Handler choose(const PushForms& forms, const Instruction& insn) {
  const unsigned shape = stack_shape(insn.mode);
  return insn.z.operand_width == 16 ? forms.narrow[shape] : forms.wide[shape];
}

bool is_segment(const Instruction& insn) {
  return insn.is_register(0) && ZydisRegisterGetClass(insn.operand(0).reg.value) == ZYDIS_REGCLASS_SEGMENT;
}

bool translate_push(BlockBuilder& block, const Instruction& insn) {
  if (is_segment(insn)) return translate_push_segment(block, insn);
  if (insn.is_memory(0)) {
    const Address address = block.address(insn, insn.operand(0));
    block.emit(choose(kPushMem, insn), address);
  } else if (insn.is_immediate(0)) {
    Op& op = block.emit(choose(kPushImm, insn));
    block.immediate(insn, 0);
    op.scale = Op::kStackSegment;
  } else {
    Op& op = block.emit(choose(kPushReg, insn));
    op.src = register_of(insn, 0);
    op.scale = Op::kStackSegment;
  }
  return true;
}

bool translate_pop(BlockBuilder& block, const Instruction& insn) {
  if (is_segment(insn)) return translate_pop_segment(block, insn);
  if (insn.is_memory(0)) {
    ZydisDecodedOperand memory = insn.operand(0);
    const ZydisRegister base = memory.mem.base;
    if (base == ZYDIS_REGISTER_RSP || base == ZYDIS_REGISTER_ESP) memory.mem.disp.value += insn.z.operand_width / 8;
    const Address address = block.address(insn, memory);
    block.emit(choose(kPopMem, insn), address);
  } else {
    Op& op = block.emit(choose(kPopReg, insn));
    op.dst = register_of(insn, 0);
    op.scale = Op::kStackSegment;
  }
  return true;
}

// PUSHA and POPA: 32-bit code only. One that faults in the middle has done what came before, but for ESP: processors
// do the same.

template <class Stack, class T>
BHVM_HANDLER(pusha) {
  T values[8];
  for (unsigned i = 0; i < 8; ++i) values[i] = static_cast<T>(cpu.s.gpr[i]);
  for (unsigned i = 0; i < 8; ++i) {
    if (!Stack::template write<T>(cpu, -kSize<T> * static_cast<i64>(i + 1), values[i])) BHVM_FAULT;
  }
  Stack::move(cpu, -kSize<T> * 8);
  BHVM_NEXT;
}

template <class Stack, class T>
BHVM_HANDLER(popa) {
  for (unsigned i = 0; i < 8; ++i) {
    T value;
    if (!Stack::template read<T>(cpu, kSize<T> * static_cast<i64>(i), value)) BHVM_FAULT;
    if (7 - i != kRsp) write_gpr<T>(cpu, static_cast<u16>(gpr(7 - i)), value);
  }
  Stack::move(cpu, kSize<T> * 8);
  BHVM_NEXT;
}

constexpr Handler kPusha[2][3] = {{nullptr, pusha<Stack32<false>, u16>, pusha<Stack32<true>, u16>},
                                  {nullptr, pusha<Stack32<false>, u32>, pusha<Stack32<true>, u32>}};
constexpr Handler kPopa[2][3] = {{nullptr, popa<Stack32<false>, u16>, popa<Stack32<true>, u16>},
                                 {nullptr, popa<Stack32<false>, u32>, popa<Stack32<true>, u32>}};

template <const Handler (&table)[2][3], unsigned wide>
bool translate_all(BlockBuilder& block, const Instruction& insn) {
  block.emit(table[wide][stack_shape(insn.mode)]).scale = Op::kStackSegment;
  return true;
}

// LEAVE: RSP = RBP, then POP RBP.

template <class Stack, class T>
BHVM_HANDLER(leave_frame) {
  const i64 delta = static_cast<i64>(cpu.s.gpr[kRbp] - cpu.s.gpr[kRsp]);
  T value;
  if (!Stack::template read<T>(cpu, delta, value)) BHVM_FAULT;
  Stack::move(cpu, delta + kSize<T>);
  write_gpr<T>(cpu, op->dst, value);
  BHVM_NEXT;
}
constexpr PushForms kLeave = BHVM_PUSH_FORMS(leave_frame);

bool translate_leave(BlockBuilder& block, const Instruction& insn) {
  Op& op = block.emit(choose(kLeave, insn));
  op.dst = gpr(kRbp);
  op.scale = Op::kStackSegment;
  return true;
}

// ENTER imm16, imm8: `imm` is the frame's size, `src` the nesting level (0 to 31).

template <class Stack, class T>
BHVM_HANDLER(enter_frame) {
  const u64 level = op->src;
  const i64 frame = -kSize<T>;  // of the new RBP, relative to RSP
  if (!Stack::template write<T>(cpu, frame, static_cast<T>(cpu.s.gpr[kRbp]))) BHVM_FAULT;
  const u64 old_rbp = cpu.s.gpr[kRbp];
  i64 delta = frame;
  for (u64 i = 1; i < level; ++i) {
    T outer;
    const i64 from = static_cast<i64>(old_rbp - cpu.s.gpr[kRsp]) - kSize<T> * static_cast<i64>(i);
    if (!Stack::template read<T>(cpu, from, outer)) BHVM_FAULT;
    delta -= kSize<T>;
    if (!Stack::template write<T>(cpu, delta, outer)) BHVM_FAULT;
  }
  const u64 new_rbp = Stack::pointer(cpu, frame);
  if (level > 0) {
    delta -= kSize<T>;
    if (!Stack::template write<T>(cpu, delta, static_cast<T>(new_rbp))) BHVM_FAULT;
  }
  delta -= op->imm;
  // The new top of the stack must be writable: a fault comes here, before a register changed.
  if (!Stack::template probe_write<T>(cpu, delta)) BHVM_FAULT;
  Stack::move(cpu, delta);
  write_gpr<T>(cpu, op->dst, static_cast<T>(new_rbp));
  BHVM_NEXT;
}
constexpr PushForms kEnter = BHVM_PUSH_FORMS(enter_frame);

bool translate_enter(BlockBuilder& block, const Instruction& insn) {
  Op& op = block.emit(choose(kEnter, insn));
  op.dst = gpr(kRbp);
  op.imm = static_cast<i64>(insn.operand(0).imm.value.u & 0xFFFF);
  op.src = static_cast<u16>(insn.operand(1).imm.value.u & 31);
  op.scale = Op::kStackSegment;
  return true;
}

}  // namespace

void register_stack(TranslatorTable& table) {
  table.add(ZYDIS_MNEMONIC_PUSH, translate_push);
  table.add(ZYDIS_MNEMONIC_POP, translate_pop);
  table.add(ZYDIS_MNEMONIC_PUSHA, translate_all<kPusha, 0>);
  table.add(ZYDIS_MNEMONIC_PUSHAD, translate_all<kPusha, 1>);
  table.add(ZYDIS_MNEMONIC_POPA, translate_all<kPopa, 0>);
  table.add(ZYDIS_MNEMONIC_POPAD, translate_all<kPopa, 1>);
  table.add(ZYDIS_MNEMONIC_LEAVE, translate_leave);
  table.add(ZYDIS_MNEMONIC_ENTER, translate_enter);
}

}  // namespace bhvm::integer
