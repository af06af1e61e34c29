#include "cpu/x87/instructions.h"
#include "cpu/x87/register_stack.h"

namespace bhvm::x87 {
namespace {

using namespace x87_status;

/// C3, C2 and C0 by order (SDM 1, table 8-6).
u16 condition_codes(Order order) {
  switch (order) {
    case Order::kGreater:
      return 0;
    case Order::kLess:
      return kC0;
    case Order::kEqual:
      return kC3;
    case Order::kUnordered:
      return kC3 | kC2 | kC0;
  }
  return 0;
}

void set_order(X87State& x87, Order order) {
  x87.status_word = static_cast<u16>((x87.status_word & ~(kC3 | kC2 | kC0)) | condition_codes(order));
}

/// C1 is cleared and the condition codes are set even when an unmasked exception keeps the operands.
void finish(X87State& x87, const Comparison& comparison, unsigned pops) {
  set_condition(x87, kC1, false);
  const bool completes = record(x87, comparison.exceptions);
  set_order(x87, comparison.order);
  if (!completes) return;
  for (unsigned i = 0; i < pops; ++i) pop(x87);
}

constexpr Comparison kStackUnderflow{Order::kUnordered, kStackFaultFlags};

}  // namespace

void compare_memory(X87State& x87, const Operand& source, unsigned pops) {
  finish(x87, x87.empty(0) ? kStackUnderflow : compare(Operand::from_register(x87.st(0)), source, false), pops);
}

void compare_register(X87State& x87, unsigned source, bool quiet, unsigned pops) {
  const bool underflow = x87.empty(0) || x87.empty(source);
  finish(x87,
         underflow ? kStackUnderflow
                   : compare(Operand::from_register(x87.st(0)), Operand::from_register(x87.st(source)), quiet),
         pops);
}

void test(X87State& x87) { compare_memory(x87, {float80::kPositiveZero}, 0); }

void examine(X87State& x87) {
  const Float80& value = x87.st(0);
  set_condition(x87, kConditions, false);
  set_condition(x87, kC1, value.sign());
  u16 codes = 0;
  if (x87.empty(0)) {
    codes = kC3 | kC0;
  } else {
    switch (float80::classify(value)) {
      case Float80Class::kUnsupported:
        codes = 0;
        break;
      case Float80Class::kSignalingNan:
      case Float80Class::kQuietNan:
        codes = kC0;
        break;
      case Float80Class::kNormal:
        codes = kC2;
        break;
      case Float80Class::kInfinity:
        codes = kC2 | kC0;
        break;
      case Float80Class::kZero:
        codes = kC3;
        break;
      case Float80Class::kDenormal:
      case Float80Class::kPseudoDenormal:
        codes = kC3 | kC2;
        break;
    }
  }
  set_condition(x87, codes, true);
}

Order compare_to_flags(X87State& x87, unsigned source, bool quiet, bool pops) {
  const bool underflow = x87.empty(0) || x87.empty(source);
  const Comparison comparison =
      underflow ? kStackUnderflow
                : compare(Operand::from_register(x87.st(0)), Operand::from_register(x87.st(source)), quiet);
  if (underflow) set_condition(x87, kC1, false);
  if (record(x87, comparison.exceptions) && pops) pop(x87);
  return comparison.order;
}

}  // namespace bhvm::x87
