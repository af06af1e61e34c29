// The integer instructions' steps (cpu/step.h): the most frequent ones that do not jump.
#pragma once

#include "base/planted_fault.h"
#include "cpu/integer/alu.h"
#include "cpu/integer/conditions.h"
#include "cpu/integer/multiply.h"
#include "cpu/integer/shift.h"
#include "cpu/integer/stack_access.h"
#include "cpu/step.h"

namespace bhvm::integer {

// A step that stores flags takes its destination before: the compiler does not know that they are no op.

/// The linear address of a memory operand that may have an index, or has none.
template <bool simple>
BHVM_INLINE u64 place_of(Cpu& cpu, const auto* op) {
  return simple ? address_of_base(cpu, op) : address_of(cpu, op);
}

template <class T>
struct MovRegReg {
  using Small = RegisterOp;
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    write_gpr<T>(cpu, op->dst, operand<T>(cpu, op->src));
    return true;
  }
};

template <class T>
struct MovRegImm {
  using Small = RegisterOp;
  static constexpr unsigned kImmediate = sizeof(T);
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    write_gpr<T>(cpu, op->dst, static_cast<T>(op->imm));
    return true;
  }
};

template <class T, bool simple>
struct MovRegMem {
  using Small = LoadOp;
  template <Through through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    T value;
    if (!load_by<through>(cpu, fast, place_of<simple>(cpu, op), value)) return false;
    write_gpr<T>(cpu, op->dst, value);
    return true;
  }
};

template <class T, bool simple>
struct MovMemReg {
  using Small = StoreOp;
  template <Through through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    return store_by<through>(cpu, fast, place_of<simple>(cpu, op), operand<T>(cpu, op->src));
  }
};

template <class T>
struct MovMemImm {
  using Small = StoreNumberOp;
  static constexpr unsigned kImmediate = sizeof(T);
  template <Through through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    return store_by<through>(cpu, fast, address_of(cpu, op), static_cast<T>(op->imm));
  }
};

/// From is the source's type (signed for sign extension), To the destination's.
template <class To, class From>
struct WidenReg {
  using Small = RegisterOp;
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    write_gpr<To>(cpu, op->dst, static_cast<To>(operand<From>(cpu, op->src)));
    return true;
  }
};

template <class To, class From>
struct WidenMem {
  using Small = LoadOp;
  template <Through through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    From value;
    if (!load_by<through>(cpu, fast, address_of(cpu, op), value)) return false;
    write_gpr<To>(cpu, op->dst, static_cast<To>(value));
    return true;
  }
};

template <class T>
struct Lea {
  using Small = LoadOp;
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    write_gpr<T>(cpu, op->dst, static_cast<T>(address_of(cpu, op)));
    return true;
  }
};

/// LEA r64 without an index.
struct LeaBase {
  using Small = LoadOp;
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    operand<u64>(cpu, op->dst) = address_of_base(cpu, op);
    return true;
  }
};

/// PUSH of a 64-bit register in 64-bit code.
struct Push64 {
  using Small = RegisterOp;
  template <Through through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    const u64 top = cpu.s.gpr[kRsp] - sizeof(u64);
    if (!store_by<through>(cpu, fast, top, operand<u64>(cpu, op->src))) return false;
    cpu.s.gpr[kRsp] = top;
    return true;
  }
};

/// POP of a 64-bit register in 64-bit code. Of POP RSP the value wins.
struct Pop64 {
  using Small = RegisterOp;
  template <Through through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    u64 value;
    const u64 top = cpu.s.gpr[kRsp];
    if (!load_by<through>(cpu, fast, top, value)) return false;
    cpu.s.gpr[kRsp] = top + sizeof(u64);
    operand<u64>(cpu, op->dst) = value;
    return true;
  }
};

/// `n` of Push64 behind each other, none of them of RSP, on one page. Through the fast TLB only: on a miss they are
/// done one by one.
template <unsigned n>
struct PushRun {
  using Small = RegisterOp;
  static constexpr unsigned kOps = n;
  using Single = Push64;
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, FastData fast, const auto* op) {
    const u64 top = cpu.s.gpr[kRsp];
    const u64 bottom = top - n * sizeof(u64);
    const FastEntry& entry = fast_entry(fast, bottom);
    if (BHVM_UNLIKELY(!in_page_of(fast, entry.write_tag, bottom, n * sizeof(u64)))) return false;
    const u64 host = bottom + entry.addend;
    for (unsigned i = 0; i < n; ++i) {
      const u64 value = operand<u64>(cpu, nth_in_row(op, i)->src);
      std::memcpy(reinterpret_cast<void*>(host + (n - 1 - i) * sizeof(u64)), &value, sizeof(u64));
    }
    cpu.s.gpr[kRsp] = bottom;
    return true;
  }
};

/// The same of Pop64.
template <unsigned n>
struct PopRun {
  using Small = RegisterOp;
  static constexpr unsigned kOps = n;
  using Single = Pop64;
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, FastData fast, const auto* op) {
    const u64 bottom = cpu.s.gpr[kRsp];
    const u64 top = bottom + n * sizeof(u64);
    const FastEntry& entry = fast_entry(fast, bottom);
    if (BHVM_UNLIKELY(!in_page_of(fast, entry.read_tag, bottom, n * sizeof(u64)))) return false;
    const u64 host = bottom + entry.addend;
    for (unsigned i = 0; i < n; ++i) {
      std::memcpy(&operand<u64>(cpu, nth_in_row(op, i)->dst), reinterpret_cast<const void*>(host + i * sizeof(u64)),
                  sizeof(u64));
    }
    cpu.s.gpr[kRsp] = top;
    return true;
  }
};

template <class Alu, class T, bool with_flags>
struct AluRegReg {
  using Small = RegisterOp;
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    const u16 dst = op->dst;
    const T r = Alu::template apply<T, with_flags>(operand<T>(cpu, dst), operand<T>(cpu, op->src), cpu.flags);
    if constexpr (Alu::kWrites) write_gpr<T>(cpu, dst, r);
    return true;
  }
};

template <class Alu, class T, bool with_flags>
struct AluRegImm {
  using Small = RegisterOp;
  static constexpr unsigned kImmediate = sizeof(T);
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    const u16 dst = op->dst;
    const T r = Alu::template apply<T, with_flags>(operand<T>(cpu, dst), static_cast<T>(op->imm), cpu.flags);
    if constexpr (Alu::kWrites) write_gpr<T>(cpu, dst, r);
    return true;
  }
};

template <class Alu, class T, bool with_flags>
struct AluRegMem {
  using Small = LoadOp;
  template <Through through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    const u16 dst = op->dst;
    T b;
    if (!load_by<through>(cpu, fast, address_of(cpu, op), b)) return false;
    const T r = Alu::template apply<T, with_flags>(operand<T>(cpu, dst), b, cpu.flags);
    if constexpr (Alu::kWrites) write_gpr<T>(cpu, dst, r);
    return true;
  }
};

/// memory = memory op register or immediate; CMP and TEST only read.
template <class Alu, class T, bool with_flags, bool immediate>
struct AluMem {
  using Small = std::conditional_t<immediate, StoreNumberOp, StoreOp>;
  static constexpr unsigned kImmediate = sizeof(T);
  template <Through through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    const u64 linear = address_of(cpu, op);
    T b;
    if constexpr (immediate) {
      b = static_cast<T>(op->imm);
    } else {
      b = operand<T>(cpu, op->src);
    }
    if constexpr (Alu::kWrites) {
      Update<T, through> update;
      if (!update.load(cpu, fast, linear)) return false;
      update.store(cpu, linear, Alu::template apply<T, with_flags>(update.value, b, cpu.flags));
    } else {
      T a;
      if (!load_by<through>(cpu, fast, linear, a)) return false;
      Alu::template apply<T, with_flags>(a, b, cpu.flags);
    }
    return true;
  }
};

/// INC, DEC, NEG, NOT.
template <class Alu, class T, bool with_flags>
struct OneReg {
  using Small = RegisterOp;
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    const u16 dst = op->dst;
    write_gpr<T>(cpu, dst, Alu::template apply<T, with_flags>(operand<T>(cpu, dst), cpu.flags));
    return true;
  }
};

/// By an immediate count that is masked and not zero.
template <class Shift, class T, bool with_flags>
struct ShiftRegImm {
  using Small = RegisterOp;
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    const u16 dst = op->dst;
    const auto count = static_cast<unsigned>(op->imm);
    write_gpr<T>(cpu, dst, Shift::template apply<T, with_flags>(operand<T>(cpu, dst), count, cpu.flags));
    return true;
  }
};

/// By the low byte of `src`.
template <class Shift, class T, bool with_flags>
struct ShiftRegCl {
  using Small = RegisterOp;
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    const u16 dst = op->dst;
    const unsigned count = static_cast<unsigned>(operand<u8>(cpu, op->src) & kCountMask<T>);
    const T a = operand<T>(cpu, dst);
    write_gpr<T>(cpu, dst, count == 0 ? a : Shift::template apply<T, with_flags>(a, count, cpu.flags));
    return true;
  }
};

template <class T, bool with_flags>
struct ImulRegReg {
  using Small = RegisterOp;
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    const u16 dst = op->dst;
    write_gpr<T>(cpu, dst, imul_truncated<T, with_flags>(operand<T>(cpu, dst), operand<T>(cpu, op->src), cpu.flags));
    return true;
  }
};

template <class T, bool with_flags>
struct ImulRegMem {
  using Small = LoadOp;
  template <Through through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    const u16 dst = op->dst;
    T b;
    if (!load_by<through>(cpu, fast, address_of(cpu, op), b)) return false;
    write_gpr<T>(cpu, dst, imul_truncated<T, with_flags>(operand<T>(cpu, dst), b, cpu.flags));
    return true;
  }
};

/// dst = src * imm
template <class T, bool with_flags>
struct ImulRegImm {
  using Small = RegisterOp;
  static constexpr unsigned kImmediate = sizeof(T);
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    const u16 dst = op->dst;
    write_gpr<T>(cpu, dst, imul_truncated<T, with_flags>(operand<T>(cpu, op->src), static_cast<T>(op->imm), cpu.flags));
    return true;
  }
};

template <Condition condition>
struct SetReg {
  using Small = RegisterOp;
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    operand<u8>(cpu, op->dst) = holds<condition>(cpu.flags) ? 1 : 0;
    return true;
  }
};

/// CMOVcc. A 32-bit destination is written (its upper half cleared) even when the condition fails.
template <Condition condition, class T>
struct MovRegRegIf {
  using Small = RegisterOp;
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    const T a = operand<T>(cpu, op->dst);
    const T b = operand<T>(cpu, op->src);
    if (planted(PlantedFault::kCmovUpperHalf) && sizeof(T) == 4 && !holds<condition>(cpu.flags)) return true;
    write_gpr<T>(cpu, op->dst, holds<condition>(cpu.flags) ? b : a);
    return true;
  }
};

/// The operand is read, and may fault, whatever the condition.
template <Condition condition, class T>
struct MovRegMemIf {
  using Small = LoadOp;
  template <Through through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    T b;
    if (!load_by<through>(cpu, fast, address_of(cpu, op), b)) return false;
    const T a = operand<T>(cpu, op->dst);
    write_gpr<T>(cpu, op->dst, holds<condition>(cpu.flags) ? b : a);
    return true;
  }
};

}  // namespace bhvm::integer
