// From an x87 instruction's semantics to a handler: #MF for a pending exception first, then memory, then the state,
// then the instruction and data pointers (SDM 1, 8.1.8 and 8.7).
//
// A semantics is a function `bool f(Cpu&, const Operands&)` that returns false with cpu.fault set when memory refused,
// having changed nothing. x87_op<f> is the handler of a waiting instruction, x87_control_op<f> that of a control
// instruction that neither waits nor moves the pointers.
//
// Op fields: base, index, scale and disp address the memory operand; dst is i of ST(i); src tells variants of one
// semantics apart; imm holds the bits of OpInfo.
#pragma once

#include "cpu/handler.h"
#include "cpu/mode.h"

namespace bhvm::x87 {

/// Op::imm of an x87 op.
namespace op_info {
inline constexpr i64 kFop = 0x7FF;             // the opcode's low 11 bits
inline constexpr unsigned kSegmentShift = 16;  // of the memory operand: SegmentIndex
inline constexpr i64 kSegmentMask = 7;
inline constexpr i64 kHasMemory = 1 << 20;
inline constexpr i64 kSegmentHasBase = 1 << 21;  // the linear address has the segment's base in it
}  // namespace op_info

/// What a semantics may look at.
struct Operands {
  const Op& op;
  u64 linear = 0;  // of the memory operand

  unsigned i() const { return op.dst; }
  unsigned variant() const { return op.src; }
};
using Semantics = bool (*)(Cpu& cpu, const Operands& operands);

/// Remembers where the instruction stands, where its operand, and, when it left an unmasked exception, what it was.
inline void update_pointers(Cpu& cpu, const Operands& operands) {
  X87State& x87 = cpu.s.x87;
  const i64 info = operands.op.imm;
  const u64 mask = (cpu.mode & mode::kCode64) != 0 ? ~u64{0} : 0xFFFFFFFF;
  x87.fip = (cpu.page_base + operands.op.page_offset) & mask;
  x87.fcs = cpu.s.segments[kCs].selector;
  if ((info & op_info::kHasMemory) != 0) {
    const SegmentState& segment = cpu.s.segments[(info >> op_info::kSegmentShift) & op_info::kSegmentMask];
    const u64 base = (info & op_info::kSegmentHasBase) != 0 ? segment.base : 0;
    x87.fdp = (operands.linear - base) & mask;
    x87.fds = segment.selector;
  }
  if (x87.exception_pending()) x87.fop = static_cast<u16>(info & op_info::kFop);
}

/// A waiting instruction, whole. False with a fault. Out of line, so that handlers have no stack frame.
template <Semantics semantics>
[[gnu::noinline]] bool execute(Cpu& cpu, const Op& op, u64 linear) {
  if (BHVM_UNLIKELY(cpu.s.x87.exception_pending())) return cpu.raise(vector::kX87);
  const Operands operands{op, linear};
  if (!semantics(cpu, operands)) return false;
  update_pointers(cpu, operands);
  return true;
}

/// A control instruction, whole.
template <Semantics semantics>
[[gnu::noinline]] bool execute_control(Cpu& cpu, const Op& op, u64 linear) {
  return semantics(cpu, Operands{op, linear});
}

template <Semantics semantics>
BHVM_HANDLER(x87_op) {
  if (!execute<semantics>(cpu, *op, address_of(cpu, op))) BHVM_FAULT;
  BHVM_NEXT;
}

template <Semantics semantics>
BHVM_HANDLER(x87_control_op) {
  if (!execute_control<semantics>(cpu, *op, address_of(cpu, op))) BHVM_FAULT;
  BHVM_NEXT;
}

/// A waiting instruction without a memory operand as a system instruction, out of the guest's floating-point mode: for
/// those that call a library.
template <Semantics semantics>
bool execute_outside(Cpu& cpu, const Op& op) {
  return execute<semantics>(cpu, op, 0);
}

}  // namespace bhvm::x87
