// The stack as system instructions see it: values of the operand size, read or written as a group.
#pragma once

#include <span>

#include "cpu/cpu.h"

namespace bhvm {

/// A stack: the current one, or the one of a more privileged level that is being entered.
struct Stack {
  SegmentState ss;
  u64 pointer = 0;
  u64 mask = 0;        // of the stack pointer: 64, 32 or 16 bits
  bool flat = false;   // 64-bit mode: no segment
  bool inner = false;  // of a more privileged level
  u32 error_code = 0;  // of the #SS when the values do not fit
};

Stack current_stack(const Cpu& cpu);
/// A stack for 64-bit mode.
Stack long_stack(u64 rsp, bool inner, u32 error_code);
/// A stack through a segment (protected and compatibility mode).
Stack segment_stack(const SegmentState& ss, u64 pointer, bool inner, u32 error_code);

/// Pops one value of 2, 4 or 8 bytes; moves stack.pointer only.
bool pop_value(Cpu& cpu, Stack& stack, unsigned size, u64& value);
/// Pushes values of 2, 4 or 8 bytes, the first one first: all or nothing. Moves stack.pointer only.
bool push_values(Cpu& cpu, Stack& stack, std::span<const u64> values, unsigned size);
/// Adds to the pointer, within its mask.
void skip(Stack& stack, u64 bytes);

/// Writes the pointer to RSP, ESP or SP.
void commit_stack_pointer(Cpu& cpu, const Stack& stack);

}  // namespace bhvm
