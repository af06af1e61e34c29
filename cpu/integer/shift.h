// The meaning of the shifts and rotates.
//
// Undefined flags are defined here once: AF is cleared by shifts, OF follows the one-bit rule for every count, CF of an
// 8- or 16-bit shift by more than its width is what the bits that fell out last say (0 for unsigned).
#pragma once

#include <bit>

#include "base/planted_fault.h"
#include "cpu/flags.h"

namespace bhvm::integer {

template <class T>
inline constexpr unsigned kBits = 8 * sizeof(T);
template <class T>
inline constexpr u64 kCountMask = sizeof(T) == 8 ? 63 : 31;
template <class T>
BHVM_INLINE bool top_bit(T value) {
  return (value >> (kBits<T> - 1)) != 0;
}

// Each takes a count that is masked and not zero.

struct Shl {
  static constexpr u16 kReads = 0;
  static constexpr u16 kWrites = static_cast<u16>(rflags::kArithmetic);
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, unsigned count, LazyFlags& f) {
    const u64 before_last = static_cast<u64>(a) << (count - 1);
    const T r = static_cast<T>(before_last << 1);
    if constexpr (with_flags) {
      const bool cf = top_bit<T>(static_cast<T>(before_last));
      f.set_logic<T>(r);
      f.set_cf_of(cf, cf != top_bit<T>(r));
      if (planted(PlantedFault::kShlWordOverflow) && sizeof(T) == 2 && count == 1 && !cf) f.set_cf_of(cf, false);
    }
    return r;
  }
};

struct Shr {
  static constexpr u16 kReads = 0;
  static constexpr u16 kWrites = static_cast<u16>(rflags::kArithmetic);
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, unsigned count, LazyFlags& f) {
    const u64 before_last = static_cast<u64>(a) >> (count - 1);
    const T r = static_cast<T>(before_last >> 1);
    if constexpr (with_flags) {
      f.set_logic<T>(r);
      f.set_cf_of((before_last & 1) != 0, top_bit<T>(static_cast<T>(before_last)) != top_bit<T>(r));
    }
    return r;
  }
};

struct Sar {
  static constexpr u16 kReads = 0;
  static constexpr u16 kWrites = static_cast<u16>(rflags::kArithmetic);
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, unsigned count, LazyFlags& f) {
    const i64 before_last = static_cast<i64>(static_cast<std::make_signed_t<T>>(a)) >> (count - 1);
    const T r = static_cast<T>(before_last >> 1);
    if constexpr (with_flags) {
      f.set_logic<T>(r);
      f.set_cf_of((before_last & 1) != 0, false);
    }
    return r;
  }
};

struct Rol {
  static constexpr u16 kReads = 0;
  static constexpr u16 kWrites = static_cast<u16>(rflags::kCf | rflags::kOf);
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, unsigned count, LazyFlags& f) {
    const T r = std::rotl(a, static_cast<int>(count % kBits<T>));
    if constexpr (with_flags) f.set_cf_of((r & 1) != 0, top_bit<T>(r) != ((r & 1) != 0));
    return r;
  }
};

struct Ror {
  static constexpr u16 kReads = 0;
  static constexpr u16 kWrites = static_cast<u16>(rflags::kCf | rflags::kOf);
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, unsigned count, LazyFlags& f) {
    const T r = std::rotr(a, static_cast<int>(count % kBits<T>));
    if constexpr (with_flags) f.set_cf_of(top_bit<T>(r), top_bit<T>(r) != top_bit<T>(static_cast<T>(r << 1)));
    return r;
  }
};

struct Rcl {
  static constexpr u16 kReads = static_cast<u16>(rflags::kCf | rflags::kOf);
  static constexpr u16 kWrites = static_cast<u16>(rflags::kCf | rflags::kOf);
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, unsigned count, LazyFlags& f) {
    const bool byte_wraps = planted(PlantedFault::kRclByteCount) && sizeof(T) == 1 && count == 9;
    const unsigned steps = byte_wraps ? 1 : count % (kBits<T> + 1);
    if (steps == 0) return a;
    // The rotated quantity is CF : a, one bit wider than the operand.
    const u128 wide = (static_cast<u128>(f.cf() ? 1 : 0) << kBits<T>) | a;
    const u128 turned = (wide << steps) | (wide >> (kBits<T> + 1 - steps));
    const T r = static_cast<T>(turned);
    const bool cf = ((turned >> kBits<T>)&1) != 0;
    f.set_cf_of(cf, top_bit<T>(r) != cf);
    return r;
  }
};

struct Rcr {
  static constexpr u16 kReads = static_cast<u16>(rflags::kCf | rflags::kOf);
  static constexpr u16 kWrites = static_cast<u16>(rflags::kCf | rflags::kOf);
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, unsigned count, LazyFlags& f) {
    const unsigned steps = count % (kBits<T> + 1);
    if (steps == 0) return a;
    const u128 wide = (static_cast<u128>(f.cf() ? 1 : 0) << kBits<T>) | a;
    const u128 turned = (wide >> steps) | (wide << (kBits<T> + 1 - steps));
    const T r = static_cast<T>(turned);
    f.set_cf_of(((turned >> kBits<T>)&1) != 0, top_bit<T>(r) != top_bit<T>(static_cast<T>(r << 1)));
    return r;
  }
};

}  // namespace bhvm::integer
