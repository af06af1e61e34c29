// Conversions between registers and the memory formats of the x87 FPU: exact where they can be, rounded with flags
// where they cannot (SDM 1, 8.3.3 and 4.7; SDM 2, FLD, FST, FILD, FIST, FISTTP, FBLD, FBSTP).
#pragma once

#include <optional>

#include "cpu/x87/arithmetic.h"

namespace bhvm::x87 {

/// Widening is exact. A signalling NaN stays one; the instruction that uses the operand raises IE.
Operand from_f32(u32 bits);
Operand from_f64(u64 bits);
Float80 from_integer(i64 value);

/// A value on its way to memory. `bits` is what the masked instruction stores; with an unmasked IE, OE or UE among the
/// exceptions nothing is stored.
struct Stored {
  u64 bits = 0;
  u16 exceptions = 0;
  bool rounded_up = false;
};

Stored to_f32(const Float80& value, Control control);
Stored to_f64(const Float80& value, Control control);
/// FIST and FISTP (`truncate` false: by rounding control) and FISTTP (true), to `width` = 16, 32 or 64 bits. What does
/// not fit gives the integer indefinite, 1 followed by zeros, and IE.
Stored to_integer(const Float80& value, unsigned width, bool truncate, Control control);

/// Packed BCD: bytes 0 to 8 hold 18 digits, bit 7 of byte 9 the sign.
struct Bcd {
  u64 low = 0;   // bytes 0 to 7
  u16 high = 0;  // bytes 8 and 9
};
/// Digits above 9 count by their binary value.
Float80 from_bcd(const Bcd& bcd);
struct StoredBcd {
  Bcd bcd;
  u16 exceptions = 0;
  bool rounded_up = false;
};
StoredBcd to_bcd(const Float80& value, Control control);

}  // namespace bhvm::x87
