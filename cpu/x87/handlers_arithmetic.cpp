// Arithmetic, comparisons and transcendentals.
#include "cpu/x87/instructions.h"
#include "cpu/x87/operations.h"

namespace bhvm::x87 {
namespace {

constexpr unsigned kFcom = 2;  // reg fields that compare
constexpr unsigned kFcomp = 3;

Binary binary_of(unsigned reg) {
  constexpr Binary kByReg[8] = {Binary::kAdd,      Binary::kMultiply,        Binary::kAdd,    Binary::kAdd,
                                Binary::kSubtract, Binary::kSubtractReverse, Binary::kDivide, Binary::kDivideReverse};
  return kByReg[reg & 7];
}

/// ST(0) op a memory operand of type T, widened by `widen`.
template <class T, auto widen>
bool arithmetic_memory(Cpu& cpu, const Operands& operands) {
  T value;
  if (!bhvm::load(cpu, operands.linear, value)) return false;
  const Operand source = widen(value);
  const unsigned reg = operands.variant();
  if (reg == kFcom || reg == kFcomp) {
    compare_memory(cpu.s.x87, source, reg == kFcomp ? 1 : 0);
  } else {
    binary_memory(cpu.s.x87, binary_of(reg), source);
  }
  return true;
}

template <class T>
Operand integer_operand(T value) {
  return {from_integer(static_cast<std::make_signed_t<T>>(value))};
}

}  // namespace

bool arithmetic_f32(Cpu& cpu, const Operands& operands) { return arithmetic_memory<u32, from_f32>(cpu, operands); }
bool arithmetic_f64(Cpu& cpu, const Operands& operands) { return arithmetic_memory<u64, from_f64>(cpu, operands); }
bool arithmetic_i16(Cpu& cpu, const Operands& operands) {
  return arithmetic_memory<u16, integer_operand<u16>>(cpu, operands);
}
bool arithmetic_i32(Cpu& cpu, const Operands& operands) {
  return arithmetic_memory<u32, integer_operand<u32>>(cpu, operands);
}

bool arithmetic_to_top(Cpu& cpu, const Operands& operands) {
  binary_register(cpu.s.x87, binary_of(operands.variant()), 0, operands.i(), false);
  return true;
}
bool arithmetic_to_register(Cpu& cpu, const Operands& operands) {
  binary_register(cpu.s.x87, binary_of(operands.variant()), operands.i(), 0, false);
  return true;
}
bool arithmetic_and_pop(Cpu& cpu, const Operands& operands) {
  binary_register(cpu.s.x87, binary_of(operands.variant()), operands.i(), 0, true);
  return true;
}

bool compare_st(Cpu& cpu, const Operands& operands) {
  const unsigned variant = operands.variant();
  compare_register(cpu.s.x87, operands.i(), (variant & kCompareQuiet) != 0, variant & 3);
  return true;
}

bool compare_flags(Cpu& cpu, const Operands& operands) {
  using namespace rflags;
  constexpr u64 kByOrder[] = {0, kCf, kZf, kZf | kPf | kCf};  // greater, less, equal, unordered; OF, SF, AF clear
  const unsigned variant = operands.variant();
  const Order order = compare_to_flags(cpu.s.x87, operands.i(), (variant & kCompareQuiet) != 0, (variant & 3) != 0);
  cpu.flags.set(kByOrder[static_cast<unsigned>(order)]);
  return true;
}

bool unary_op(Cpu& cpu, const Operands& operands) {
  unary(cpu.s.x87, static_cast<Unary>(operands.variant()));
  return true;
}
bool two_operand_op(Cpu& cpu, const Operands& operands) {
  two_operand(cpu.s.x87, static_cast<TwoOperand>(operands.variant()));
  return true;
}
bool remainder_op(Cpu& cpu, const Operands& operands) {
  remainder_instruction(cpu.s.x87, operands.variant() != 0);
  return true;
}
bool change_sign_op(Cpu& cpu, const Operands&) {
  change_sign(cpu.s.x87);
  return true;
}
bool absolute_value_op(Cpu& cpu, const Operands&) {
  absolute_value(cpu.s.x87);
  return true;
}
bool test_op(Cpu& cpu, const Operands&) {
  test(cpu.s.x87);
  return true;
}
bool examine_op(Cpu& cpu, const Operands&) {
  examine(cpu.s.x87);
  return true;
}
bool extract_op(Cpu& cpu, const Operands&) {
  extract_instruction(cpu.s.x87);
  return true;
}
bool scale_op(Cpu& cpu, const Operands&) {
  scale_instruction(cpu.s.x87);
  return true;
}
bool sine_and_cosine_op(Cpu& cpu, const Operands&) {
  sine_and_cosine(cpu.s.x87);
  return true;
}
bool partial_tangent_op(Cpu& cpu, const Operands&) {
  partial_tangent(cpu.s.x87);
  return true;
}

}  // namespace bhvm::x87
