#include "cpu/x87/instructions.h"
#include "cpu/x87/register_stack.h"
#include "cpu/x87/transcendental.h"

namespace bhvm::x87 {
namespace {

using namespace x87_status;

Result compute(Binary op, const Operand& destination, const Operand& source, Control control) {
  switch (op) {
    case Binary::kAdd:
      return add(destination, source, control);
    case Binary::kMultiply:
      return multiply(destination, source, control);
    case Binary::kSubtract:
      return subtract(destination, source, control);
    case Binary::kSubtractReverse:
      return subtract(source, destination, control);
    case Binary::kDivide:
      return divide(destination, source, control);
    case Binary::kDivideReverse:
      return divide(source, destination, control);
  }
  return invalid();
}

Operand operand_st(const X87State& x87, unsigned i) { return Operand::from_register(x87.st(i)); }

/// FXTRACT, FPTAN and FSINCOS replace ST(0) and push: both must be possible. False when they were not, with the masked
/// response given.
bool can_replace_and_push(X87State& x87) {
  const bool underflow = x87.empty(0);
  if (!underflow && !push_overflows(x87)) return true;
  if (underflow ? stack_underflow(x87) : stack_overflow(x87)) {
    write_st(x87, 0, float80::kIndefinite);
    push(x87, float80::kIndefinite);
  }
  return false;
}

/// Finite and too large: C2, and ST(0) stays.
bool refuses_angle(X87State& x87) {
  const bool refused = out_of_trigonometric_range(x87.st(0));
  set_condition(x87, kC2, refused);
  return refused;
}

/// Replaces ST(0) by one result and pushes another; both or neither.
void replace_and_push(X87State& x87, const Result& replaced, const Result& pushed) {
  set_condition(x87, kC1, pushed.rounded_up);
  if (!record(x87, static_cast<u16>(replaced.exceptions | pushed.exceptions))) return;
  write_st(x87, 0, replaced.value);
  push(x87, pushed.value);
}

}  // namespace

void binary_memory(X87State& x87, Binary op, const Operand& source) {
  if (x87.empty(0)) {
    if (stack_underflow(x87)) write_st(x87, 0, float80::kIndefinite);
    return;
  }
  deliver(x87, 0, compute(op, operand_st(x87, 0), source, Control{x87.control_word}));
}

void binary_register(X87State& x87, Binary op, unsigned destination, unsigned source, bool pops) {
  if (x87.empty(destination) || x87.empty(source)) {
    if (!stack_underflow(x87)) return;
    write_st(x87, destination, float80::kIndefinite);
  } else if (!deliver(x87, destination,
                      compute(op, operand_st(x87, destination), operand_st(x87, source), Control{x87.control_word}))) {
    return;
  }
  if (pops) pop(x87);
}

void unary(X87State& x87, Unary op) {
  const bool trigonometric = op == Unary::kSine || op == Unary::kCosine;
  if (x87.empty(0)) {
    if (trigonometric) set_condition(x87, kC2, false);
    if (stack_underflow(x87)) write_st(x87, 0, float80::kIndefinite);
    return;
  }
  if (trigonometric && refuses_angle(x87)) {
    set_condition(x87, kC1, false);
    return;
  }
  const Control control{x87.control_word};
  const Operand operand = operand_st(x87, 0);
  Result result;
  switch (op) {
    case Unary::kSquareRoot:
      result = square_root(operand, control);
      break;
    case Unary::kRoundToInteger:
      result = round_to_integer(operand, control);
      break;
    case Unary::kSine:
      result = sine(operand, control);
      break;
    case Unary::kCosine:
      result = cosine(operand, control);
      break;
    case Unary::kPowerMinusOne:
      result = power_minus_one(operand, control);
      break;
  }
  deliver(x87, 0, result);
}

void change_sign(X87State& x87) {
  if (x87.empty(0)) {
    if (stack_underflow(x87)) write_st(x87, 0, float80::kIndefinite);
    return;
  }
  deliver(x87, 0, {float80::negate(x87.st(0))});
}

void absolute_value(X87State& x87) {
  if (x87.empty(0)) {
    if (stack_underflow(x87)) write_st(x87, 0, float80::kIndefinite);
    return;
  }
  deliver(x87, 0, {float80::absolute(x87.st(0))});
}

void scale_instruction(X87State& x87) {
  if (x87.empty(0) || x87.empty(1)) {
    if (stack_underflow(x87)) write_st(x87, 0, float80::kIndefinite);
    return;
  }
  deliver(x87, 0, scale(operand_st(x87, 0), operand_st(x87, 1), Control{x87.control_word}));
}

void remainder_instruction(X87State& x87, bool nearest) {
  set_condition(x87, kC2, false);
  if (x87.empty(0) || x87.empty(1)) {
    if (stack_underflow(x87)) write_st(x87, 0, float80::kIndefinite);
    return;
  }
  const Remainder r = remainder(operand_st(x87, 0), operand_st(x87, 1), nearest, Control{x87.control_word});
  if (!deliver(x87, 0, r.result) || !r.has_quotient) return;
  set_condition(x87, kC2, r.partial);
  set_condition(x87, kC1, (r.quotient & 1) != 0);
  set_condition(x87, kC3, (r.quotient & 2) != 0);
  set_condition(x87, kC0, (r.quotient & 4) != 0);
}

void extract_instruction(X87State& x87) {
  if (!can_replace_and_push(x87)) return;
  const Extracted parts = extract(operand_st(x87, 0), Control{x87.control_word});
  replace_and_push(x87, {parts.exponent, parts.exceptions}, {parts.significand, parts.exceptions});
}

void sine_and_cosine(X87State& x87) {
  set_condition(x87, kC2, false);
  if (!can_replace_and_push(x87)) return;
  if (refuses_angle(x87)) {
    set_condition(x87, kC1, false);
    return;
  }
  const Operand angle = operand_st(x87, 0);
  const Control control{x87.control_word};
  replace_and_push(x87, sine(angle, control), cosine(angle, control));
}

void partial_tangent(X87State& x87) {
  set_condition(x87, kC2, false);
  if (!can_replace_and_push(x87)) return;
  if (refuses_angle(x87)) {
    set_condition(x87, kC1, false);
    return;
  }
  const Operand angle = operand_st(x87, 0);
  const Result result = tangent(angle, Control{x87.control_word});
  // A NaN is pushed too, so that a later division by ST(0) keeps it.
  const bool is_nan = needs_nan_rules(float80::classify(result.value));
  replace_and_push(x87, result, {is_nan ? result.value : float80::kOne, 0, result.rounded_up});
}

void two_operand(X87State& x87, TwoOperand op) {
  if (x87.empty(0) || x87.empty(1)) {
    if (!stack_underflow(x87)) return;
    write_st(x87, 1, float80::kIndefinite);
    pop(x87);
    return;
  }
  const Control control{x87.control_word};
  const Operand y = operand_st(x87, 1);
  const Operand x = operand_st(x87, 0);
  Result result;
  switch (op) {
    case TwoOperand::kArctangent:
      result = arctangent(y, x, control);
      break;
    case TwoOperand::kLogarithm:
      result = logarithm(y, x, control);
      break;
    case TwoOperand::kLogarithmPlusOne:
      result = logarithm_plus_one(y, x, control);
      break;
  }
  if (deliver(x87, 1, result)) pop(x87);
}

}  // namespace bhvm::x87
