#include "cpu/system/stack.h"

#include "cpu/address_ops.h"
#include "cpu/memory.h"

namespace bhvm {

namespace {

u64 mask_of(const SegmentState& ss) { return (ss.attributes & descriptor::kBig) != 0 ? 0xFFFFFFFF : 0xFFFF; }

/// The linear address of [pointer, pointer + size), checked.
bool locate(Cpu& cpu, const Stack& stack, u64 pointer, unsigned size, bool write, u64& linear) {
  linear = pointer;
  if (stack.flat) {
    return (cpu.is_canonical(pointer) && cpu.is_canonical(pointer + size - 1)) ||
           cpu.raise(vector::kStackFault, stack.error_code);
  }
  if (!segment_allows(stack.ss, pointer, size, write)) return cpu.raise(vector::kStackFault, stack.error_code);
  linear = static_cast<u32>(stack.ss.base + pointer);
  return true;
}

}  // namespace

Stack long_stack(u64 rsp, bool inner, u32 error_code) {
  return {.pointer = rsp, .mask = ~u64{0}, .flat = true, .inner = inner, .error_code = error_code};
}

Stack segment_stack(const SegmentState& ss, u64 pointer, bool inner, u32 error_code) {
  return {.ss = ss, .pointer = pointer, .mask = mask_of(ss), .flat = false, .inner = inner, .error_code = error_code};
}

Stack current_stack(const Cpu& cpu) {
  return cpu.code64() ? long_stack(cpu.s.gpr[kRsp], false, 0)
                      : segment_stack(cpu.s.segments[kSs], cpu.s.gpr[kRsp], false, 0);
}

void skip(Stack& stack, u64 bytes) {
  stack.pointer = (stack.pointer & ~stack.mask) | ((stack.pointer + bytes) & stack.mask);
}

bool pop_value(Cpu& cpu, Stack& stack, unsigned size, u64& value) {
  u64 linear = 0;
  if (!locate(cpu, stack, stack.pointer & stack.mask, size, false, linear)) return false;
  if (size == 8) {
    if (!load<u64>(cpu, linear, value)) return false;
  } else if (size == 4) {
    u32 v = 0;
    if (!load<u32>(cpu, linear, v)) return false;
    value = v;
  } else {
    u16 v = 0;
    if (!load<u16>(cpu, linear, v)) return false;
    value = v;
  }
  skip(stack, size);
  return true;
}

bool push_values(Cpu& cpu, Stack& stack, std::span<const u64> values, unsigned size) {
  const Privilege privilege = stack.inner ? Privilege::kSupervisor : Privilege::kCurrent;
  Stack at = stack;
  for (std::size_t i = 0; i < values.size(); ++i) {
    u64 linear = 0;
    skip(at, ~u64{0} - size + 1);
    if (!locate(cpu, at, at.pointer & at.mask, size, true, linear)) return false;
    if (!cpu.probe_write(linear, size, privilege)) return false;
  }
  for (const u64 value : values) {
    u64 linear = 0;
    skip(stack, ~u64{0} - size + 1);
    if (!locate(cpu, stack, stack.pointer & stack.mask, size, true, linear)) return false;
    if (!cpu.write_linear(linear, &value, size, privilege)) return false;
  }
  return true;
}

void commit_stack_pointer(Cpu& cpu, const Stack& stack) {
  u64& rsp = cpu.s.gpr[kRsp];
  if (stack.mask == 0xFFFF) {
    rsp = (rsp & ~u64{0xFFFF}) | (stack.pointer & 0xFFFF);
  } else {
    rsp = stack.pointer & stack.mask;
  }
}

}  // namespace bhvm
