// The meaning of the moves.
#pragma once

#include "cpu/sse/vector.h"

namespace bhvm::sse {

template <class T>
BHVM_INLINE T same(T value) {
  return value;
}
/// MOVD, MOVQ, and MOVSS and MOVSD from memory: the rest of the register becomes zero.
BHVM_INLINE u64x2 zero_extend_doubleword(u32 value) { return u64x2{value, 0}; }
BHVM_INLINE u64x2 zero_extend(u64 value) { return u64x2{value, 0}; }
BHVM_INLINE u64 zero_extend_mmx(u32 value) { return value; }

}  // namespace bhvm::sse
