// The transcendental instructions, correctly rounded at 64 bits in every rounding mode (SDM 1, 8.3.7 to 8.3.10; SDM 2,
// by mnemonic, for the tables of special operands).
//
// Hosts differ here in the last place; this machine's answer is the mathematical value rounded once, computed by MPFR.
// FSIN and kin reduce their angle by the processor's pi of 66 bits first (SDM 1, 8.3.8). Precision control does not
// apply. As on processors, PE is raised whenever a value was computed, exact or not, and UE whenever a computed value
// is denormal.
//
// Operands the SDM leaves undefined: F2XM1 outside [-1, 1] leaves ST(0) as it is, as does FYL2XP1 at or below -1;
// FYL2XP1 above its range is computed.
#pragma once

#include "cpu/x87/arithmetic.h"

namespace bhvm::x87 {

/// FSIN, FCOS and FPTAN answer nothing for finite operands of magnitude 2^63 and more: C2 is set instead.
bool out_of_trigonometric_range(const Float80& a);

Result sine(const Operand& a, Control control);
Result cosine(const Operand& a, Control control);
Result tangent(const Operand& a, Control control);
/// FPATAN: the angle of (x, y), y being ST(1) and x ST(0).
Result arctangent(const Operand& y, const Operand& x, Control control);
/// F2XM1: 2^a - 1.
Result power_minus_one(const Operand& a, Control control);
/// FYL2X: y * log2(x), y being ST(1) and x ST(0).
Result logarithm(const Operand& y, const Operand& x, Control control);
/// FYL2XP1: y * log2(x + 1).
Result logarithm_plus_one(const Operand& y, const Operand& x, Control control);

}  // namespace bhvm::x87
