// PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM: comparing two strings in registers (SDM 1, 12.10; SDM 2, 4.1).
#pragma once

#include "cpu/sse/vector.h"

namespace bhvm::sse {

/// What all four instructions compute.
struct StringComparison {
  u32 bits = 0;           // IntRes2, one bit for each element of the second operand
  unsigned elements = 0;  // 8 or 16
  bool cf = false;        // IntRes2 is not zero
  bool zf = false;        // the second operand is shorter than a register
  bool sf = false;        // so is the first
  bool of = false;        // IntRes2[0]
};

/// Lengths in elements of PCMPISTRx: up to the first zero element.
struct StringLengths {
  unsigned a = 0;
  unsigned b = 0;
};
StringLengths implicit_lengths(u8x16 a, u8x16 b, Imm control);
/// Lengths of PCMPESTRx from EAX and EDX or RAX and RDX, sign-extended: the magnitude, at most a register full.
unsigned explicit_length(i64 value, Imm control);

/// `a` is the first operand, `b` the second.
StringComparison compare_strings(u8x16 a, u8x16 b, StringLengths lengths, Imm control);

/// ECX of PCMPxSTRI: the lowest (imm[6] = 0) or highest set bit's index, or the number of elements.
u32 string_index(const StringComparison& comparison, Imm control);
/// XMM0 of PCMPxSTRM: the bits, or elements of all ones where they are set (imm[6] = 1).
u64x2 string_mask(const StringComparison& comparison, Imm control);

}  // namespace bhvm::sse
