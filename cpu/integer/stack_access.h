// The stack as PUSH, POP, CALL and RET see it: RSP in 64-bit code; ESP through SS elsewhere.
//
// Three shapes, chosen when a block is built: 64-bit; 32-bit with a flat SS; 32-bit with any other SS, checked at each
// access. Stack segments of 16 bits are not supported (the run loop stops on them).
#pragma once

#include "cpu/address_ops.h"
#include "cpu/handler.h"
#include "cpu/mode.h"

namespace bhvm::integer {

struct Stack64 {
  static constexpr bool kWide = true;
  BHVM_INLINE static u64 pointer(const Cpu& cpu, i64 delta) { return cpu.s.gpr[kRsp] + static_cast<u64>(delta); }
  BHVM_INLINE static void move(Cpu& cpu, i64 delta) { cpu.s.gpr[kRsp] += static_cast<u64>(delta); }
  /// Where RSP + delta points to; false with #SS.
  BHVM_INLINE static bool place(const Cpu& cpu, i64 delta, u64, bool, u64& linear) {
    linear = pointer(cpu, delta);
    return true;
  }
  template <class T>
  BHVM_INLINE static bool read(Cpu& cpu, i64 delta, T& value) {
    return load<T>(cpu, pointer(cpu, delta), value);
  }
  template <class T>
  BHVM_INLINE static bool write(Cpu& cpu, i64 delta, T value) {
    return store<T>(cpu, pointer(cpu, delta), value);
  }
  /// May T be written there? Faults as the write would.
  template <class T>
  BHVM_INLINE static bool probe_write(Cpu& cpu, i64 delta) {
    Update<T> update;
    return update.load(cpu, cpu.fast, pointer(cpu, delta));
  }
};

template <bool checked>
struct Stack32 {
  static constexpr bool kWide = false;
  BHVM_INLINE static u64 pointer(const Cpu& cpu, i64 delta) {
    return (cpu.s.gpr[kRsp] + static_cast<u64>(delta)) & 0xFFFFFFFF;
  }
  BHVM_INLINE static void move(Cpu& cpu, i64 delta) { cpu.s.gpr[kRsp] = pointer(cpu, delta); }
  BHVM_INLINE static bool place(Cpu& cpu, i64 delta, u64 size, bool write, u64& linear) {
    linear = pointer(cpu, delta);
    if constexpr (checked) {
      const SegmentState& ss = cpu.s.segments[kSs];
      if (!segment_allows(ss, linear, size, write)) return cpu.raise(vector::kStackFault);
      linear = (linear + ss.base) & 0xFFFFFFFF;
    }
    return true;
  }
  template <class T>
  BHVM_INLINE static bool read(Cpu& cpu, i64 delta, T& value) {
    u64 linear;
    return place(cpu, delta, sizeof(T), false, linear) && load<T>(cpu, linear, value);
  }
  template <class T>
  BHVM_INLINE static bool write(Cpu& cpu, i64 delta, T value) {
    u64 linear;
    return place(cpu, delta, sizeof(T), true, linear) && store<T>(cpu, linear, value);
  }
  template <class T>
  BHVM_INLINE static bool probe_write(Cpu& cpu, i64 delta) {
    u64 linear;
    Update<T> update;
    return place(cpu, delta, sizeof(T), true, linear) && update.load(cpu, cpu.fast, linear);
  }
};

/// For instructions with a memory operand of another segment (PUSH, POP, CALL m): a stack access that failed at a
/// non-canonical RSP is #SS, whatever the operand's own would be. The others say so by Op::kStackSegment.
[[gnu::cold, gnu::noinline]] inline void blame_stack(Cpu& cpu) {
  if (cpu.fault.non_canonical) cpu.fault.vector = vector::kStackFault;
}

/// 0, 1, 2: which of the three shapes a block of this mode has.
inline unsigned stack_shape(u32 mode) {
  if ((mode & mode::kCode64) != 0) return 0;
  return (mode & mode::kFlat) != 0 ? 1 : 2;
}

/// A handler template's three instances: handler<Stack64>, handler<Stack32<false>>, handler<Stack32<true>>.
#define BHVM_BY_STACK(name, ...) \
  {name<Stack64, __VA_ARGS__>, name<Stack32<false>, __VA_ARGS__>, name<Stack32<true>, __VA_ARGS__>}

}  // namespace bhvm::integer
