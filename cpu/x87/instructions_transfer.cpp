#include <array>

#include "cpu/x87/instructions.h"
#include "cpu/x87/register_stack.h"

namespace bhvm::x87 {
namespace {

using namespace x87_status;

/// A constant cut off at 64 bits, and whether rounding to nearest goes up (SDM 1, 8.3.5: the FPU holds 66 bits).
struct ConstantRow {
  Float80 truncated;
  bool exact;
  bool nearest_is_up;
};
constexpr std::array<ConstantRow, 7> kConstants = {{
    {float80::kOne, true, false},
    {{0xD49A784BCD1B8AFE, 0x4000}, false, false},  // log2(10)
    {{0xB8AA3B295C17F0BB, 0x3FFF}, false, true},   // log2(e)
    {{0xC90FDAA22168C234, 0x4000}, false, true},   // pi
    {{0x9A209A84FBCFF798, 0x3FFD}, false, true},   // log10(2)
    {{0xB17217F7D1CF79AB, 0x3FFE}, false, true},   // ln(2)
    {float80::kPositiveZero, true, false},
}};

void push_or_overflow(X87State& x87, const Float80& value) {
  if (push_overflows(x87)) {
    if (stack_overflow(x87)) push(x87, float80::kIndefinite);
    return;
  }
  set_condition(x87, kC1, false);
  push(x87, value);
}

StorePlan plan(const X87State& x87, u64 low, u16 high, u16 exceptions, bool rounded_up) {
  constexpr u16 kKeepsMemory = kIe | kOe | kUe;
  if ((exceptions & kKeepsMemory & ~x87.control_word) == 0) return {true, low, high, exceptions, rounded_up};
  return {false, low, high, static_cast<u16>(exceptions & ~kPe), false};  // nothing was rounded
}

}  // namespace

void load(X87State& x87, const Operand& operand, bool checked) {
  if (push_overflows(x87)) {
    if (stack_overflow(x87)) push(x87, float80::kIndefinite);
    return;
  }
  set_condition(x87, kC1, false);
  if (!checked) {
    push(x87, operand.value);
    return;
  }
  if (float80::is_nan(float80::classify(operand.value))) {
    const Result nan = propagate_nan(operand.value);
    if (record(x87, nan.exceptions)) push(x87, nan.value);
    return;
  }
  record(x87, operand.denormal ? kDe : u16{0});  // unmasked or not: the number is loaded
  push(x87, operand.value);
}

void load_register(X87State& x87, unsigned source) {
  if (x87.empty(source)) {
    if (stack_underflow(x87)) push(x87, float80::kIndefinite);
    return;
  }
  push_or_overflow(x87, x87.st(source));
}

void load_constant(X87State& x87, Constant constant) {
  const ConstantRow& row = kConstants[static_cast<unsigned>(constant)];
  const RoundingMode mode = Control{x87.control_word}.rounding();
  const bool up =
      !row.exact && (mode == RoundingMode::kUp || (mode == RoundingMode::kNearestEven && row.nearest_is_up));
  push_or_overflow(x87, {row.truncated.significand + (up ? 1 : 0), row.truncated.sign_exponent});
}

void store_register(X87State& x87, unsigned destination, bool pops) {
  if (x87.empty(0)) {
    if (!stack_underflow(x87)) return;
    write_st(x87, destination, float80::kIndefinite);
  } else {
    deliver(x87, destination, {x87.st(0)});
  }
  if (pops) pop(x87);
}

void store_register_quietly(X87State& x87, unsigned destination) {
  if (!x87.empty(0)) return store_register(x87, destination, true);
  set_condition(x87, kC1, false);
  pop(x87);
}

void exchange(X87State& x87, unsigned other) {
  if (x87.empty(0) || x87.empty(other)) {
    if (!stack_underflow(x87)) return;
    if (x87.empty(0)) write_st(x87, 0, float80::kIndefinite);
    if (x87.empty(other)) write_st(x87, other, float80::kIndefinite);
  }
  set_condition(x87, kC1, false);
  const Float80 top = x87.st(0);
  x87.st(0) = x87.st(other);
  x87.st(other) = top;
}

void conditional_move(X87State& x87, unsigned source, bool condition) {
  if (x87.empty(0) || x87.empty(source)) {
    if (stack_underflow(x87)) write_st(x87, 0, float80::kIndefinite);
    return;
  }
  if (condition) x87.st(0) = x87.st(source);
}

StorePlan plan_store_f32(const X87State& x87) {
  if (x87.empty(0)) return plan(x87, 0xFFC00000, 0, kStackFaultFlags, false);
  const Stored stored = to_f32(x87.st(0), Control{x87.control_word});
  return plan(x87, stored.bits, 0, stored.exceptions, stored.rounded_up);
}

StorePlan plan_store_f64(const X87State& x87) {
  if (x87.empty(0)) return plan(x87, 0xFFF8000000000000, 0, kStackFaultFlags, false);
  const Stored stored = to_f64(x87.st(0), Control{x87.control_word});
  return plan(x87, stored.bits, 0, stored.exceptions, stored.rounded_up);
}

StorePlan plan_store_f80(const X87State& x87) {
  if (x87.empty(0)) {
    return plan(x87, float80::kIndefinite.significand, float80::kIndefinite.sign_exponent, kStackFaultFlags, false);
  }
  return plan(x87, x87.st(0).significand, x87.st(0).sign_exponent, 0, false);
}

StorePlan plan_store_integer(const X87State& x87, unsigned width, bool truncate) {
  if (x87.empty(0)) return plan(x87, u64{1} << (width - 1), 0, kStackFaultFlags, false);
  const Stored stored = to_integer(x87.st(0), width, truncate, Control{x87.control_word});
  return plan(x87, stored.bits, 0, stored.exceptions, stored.rounded_up);
}

StorePlan plan_store_bcd(const X87State& x87) {
  if (x87.empty(0)) return plan(x87, 0xC000000000000000, 0xFFFF, kStackFaultFlags, false);
  const StoredBcd stored = to_bcd(x87.st(0), Control{x87.control_word});
  return plan(x87, stored.bcd.low, stored.bcd.high, stored.exceptions, stored.rounded_up);
}

void commit_store(X87State& x87, const StorePlan& plan, bool pops) {
  set_condition(x87, kC1, plan.rounded_up);
  record(x87, plan.flags);
  if (plan.write && pops) pop(x87);
}

}  // namespace bhvm::x87
