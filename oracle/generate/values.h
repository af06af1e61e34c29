// Operand values: those at which arithmetic changes its mind, and random ones.
#pragma once

#include <span>

#include "base/types.h"
#include "oracle/generate/dice.h"

namespace bhvm::oracle {

/// How bytes are understood.
enum class ValueKind : u8 {
  kInteger,  // of any width
  kFloat32,
  kFloat64,
  kFloat80,
  kBcd,   // FBLD's ten bytes
  kText,  // small bytes and zeros, for PCMPxSTRx
};

/// A 64-bit pattern whose low 8, 16, 32 or 64 bits are a boundary of that width, or random.
u64 integer_value(Dice& dice);
u32 float32_value(Dice& dice);
u64 float64_value(Dice& dice);
/// Ten bytes; unnormals, pseudo-denormals, pseudo-infinities and pseudo-NaNs included.
void float80_value(Dice& dice, u8* bytes);

/// Fills with values of a kind.
void fill_values(Dice& dice, ValueKind kind, std::span<u8> bytes);
/// Fills with values that stand to those of `other` in a relation that matters: equal, next to, negated, near in size;
/// half of them are independent.
void fill_related(Dice& dice, ValueKind kind, std::span<const u8> other, std::span<u8> bytes);

}  // namespace bhvm::oracle
