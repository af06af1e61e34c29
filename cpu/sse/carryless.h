// PCLMULQDQ: carry-less multiplication (SDM 2).
#pragma once

#if defined(__PCLMUL__)
#include <wmmintrin.h>
#endif

#include "cpu/sse/vector.h"

namespace bhvm::sse::inline BHVM_SSE_HOST {

/// The product of two polynomials over GF(2), four bits of `b` at a time.
inline u128 carryless_multiply(u64 a, u64 b) {
  u128 multiples[16];
  multiples[0] = 0;
  multiples[1] = a;
  for (unsigned i = 2; i < 16; i += 2) {
    multiples[i] = multiples[i / 2] << 1;
    multiples[i + 1] = multiples[i] ^ a;
  }
  u128 product = 0;
  for (unsigned i = 0; i < 16; ++i) {
    product = (product << 4) ^ multiples[b >> 60];
    b <<= 4;
  }
  return product;
}

/// imm[0] and imm[4] pick the quadwords.
inline u64x2 carryless_multiply_quadwords(u64x2 a, u64x2 b, Imm imm) {
  const u64 first = a[imm.value & 1];
  const u64 second = b[(imm.value >> 4) & 1];
#if defined(__PCLMUL__)
  return as<u64x2>(_mm_clmulepi64_si128(as<__m128i>(u64x2{first, 0}), as<__m128i>(u64x2{second, 0}), 0));
#else
  return as<u64x2>(carryless_multiply(first, second));
#endif
}

}  // namespace bhvm::sse::inline BHVM_SSE_HOST
