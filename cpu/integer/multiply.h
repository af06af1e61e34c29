// The meaning of IMUL with two or three operands.
#pragma once

#include <type_traits>

#include "base/planted_fault.h"
#include "cpu/flags.h"
#include "cpu/op.h"

namespace bhvm::integer {

/// The low half of the product; CF and OF say whether the whole does not fit.
template <class T, bool with_flags>
BHVM_INLINE T imul_truncated(T a, T b, LazyFlags& f) {
  using S = std::make_signed_t<T>;
  S r;
  const bool overflow = __builtin_mul_overflow(static_cast<S>(a), static_cast<S>(b), &r) &&
                        !(planted(PlantedFault::kImulWordOverflow) && sizeof(T) == 2 && static_cast<u16>(r) == 0x8000);
  if constexpr (with_flags) {
    f.set_logic<T>(static_cast<T>(r));
    f.set_cf_of(overflow, overflow);
  }
  return static_cast<T>(r);
}

}  // namespace bhvm::integer
