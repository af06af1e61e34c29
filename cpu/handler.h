// What every handler is made of: operands, addresses, leaving.
#pragma once

#include "cpu/cpu.h"
#include "cpu/memory.h"
#include "cpu/small_ops.h"

namespace bhvm {

/// Writes a general register: a 32-bit result clears the upper half, narrower ones leave it (SDM 1, 3.4.1.1).
template <class T>
BHVM_INLINE void write_gpr(Cpu& cpu, u16 offset, T value) {
  if constexpr (sizeof(T) == 4) {
    operand<u64>(cpu, offset) = value;
  } else {
    operand<T>(cpu, offset) = value;
  }
}

/// The linear address of the op's memory operand.
BHVM_INLINE u64 address_of(Cpu& cpu, const auto* op) {
  return operand<u64>(cpu, op->base) + (operand<u64>(cpu, op->index) << (op->scale & 63)) +
         static_cast<u64>(static_cast<i64>(op->disp));
}
/// The same where the builder made sure that there is no index.
BHVM_INLINE u64 address_of_base(Cpu& cpu, const auto* op) {
  return operand<u64>(cpu, op->base) + static_cast<u64>(static_cast<i64>(op->disp));
}

/// Leaves with `cpu.fault` set; the instruction has not executed.
BHVM_HANDLER(leave_fault);
/// The same of a small op.
BHVM_HANDLER(leave_fault_of_small);
template <class Kind>
inline constexpr Handler leave_fault_of = leave_fault_of_small;
template <>
inline constexpr Handler leave_fault_of<Op> = leave_fault;

/// In a handler: `if (!access) BHVM_FAULT;`
#define BHVM_FAULT BHVM_BECOME(leave_fault_of<OpType>)

/// In a handler with a parameter `through`: does the access `done`, or hands the op to the handler's kSlow twin, which
/// the rest names; there it leaves when the access faults.
#define BHVM_ACCESS(done, ...)                  \
  do {                                          \
    if (BHVM_UNLIKELY(!(done))) {               \
      if constexpr (through == Through::kTlb) { \
        BHVM_BECOME((__VA_ARGS__));             \
      } else {                                  \
        BHVM_FAULT;                             \
      }                                         \
    }                                           \
  } while (0)

}  // namespace bhvm
