// The meaning of the two-operand arithmetic and logical instructions.
//
// Each is a template over the operand type: apply() takes the operands and the flags before, returns the result and,
// when asked to, leaves the new flags.
#pragma once

#include "base/planted_fault.h"
#include "cpu/flags.h"

namespace bhvm::integer {

/// a + b + carry
template <class T, bool with_flags>
BHVM_INLINE T sum(T a, T b, bool carry, LazyFlags& f) {
  if constexpr (!with_flags) return static_cast<T>(a + b + (carry ? 1 : 0));
  if constexpr (sizeof(T) == 8) {
    const T r = static_cast<T>(a + b + (carry ? 1 : 0));
    f.set_carries<T>(r, (a & b) | ((a | b) & ~r));
    return r;
  } else {
    const u64 wide = u64{a} + b + (carry ? 1 : 0);
    f.set_sum<T>(static_cast<T>(wide), u64{static_cast<T>(a ^ b)} ^ wide);
    return static_cast<T>(wide);
  }
}
/// a - b - borrow
template <class T, bool with_flags>
BHVM_INLINE T difference(T a, T b, bool borrow, LazyFlags& f) {
  if constexpr (!with_flags) return static_cast<T>(a - b - (borrow ? 1 : 0));
  if constexpr (sizeof(T) == 8) {
    const T r = static_cast<T>(a - b - (borrow ? 1 : 0));
    f.set_carries<T>(r, (~a & b) | (~(a ^ b) & r));
    return r;
  } else {
    const u64 wide = u64{a} - b - (borrow ? 1 : 0);
    f.set_sum<T>(static_cast<T>(wide), u64{static_cast<T>(a ^ b)} ^ wide);
    return static_cast<T>(wide);
  }
}

struct Add {
  static constexpr bool kWrites = true;
  static constexpr bool kReadsCarry = false;
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, T b, LazyFlags& f) {
    return sum<T, with_flags>(a, b, false, f);
  }
};

struct Adc {
  static constexpr bool kWrites = true;
  static constexpr bool kReadsCarry = true;
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, T b, LazyFlags& f) {
    const T r = sum<T, with_flags>(a, b, f.cf(), f);
    if (planted(PlantedFault::kAdcByteAuxiliaryCarry) && sizeof(T) == 1 && (a & 15) + (b & 15) == 15) {
      f.clear_af();
    }
    return r;
  }
};

struct Sub {
  static constexpr bool kWrites = true;
  static constexpr bool kReadsCarry = false;
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, T b, LazyFlags& f) {
    return difference<T, with_flags>(a, b, false, f);
  }
};

struct Sbb {
  static constexpr bool kWrites = true;
  static constexpr bool kReadsCarry = true;
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, T b, LazyFlags& f) {
    return difference<T, with_flags>(a, b, f.cf(), f);
  }
};

struct Cmp : Sub {
  static constexpr bool kWrites = false;
};

template <class Operation>
struct Logic {
  static constexpr bool kWrites = true;
  static constexpr bool kReadsCarry = false;
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, T b, LazyFlags& f) {
    const T r = Operation::template of<T>(a, b);
    if constexpr (with_flags) f.set_logic<T>(r);
    return r;
  }
};
struct AndOf {
  template <class T>
  BHVM_INLINE static T of(T a, T b) {
    return a & b;
  }
};
struct OrOf {
  template <class T>
  BHVM_INLINE static T of(T a, T b) {
    return a | b;
  }
};
struct XorOf {
  template <class T>
  BHVM_INLINE static T of(T a, T b) {
    return a ^ b;
  }
};
using And = Logic<AndOf>;
using Or = Logic<OrOf>;
using Xor = Logic<XorOf>;
struct Test : And {
  static constexpr bool kWrites = false;
};

// One operand.

struct Inc {
  static constexpr u16 kFlagsWritten = static_cast<u16>(rflags::kArithmetic & ~rflags::kCf);
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, LazyFlags& f) {
    const bool cf = f.cf();
    const T r = sum<T, with_flags>(a, 1, false, f);
    if constexpr (with_flags) f.set_cf(cf);
    return r;
  }
};

struct Dec {
  static constexpr u16 kFlagsWritten = static_cast<u16>(rflags::kArithmetic & ~rflags::kCf);
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, LazyFlags& f) {
    const bool cf = f.cf();
    const T r = difference<T, with_flags>(a, 1, false, f);
    if constexpr (with_flags) f.set_cf(cf);
    return r;
  }
};

struct Neg {
  static constexpr u16 kFlagsWritten = static_cast<u16>(rflags::kArithmetic);
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, LazyFlags& f) {
    return difference<T, with_flags>(0, a, false, f);
  }
};

struct Not {
  static constexpr u16 kFlagsWritten = 0;
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, LazyFlags&) {
    return static_cast<T>(~a);
  }
};

}  // namespace bhvm::integer
