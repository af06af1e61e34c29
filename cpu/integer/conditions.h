// The sixteen conditions of Jcc, SETcc and CMOVcc, in their encoding order (SDM 1, appendix B).
#pragma once

#include "cpu/flags.h"

namespace bhvm {

enum class Condition : u8 { kO, kNo, kB, kAe, kE, kNe, kBe, kA, kS, kNs, kP, kNp, kL, kGe, kLe, kG };
inline constexpr unsigned kConditions = 16;

template <Condition condition>
BHVM_INLINE bool holds(const LazyFlags& f) {
  switch (condition) {
    case Condition::kO:
      return f.of();
    case Condition::kNo:
      return !f.of();
    case Condition::kB:
      return f.cf();
    case Condition::kAe:
      return !f.cf();
    case Condition::kE:
      return f.zf();
    case Condition::kNe:
      return !f.zf();
    case Condition::kBe:
      return f.cf() || f.zf();
    case Condition::kA:
      return !(f.cf() || f.zf());
    case Condition::kS:
      return f.sf();
    case Condition::kNs:
      return !f.sf();
    case Condition::kP:
      return f.pf();
    case Condition::kNp:
      return !f.pf();
    case Condition::kL:
      return f.sf() != f.of();
    case Condition::kGe:
      return f.sf() == f.of();
    case Condition::kLe:
      return f.zf() || f.sf() != f.of();
    case Condition::kG:
      return !f.zf() && f.sf() == f.of();
  }
}

/// The same straight from the operands of a comparison (a - b), without flags.
template <Condition condition, class T>
BHVM_INLINE bool holds_after_compare(T a, T b) {
  using S = std::make_signed_t<T>;
  const T r = static_cast<T>(a - b);
  switch (condition) {
    case Condition::kB:
      return a < b;
    case Condition::kAe:
      return a >= b;
    case Condition::kE:
      return a == b;
    case Condition::kNe:
      return a != b;
    case Condition::kBe:
      return a <= b;
    case Condition::kA:
      return a > b;
    case Condition::kS:
      return static_cast<S>(r) < 0;
    case Condition::kNs:
      return static_cast<S>(r) >= 0;
    case Condition::kL:
      return static_cast<S>(a) < static_cast<S>(b);
    case Condition::kGe:
      return static_cast<S>(a) >= static_cast<S>(b);
    case Condition::kLe:
      return static_cast<S>(a) <= static_cast<S>(b);
    case Condition::kG:
      return static_cast<S>(a) > static_cast<S>(b);
    case Condition::kO:
      return static_cast<S>((a ^ b) & (a ^ r)) < 0;
    case Condition::kNo:
      return static_cast<S>((a ^ b) & (a ^ r)) >= 0;
    case Condition::kP:
      return (std::popcount(static_cast<u8>(r)) & 1) == 0;
    case Condition::kNp:
      return (std::popcount(static_cast<u8>(r)) & 1) != 0;
  }
}

/// The same straight from the result of a logical instruction (CF = OF = 0).
template <Condition condition, class T>
BHVM_INLINE bool holds_after_logic(T r) {
  const bool negative = static_cast<std::make_signed_t<T>>(r) < 0;
  switch (condition) {
    case Condition::kO:
    case Condition::kB:
      return false;
    case Condition::kNo:
    case Condition::kAe:
      return true;
    case Condition::kE:
    case Condition::kBe:
      return r == 0;
    case Condition::kNe:
    case Condition::kA:
      return r != 0;
    case Condition::kS:
    case Condition::kL:
      return negative;
    case Condition::kNs:
    case Condition::kGe:
      return !negative;
    case Condition::kP:
      return (std::popcount(static_cast<u8>(r)) & 1) == 0;
    case Condition::kNp:
      return (std::popcount(static_cast<u8>(r)) & 1) != 0;
    case Condition::kLe:
      return r == 0 || negative;
    case Condition::kG:
      return r != 0 && !negative;
  }
}

/// The flags a condition reads, as RFLAGS bits.
constexpr u16 flags_read_by(Condition condition) {
  using namespace rflags;
  constexpr u64 kBits[] = {kOf, kCf, kZf, kCf | kZf, kSf, kPf, kSf | kOf, kZf | kSf | kOf};
  return static_cast<u16>(kBits[static_cast<unsigned>(condition) / 2]);
}

}  // namespace bhvm
