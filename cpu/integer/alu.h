// The meaning of the two-operand arithmetic and logical instructions.
//
// Each is a template over the operand type: apply() takes the operands and the flags before, returns the result and,
// when asked to, leaves the new flags.
#pragma once

#include "base/planted_fault.h"
#include "cpu/flags.h"

namespace bhvm::integer {

struct Add {
  static constexpr bool kWrites = true;
  static constexpr bool kReadsCarry = false;
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, T b, LazyFlags& f) {
    const T r = static_cast<T>(a + b);
    if constexpr (with_flags) f.set_carries<T>(r, static_cast<T>((a & b) | ((a | b) & ~r)));
    return r;
  }
};

struct Adc {
  static constexpr bool kWrites = true;
  static constexpr bool kReadsCarry = true;
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, T b, LazyFlags& f) {
    const T r = static_cast<T>(a + b + (f.cf() ? 1 : 0));
    if constexpr (with_flags) f.set_carries<T>(r, static_cast<T>((a & b) | ((a | b) & ~r)));
    if (planted(PlantedFault::kAdcByteAuxiliaryCarry) && sizeof(T) == 1 && (a & 15) + (b & 15) == 15) {
      f.aux &= ~LazyFlags::kAdjust;
    }
    return r;
  }
};

struct Sub {
  static constexpr bool kWrites = true;
  static constexpr bool kReadsCarry = false;
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, T b, LazyFlags& f) {
    const T r = static_cast<T>(a - b);
    if constexpr (with_flags) f.set_carries<T>(r, static_cast<T>((~a & b) | (~(a ^ b) & r)));
    return r;
  }
};

struct Sbb {
  static constexpr bool kWrites = true;
  static constexpr bool kReadsCarry = true;
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, T b, LazyFlags& f) {
    const T r = static_cast<T>(a - b - (f.cf() ? 1 : 0));
    if constexpr (with_flags) f.set_carries<T>(r, static_cast<T>((~a & b) | (~(a ^ b) & r)));
    return r;
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
    const T r = static_cast<T>(a + 1);
    if constexpr (with_flags) {
      const bool cf = f.cf();
      f.set_carries<T>(r, static_cast<T>(a & ~r));
      f.set_cf(cf);
    }
    return r;
  }
};

struct Dec {
  static constexpr u16 kFlagsWritten = static_cast<u16>(rflags::kArithmetic & ~rflags::kCf);
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, LazyFlags& f) {
    const T r = static_cast<T>(a - 1);
    if constexpr (with_flags) {
      const bool cf = f.cf();
      f.set_carries<T>(r, static_cast<T>(~a & r));
      f.set_cf(cf);
    }
    return r;
  }
};

struct Neg {
  static constexpr u16 kFlagsWritten = static_cast<u16>(rflags::kArithmetic);
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, LazyFlags& f) {
    const T r = static_cast<T>(0 - a);
    if constexpr (with_flags) f.set_carries<T>(r, static_cast<T>(a | r));
    return r;
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
