#include "cpu/x87/opcodes.h"

#include <array>

#include "cpu/integer/conditions.h"
#include "cpu/system_op.h"
#include "cpu/x87/instructions.h"
#include "cpu/x87/operations.h"

namespace bhvm::x87 {
namespace {

using Kind = Opcode::Kind;
using Row = std::array<Opcode, 8>;

template <Semantics f>
constexpr Opcode waiting(u16 variant = 0) {
  return {Kind::kPlain, x87_op<f>, variant};
}
template <Semantics f>
constexpr Opcode waiting(Condition condition) {
  return {Kind::kPlain, x87_op<f>, static_cast<u16>(condition)};
}
template <Semantics f>
constexpr Opcode control(u16 variant = 0) {
  return {Kind::kPlain, x87_control_op<f>, variant};
}
template <Semantics f>
constexpr Opcode flags(u16 variant) {
  return {Kind::kFlags, x87_op<f>, variant};
}
/// Computed by a library: runs outside the guest's floating-point mode.
template <Semantics f, class Variant = u16>
constexpr Opcode library(Variant variant = {}) {
  return {Kind::kSystem, system_op<execute_outside<f>>, static_cast<u16>(variant)};
}
template <SystemFunction f>
constexpr Opcode system() {
  return {Kind::kSystem, system_op<f>, 0};
}
template <Semantics f>
constexpr Opcode unary_waiting(Unary op) {
  return {Kind::kPlain, x87_op<f>, static_cast<u16>(op)};
}
constexpr Opcode kNone{};

/// Families whose variant is the reg field.
template <Semantics f>
constexpr Row by_reg() {
  Row row;
  for (u16 reg = 0; reg < 8; ++reg) row[reg] = waiting<f>(reg);
  return row;
}
/// D8 C0 to FF: ST(0) is the destination, and two of the eight compare.
constexpr Row to_top() {
  Row row = by_reg<arithmetic_to_top>();
  row[2] = waiting<compare_st>(0);
  row[3] = waiting<compare_st>(1);
  return row;
}
/// DC and DE C0 to FF: ST(i) is the destination, and the reverse forms trade places.
template <Semantics f>
constexpr Row to_register(Opcode second, Opcode third) {
  Row row;
  for (u16 reg = 0; reg < 8; ++reg) row[reg] = waiting<f>(reg < 4 ? reg : static_cast<u16>(reg ^ 1));
  row[2] = second;
  row[3] = third;
  return row;
}

constexpr u16 kTruncateAndPop = kStoreTruncate | kStorePop;

constexpr std::array<Row, 8> kMemory = {{
    by_reg<arithmetic_f32>(),
    {waiting<load_f32>(), kNone, waiting<store_f32>(), waiting<store_f32>(kStorePop), system<load_environment>(),
     control<load_control_word_op>(), system<store_environment>(), control<store_control_word>()},
    by_reg<arithmetic_i32>(),
    {waiting<load_i32>(), waiting<store_i32>(kTruncateAndPop), waiting<store_i32>(), waiting<store_i32>(kStorePop),
     kNone, waiting<load_f80>(), kNone, waiting<store_f80>(kStorePop)},
    by_reg<arithmetic_f64>(),
    {waiting<load_f64>(), waiting<store_i64>(kTruncateAndPop), waiting<store_f64>(), waiting<store_f64>(kStorePop),
     system<restore_state>(), kNone, system<save_state>(), control<store_status_word>()},
    by_reg<arithmetic_i16>(),
    {waiting<load_i16>(), waiting<store_i16>(kTruncateAndPop), waiting<store_i16>(), waiting<store_i16>(kStorePop),
     waiting<load_bcd>(), waiting<load_i64>(), waiting<store_bcd>(kStorePop), waiting<store_i64>(kStorePop)},
}};

/// Where rm is i of ST(i). Rows of single instructions are below.
constexpr std::array<Row, 8> kRegister = {{
    to_top(),
    {waiting<load_st>(), waiting<exchange_st>(), waiting<do_nothing>(), waiting<store_st_quietly>()},
    {waiting<move_if>(Condition::kB), waiting<move_if>(Condition::kE), waiting<move_if>(Condition::kBe),
     waiting<move_if>(Condition::kP), kNone, waiting<compare_st>(kCompareQuiet | 2)},
    {waiting<move_if>(Condition::kAe), waiting<move_if>(Condition::kNe), waiting<move_if>(Condition::kA),
     waiting<move_if>(Condition::kNp), kNone, flags<compare_flags>(kCompareQuiet), flags<compare_flags>(0)},
    to_register<arithmetic_to_register>(waiting<compare_st>(0), waiting<compare_st>(1)),
    {waiting<free_st>(), waiting<exchange_st>(), waiting<store_st>(), waiting<store_st>(kStorePop),
     waiting<compare_st>(kCompareQuiet), waiting<compare_st>(kCompareQuiet | 1)},
    to_register<arithmetic_and_pop>(waiting<compare_st>(1), waiting<compare_st>(2)),
    {waiting<free_st>(kStorePop), waiting<exchange_st>(), waiting<store_st>(kStorePop), waiting<store_st>(kStorePop),
     control<store_status_word_ax>(), flags<compare_flags>(kCompareQuiet | 1), flags<compare_flags>(1)},
}};

/// D9 E0 to FF, by rm.
constexpr std::array<Row, 4> kD9 = {{
    {waiting<change_sign_op>(), waiting<absolute_value_op>(), kNone, kNone, waiting<test_op>(), waiting<examine_op>()},
    {waiting<load_constant_op>(0), waiting<load_constant_op>(1), waiting<load_constant_op>(2),
     waiting<load_constant_op>(3), waiting<load_constant_op>(4), waiting<load_constant_op>(5),
     waiting<load_constant_op>(6)},
    {library<unary_op>(Unary::kPowerMinusOne), library<two_operand_op>(TwoOperand::kLogarithm),
     library<partial_tangent_op>(), library<two_operand_op>(TwoOperand::kArctangent), waiting<extract_op>(),
     waiting<remainder_op>(1), waiting<rotate_down>(), waiting<rotate_up>()},
    {waiting<remainder_op>(0), library<two_operand_op>(TwoOperand::kLogarithmPlusOne),
     unary_waiting<unary_op>(Unary::kSquareRoot), library<sine_and_cosine_op>(),
     unary_waiting<unary_op>(Unary::kRoundToInteger), waiting<scale_op>(), library<unary_op>(Unary::kSine),
     library<unary_op>(Unary::kCosine)},
}};

/// DB E0 to E7, by rm: FNENI, FNDISI, FNCLEX, FNINIT, FNSETPM.
constexpr Row kDbE0 = {control<do_nothing>(), control<do_nothing>(), control<clear_exceptions_op>(),
                       control<initialize_op>(), control<do_nothing>()};

}  // namespace

Opcode memory_opcode(unsigned escape, unsigned reg) { return kMemory[escape & 7][reg & 7]; }

Opcode register_opcode(unsigned escape, unsigned reg, unsigned rm) {
  if (escape == 1 && reg >= 4) return kD9[reg & 3][rm & 7];
  if (escape == 3 && reg == 4) return kDbE0[rm & 7];
  return kRegister[escape & 7][reg & 7];
}

}  // namespace bhvm::x87
