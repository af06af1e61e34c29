// From a semantics to handlers and ops.
//
// A semantics is a pure function over register values: R f(S), R f(D, S), either with a trailing Imm, or R f(D, S,
// Xmm0). D is read from the destination, S from the source (register or memory), and sizeof(R) bytes are written to the
// destination, so a scalar instruction that keeps the upper part of its destination simply returns the scalar.
// Compute<f, ...> is the step of one operand form, compute<f, ...> its handler.
//
// MMX instructions first raise a pending x87 exception, and mark all x87 registers valid once nothing can fault any
// more (SDM 1, 9.5.1, 9.6.2).
#pragma once

#include "cpu/block_builder.h"
#include "cpu/sse/vector.h"
#include "cpu/step.h"
#include "cpu/undefined.h"

namespace bhvm::sse {

/// Where a source operand comes from.
enum class From : u8 {
  kRegister,
  kAligned,    // memory; #GP(0) unless aligned to 16 bytes
  kUnaligned,  // memory
  kSimple,     // memory, unaligned, address without an index
  kSlow,       // memory, alignment already checked, not through the fast TLB
};
/// Where a result goes.
enum class Into : u8 { kXmm, kMmx, kGpr };

/// Raises #MF.
BHVM_HANDLER(raise_x87_exception);

template <class F>
struct Signature;
template <class R, class S>
struct Signature<R (*)(S)> {
  static constexpr bool kImmediate = false;
  using Result = R;
  using Source = S;
  template <R (*f)(S)>
  BHVM_INLINE static R apply(Cpu&, const auto*, const S& source) {
    return f(source);
  }
};
template <class R, class S>
struct Signature<R (*)(S, Imm)> {
  static constexpr bool kImmediate = true;
  using Result = R;
  using Source = S;
  template <R (*f)(S, Imm)>
  BHVM_INLINE static R apply(Cpu&, const auto* op, const S& source) {
    return f(source, Imm{static_cast<u8>(op->imm)});
  }
};
template <class R, class D, class S>
struct Signature<R (*)(D, S)> {
  static constexpr bool kImmediate = false;
  using Result = R;
  using Source = S;
  template <R (*f)(D, S)>
  BHVM_INLINE static R apply(Cpu& cpu, const auto* op, const S& source) {
    return f(operand<D>(cpu, op->dst), source);
  }
};
template <class R, class D, class S>
struct Signature<R (*)(D, S, Imm)> {
  static constexpr bool kImmediate = true;
  using Result = R;
  using Source = S;
  template <R (*f)(D, S, Imm)>
  BHVM_INLINE static R apply(Cpu& cpu, const auto* op, const S& source) {
    return f(operand<D>(cpu, op->dst), source, Imm{static_cast<u8>(op->imm)});
  }
};
template <class R, class D, class S>
struct Signature<R (*)(D, S, Xmm0)> {
  static constexpr bool kImmediate = false;
  using Result = R;
  using Source = S;
  template <R (*f)(D, S, Xmm0)>
  BHVM_INLINE static R apply(Cpu& cpu, const auto* op, const S& source) {
    return f(operand<D>(cpu, op->dst), source, Xmm0{as<u8x16>(cpu.s.xmm[0])});
  }
};

/// Writes a result; an MMX register's exponent field becomes all ones (SDM 1, 9.5.1).
template <Into into, class R>
BHVM_INLINE void write_result(Cpu& cpu, u16 offset, const R& result) {
  if constexpr (into == Into::kGpr) {
    write_gpr<R>(cpu, offset, result);
  } else if constexpr (into == Into::kMmx) {
    operand<Float80>(cpu, offset) = Float80{as<u64>(result), 0xFFFF};
  } else {
    operand<R>(cpu, offset) = result;
  }
}

BHVM_INLINE bool aligned_to_16(u64 linear) { return (linear & 15) == 0; }

/// In a handler: reads the source operand into `source`, or leaves. The rest names the handler's kSlow variant.
#define BHVM_SSE_SOURCE(from, source, ...)                                                              \
  do {                                                                                                  \
    if constexpr ((from) == From::kRegister) {                                                          \
      source = operand<decltype(source)>(cpu, op->src);                                                 \
    } else if constexpr ((from) == From::kSlow) {                                                       \
      if (!load_by<Through::kSlow>(cpu, fast, address_of(cpu, op), source)) BHVM_FAULT;                 \
    } else {                                                                                            \
      const u64 bhvm_linear = (from) == From::kSimple ? address_of_base(cpu, op) : address_of(cpu, op); \
      if constexpr ((from) == From::kAligned) {                                                         \
        if (BHVM_UNLIKELY(!aligned_to_16(bhvm_linear))) BHVM_BECOME(raise_general_protection);          \
      }                                                                                                 \
      if (!load_by<Through::kTlb>(cpu, fast, bhvm_linear, source)) BHVM_BECOME((__VA_ARGS__));          \
    }                                                                                                   \
  } while (0)

/// In a handler of an instruction with an MMX register: an x87 exception waits.
#define BHVM_MMX_CHECK                                                                  \
  do {                                                                                  \
    if (BHVM_UNLIKELY(cpu.s.x87.exception_pending())) BHVM_BECOME(raise_x87_exception); \
  } while (0)

/// Where a memory operand is: false when it must be aligned and is not, with #GP(0) raised on the slow way.
template <From from, Through through>
BHVM_INLINE bool place_operand(Cpu& cpu, const auto* op, u64& linear) {
  if constexpr (from == From::kSimple) {
    linear = address_of_base(cpu, op);
  } else {
    linear = address_of(cpu, op);
  }
  if (from != From::kAligned || BHVM_LIKELY(aligned_to_16(linear))) return true;
  return through == Through::kSlow && cpu.raise(vector::kGeneralProtection);
}

template <From from, Through through, class T>
BHVM_INLINE bool read_operand(Cpu& cpu, FastData fast, const auto* op, T& source) {
  if constexpr (from == From::kRegister) {
    source = operand<T>(cpu, op->src);
    return true;
  } else {
    u64 linear;
    return place_operand<from, through>(cpu, op, linear) && load_by<through>(cpu, fast, linear, source);
  }
}

/// The kind of small op for a source from there, and an immediate beside it or none: there is none for two numbers.
template <From from, bool immediate>
using SmallLoad = std::conditional_t<
    from == From::kRegister, RegisterOp,
    std::conditional_t<immediate, Op, std::conditional_t<from == From::kSimple, SimpleLoadOp, WideLoadOp>>>;

/// destination = f(destination, source, ...).
template <auto f, From from, Into into>
struct Compute {
  using Small = SmallLoad<from, Signature<decltype(f)>::kImmediate>;
  template <Through through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    using Of = Signature<decltype(f)>;
    typename Of::Source source;
    if (!read_operand<from, through>(cpu, fast, op, source)) return false;
    write_result<into>(cpu, op->dst, Of::template apply<f>(cpu, op, source));
    return true;
  }
};

/// memory = f(source register, ...); the register's offset is in op->src.
template <auto f, From into>
struct ComputeStore {
  using Small = std::conditional_t<Signature<decltype(f)>::kImmediate, Op,
                                   std::conditional_t<into == From::kSimple, SimpleStoreOp, WideStoreOp>>;
  template <Through through>
  BHVM_INLINE static bool run(Cpu& cpu, FastData fast, const auto* op) {
    using Of = Signature<decltype(f)>;
    u64 linear;
    return place_operand<into, through>(cpu, op, linear) &&
           store_by<through>(cpu, fast, linear,
                             Of::template apply<f>(cpu, op, operand<typename Of::Source>(cpu, op->src)));
  }
};

/// The same of instructions with an MMX register.
template <class Step>
struct WithMmx {
  using Small = Step::Small;
  template <Through through>
  BHVM_INLINE static bool run(Cpu& cpu, FastData fast, const auto* op) {
    if (BHVM_UNLIKELY(cpu.s.x87.exception_pending())) {
      return through == Through::kSlow && cpu.raise(vector::kX87);
    }
    if (!Step::template run<through>(cpu, fast, op)) return false;
    cpu.s.x87.enter_mmx();
    return true;
  }
};

template <auto f, From from, Into into, bool mmx>
inline constexpr Handler compute =
    plain<std::conditional_t<mmx, WithMmx<Compute<f, from, into>>, Compute<f, from, into>>>;
template <auto f, From into, bool mmx>
inline constexpr Handler compute_store =
    plain<std::conditional_t<mmx, WithMmx<ComputeStore<f, into>>, ComputeStore<f, into>>>;

/// The handlers of an instruction with a destination register.
struct Forms {
  Handler reg = nullptr;
  Handler mem = nullptr;
  bool reg_can_fault = false;
};

template <auto f>
inline constexpr From kMemoryOf =
    sizeof(typename Signature<decltype(f)>::Source) == 16 ? From::kAligned : From::kUnaligned;

/// Forms with XMM registers, or XMM to a general register.
template <auto f, Into into = Into::kXmm, From memory = kMemoryOf<f>>
inline constexpr Forms kXmmForms{compute<f, From::kRegister, into, false>, compute<f, memory, into, false>, false};
/// Forms that name an MMX register.
template <auto f, Into into = Into::kMmx>
inline constexpr Forms kMmxForms{compute<f, From::kRegister, into, true>, compute<f, kMemoryOf<f>, into, true>, true};

bool is_mmx(const ZydisDecodedOperand& operand);
bool is_xmm(const ZydisDecodedOperand& operand);
bool is_gpr(const ZydisDecodedOperand& operand);

/// Is the unit there? If not, emits the op that raises #UD or #NM (SDM 3, 2.5 and table 13-1) and ends the block.
bool mmx_usable(BlockBuilder& block, const Instruction& insn);
bool sse_usable(BlockBuilder& block, const Instruction& insn);

/// Emits `forms` for an instruction "dst, src[, imm]" or "dst, imm"; the unit has been found usable.
bool emit_forms(BlockBuilder& block, const Instruction& insn, const Forms& forms);

struct Row {
  ZydisMnemonic mnemonic;
  Translator translator;
};

/// An instruction with XMM operands only.
template <auto f>
bool xmm_instruction(BlockBuilder& block, const Instruction& insn) {
  return !sse_usable(block, insn) || emit_forms(block, insn, kXmmForms<f>);
}
/// An instruction that exists for XMM and for MMX registers.
template <auto xmm, auto mmx>
bool both_instruction(BlockBuilder& block, const Instruction& insn) {
  if (is_mmx(insn.operand(0))) return !mmx_usable(block, insn) || emit_forms(block, insn, kMmxForms<mmx>);
  return xmm_instruction<xmm>(block, insn);
}

}  // namespace bhvm::sse
