// The six arithmetic flags, kept as the values they are computed from.
//
//   result   ZF is result == 0; SF is bit 63; PF is the parity of the low byte. Results narrower than 64 bits are sign-
//            extended.
//   aux      bit 63: carry out of the operand's top bit (CF); bit 62: carry into it (OF is bit 63 xor bit 62). AF is
//            where the producer has it for nothing, told by bits 0-1: at bit 35 or bit 3 (one of them is zero), at bit
//            51, at bit 59. Bit 20 inverts SF and bits 8-15 are xored into the parity byte: they are zero except when
//            flags are loaded as a whole (POPF, SAHF, IRET), where ZF, SF and PF need not fit one result.
//
// A sum of narrow operands is computed in 64 bits: a ^ b ^ sum then has the carry into each bit, the one out of the top
// among them, and a shift puts both where they belong.
//
// An instruction's producer is two stores; each flag is a few operations to read and needs no switch over what produced
// it.
#pragma once

#include <bit>
#include <type_traits>

#include "base/types.h"
#include "cpu/op.h"

namespace bhvm {

namespace rflags {
inline constexpr u64 kCf = 1 << 0;
inline constexpr u64 kFixed = 1 << 1;
inline constexpr u64 kPf = 1 << 2;
inline constexpr u64 kAf = 1 << 4;
inline constexpr u64 kZf = 1 << 6;
inline constexpr u64 kSf = 1 << 7;
inline constexpr u64 kTf = 1 << 8;
inline constexpr u64 kIf = 1 << 9;
inline constexpr u64 kDf = 1 << 10;
inline constexpr u64 kOf = 1 << 11;
inline constexpr u64 kIopl = 3 << 12;
inline constexpr u64 kNt = 1 << 14;
inline constexpr u64 kRf = 1 << 16;
inline constexpr u64 kVm = 1 << 17;
inline constexpr u64 kAc = 1 << 18;
inline constexpr u64 kVif = 1 << 19;
inline constexpr u64 kVip = 1 << 20;
inline constexpr u64 kId = 1 << 21;
inline constexpr u64 kArithmetic = kCf | kPf | kAf | kZf | kSf | kOf;
}  // namespace rflags

struct LazyFlags {
  static constexpr u64 kCarryOut = u64{1} << 63;
  static constexpr u64 kCarryIn = u64{1} << 62;
  static constexpr unsigned kInvertSignBit = 20;
  static constexpr u64 kAdjust = u64{1} << 3;
  static constexpr unsigned kParityShift = 8;
  /// Bits 0-1 of aux, by the width of a narrow sum in bytes.
  static constexpr u64 adjust_place(unsigned size) { return size == 4 ? 0 : size == 2 ? 1 : 2; }

  /// What aux has of the carries of 64 bits: kCarryOut, kCarryIn and kAdjust. In memory, because that is half as long
  /// in the host's instructions as a number of 64 bits.
  [[gnu::visibility("hidden")]] static const u64 kWideCarries;

  u64 result = 1;
  u64 aux = 0;

  BHVM_INLINE bool zf() const { return result == 0; }
  BHVM_INLINE bool sf() const { return static_cast<i64>(result ^ (aux << (63 - kInvertSignBit))) < 0; }
  BHVM_INLINE bool cf() const { return (aux >> 63) != 0; }
  BHVM_INLINE bool of() const { return static_cast<i64>(aux ^ (aux << 1)) < 0; }
  BHVM_INLINE bool af() const {
    constexpr u8 kAt[4] = {35, 51, 59, 3};
    const u64 place = aux & 3;
    return (((aux >> kAt[place]) | (place == 0 ? aux >> 3 : 0)) & 1) != 0;
  }
  BHVM_INLINE void clear_af() { set(value() & ~rflags::kAf); }
  BHVM_INLINE bool pf() const { return (std::popcount(static_cast<u8>(result ^ (aux >> kParityShift))) & 1) == 0; }

  /// The arithmetic bits of RFLAGS.
  u64 value() const {
    return (cf() ? rflags::kCf : 0) | (pf() ? rflags::kPf : 0) | (af() ? rflags::kAf : 0) | (zf() ? rflags::kZf : 0) |
           (sf() ? rflags::kSf : 0) | (of() ? rflags::kOf : 0);
  }

  /// Takes all six flags from an RFLAGS value.
  void set(u64 flags) {
    const bool cf = (flags & rflags::kCf) != 0;
    const bool of = (flags & rflags::kOf) != 0;
    const bool sf = (flags & rflags::kSf) != 0;
    const bool pf = (flags & rflags::kPf) != 0;
    result = (flags & rflags::kZf) != 0 ? 0 : 1;  // sign clear, parity odd for 1 and even for 0
    const bool parity_of_result = result == 0;
    aux = (cf ? kCarryOut : 0) | (cf != of ? kCarryIn : 0) | (u64{sf} << kInvertSignBit) |
          ((flags & rflags::kAf) != 0 ? kAdjust : 0) | (u64{pf != parity_of_result} << kParityShift);
  }

  /// After a logical instruction: CF = OF = 0, AF = 0.
  template <class T>
  BHVM_INLINE void set_logic(T value) {
    result = static_cast<u64>(static_cast<i64>(static_cast<std::make_signed_t<T>>(value)));
    aux = 0;
  }

  /// After an addition or subtraction of narrow operands, computed in 64 bits from operands zero-extended to 64 bits:
  /// `carries` is a ^ b ^ sum.
  template <class T>
  BHVM_INLINE void set_sum(T value, u64 carries) {
    static_assert(sizeof(T) < 8);
    constexpr unsigned kShift = 63 - 8 * sizeof(T);  // leaves zeroes in the low bits
    result = static_cast<u64>(static_cast<i64>(static_cast<std::make_signed_t<T>>(value)));
    aux = (carries << kShift) | adjust_place(sizeof(T));
  }

  /// The same for any width: `carries` has the carry (borrow) out of each bit.
  template <class T>
  BHVM_INLINE void set_carries(T value, T carries) {
    result = static_cast<u64>(static_cast<i64>(static_cast<std::make_signed_t<T>>(value)));
    if constexpr (sizeof(T) == 8) {
      aux = carries & kWideCarries;
      return;
    }
    aux = ((static_cast<u64>(carries) << (64 - 8 * sizeof(T))) & (kCarryOut | kCarryIn)) | (carries & kAdjust);
  }

  BHVM_INLINE void set_cf(bool cf) {  // OF stays
    const u64 of = (aux ^ (aux << 1)) & kCarryOut;
    aux = (aux & ~(kCarryOut | kCarryIn)) | (cf ? kCarryOut : 0) | (((cf ? kCarryOut : 0) ^ of) >> 1);
  }
  BHVM_INLINE void set_cf_of(bool cf, bool of) {
    aux = (aux & ~(kCarryOut | kCarryIn)) | (cf ? kCarryOut : 0) | (cf != of ? kCarryIn : 0);
  }
};

}  // namespace bhvm
