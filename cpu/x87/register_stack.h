// The register stack's moves and the ways an instruction ends: shared by the instructions_*.cpp.
#pragma once

#include "cpu/x87/rounding.h"
#include "cpu/x87/x87_state.h"

namespace bhvm::x87 {

/// IE with SF: a stack fault. C1 tells overflow (1) from underflow (0).
inline constexpr u16 kStackFaultFlags = x87_status::kIe | x87_status::kStackFault;
/// Exceptions whose unmasked response leaves destination and stack alone (SDM 1, 8.5).
inline constexpr u16 kStopping = x87_status::kIe | x87_status::kDe | x87_status::kZe;

inline void set_condition(X87State& x87, u16 which, bool value) {
  x87.status_word = static_cast<u16>(value ? x87.status_word | which : x87.status_word & ~which);
}

/// Records exception flags. True when the instruction may deliver its result.
inline bool record(X87State& x87, u16 flags) {
  x87.status_word = static_cast<u16>(x87.status_word | flags);
  x87.update_summary();
  return (flags & kStopping & ~x87.control_word) == 0;
}

inline void write_st(X87State& x87, unsigned i, const Float80& value) {
  const unsigned r = x87.physical(i);
  x87.regs[r] = value;
  x87.valid_mask = static_cast<u8>(x87.valid_mask | (1u << r));
}

inline void pop(X87State& x87) {
  x87.valid_mask = static_cast<u8>(x87.valid_mask & ~(1u << x87.top()));
  x87.set_top(x87.top() + 1);
}

inline void push(X87State& x87, const Float80& value) {
  x87.set_top(x87.top() - 1);
  write_st(x87, 0, value);
}

inline bool push_overflows(const X87State& x87) { return !x87.empty(7); }

/// A source is empty. True when masked: the caller writes the indefinite.
inline bool stack_underflow(X87State& x87) {
  set_condition(x87, x87_status::kC1, false);
  return record(x87, kStackFaultFlags);
}
/// The register to push into is not empty. True when masked.
inline bool stack_overflow(X87State& x87) {
  set_condition(x87, x87_status::kC1, true);
  return record(x87, kStackFaultFlags);
}

/// Sets C1, records the exceptions and writes ST(i) unless an unmasked exception forbids it. True when written.
inline bool deliver(X87State& x87, unsigned i, const Result& result) {
  set_condition(x87, x87_status::kC1, result.rounded_up);
  if (!record(x87, result.exceptions)) return false;
  write_st(x87, i, result.value);
  return true;
}

}  // namespace bhvm::x87
