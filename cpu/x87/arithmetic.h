// The arithmetic of the x87 FPU on register values: exact integer code, rounded once (SDM 1, 8.3; SDM 2, by mnemonic).
//
// Pure functions of operands and control word. `Result::exceptions` lists what the operation raises; when one of IE, DE
// or ZE among them is unmasked the value is meaningless and the caller must leave the destination alone. Precision
// control applies to add, sub, mul, div and sqrt only.
#pragma once

#include "cpu/x87/rounding.h"

namespace bhvm::x87 {

/// A source operand. One from memory may have been a denormal in its own format and be normal here.
struct Operand {
  Float80 value;
  bool denormal = false;

  static constexpr Operand from_register(const Float80& value) {
    return {value, float80::is_denormal(float80::classify(value))};
  }
};

Result add(const Operand& a, const Operand& b, Control control);
Result subtract(const Operand& a, const Operand& b, Control control);  // a - b
Result multiply(const Operand& a, const Operand& b, Control control);
Result divide(const Operand& a, const Operand& b, Control control);  // a / b
Result square_root(const Operand& a, Control control);

/// FRNDINT.
Result round_to_integer(const Operand& a, Control control);
/// FSCALE: a * 2^trunc(b).
Result scale(const Operand& a, const Operand& b, Control control);

/// FXTRACT: `significand` replaces ST(0) by the exponent and is pushed after it.
struct Extracted {
  Float80 exponent;
  Float80 significand;
  u16 exceptions = 0;
};
Extracted extract(const Operand& a, Control control);

/// FPREM (`nearest` false) and FPREM1 (true). `quotient` has the low three bits of the quotient when complete.
struct Remainder {
  Result result;
  bool has_quotient = false;  // false for NaNs and invalid operands: C3 and C0 stay as they were
  u8 quotient = 0;
  bool partial = false;  // C2
};
Remainder remainder(const Operand& a, const Operand& b, bool nearest, Control control);

enum class Order : u8 { kGreater, kLess, kEqual, kUnordered };
struct Comparison {
  Order order = Order::kUnordered;
  u16 exceptions = 0;
};
/// FCOM and kin; `quiet` for FUCOM and kin, which accept QNaNs.
Comparison compare(const Operand& a, const Operand& b, bool quiet);

/// The result for operands of which at least one is a NaN or unsupported (SDM 1, 4.8.3.5 and table 4-7).
Result propagate_nan(const Float80& a, const Float80& b);
Result propagate_nan(const Float80& a);
constexpr bool needs_nan_rules(Float80Class c) { return float80::is_nan(c) || c == Float80Class::kUnsupported; }
Result invalid();

}  // namespace bhvm::x87
