// Handlers and ops of floating-point instructions.
//
// With all exceptions masked an instruction runs on the host's unit, which gathers the sticky flags. With any exception
// unmasked (mode::kSseExceptions) the checked handlers run: the software unit computes, and before anything is written
// an unmasked exception raises #XM, or #UD while CR4.OSXMMEXCPT is clear (SDM 1, 11.5.3).
#pragma once

#include "cpu/sse/forms.h"
#include "cpu/sse/host_unit.h"
#include "cpu/sse/soft_unit.h"

namespace bhvm::sse {

#if BHVM_HOST_SSE
template <bool checked>
using UnitFor = std::conditional_t<checked, SoftUnit, HostUnit>;
#else
template <bool checked>
using UnitFor = SoftUnit;
#endif

/// Sets an instruction's sticky flags. False, with #XM or #UD, when one is unmasked.
bool settle_exceptions(Cpu& cpu, u32 flags);

#if BHVM_HOST_SSE
BHVM_INLINE bool settle(Cpu&, const HostUnit&) { return true; }
#endif
BHVM_INLINE bool settle(Cpu& cpu, const SoftUnit& unit) {
  return unit.flags() == 0 || settle_exceptions(cpu, unit.flags());
}

/// The operands of a semantics: D is void when the destination is not read.
template <class D, class S, bool imm = false>
struct Operands {
  static constexpr bool kImmediate = imm;
  using Source = S;
  template <class F, class Unit>
  BHVM_INLINE static auto apply(Cpu& cpu, const auto* op, Unit& unit, const S& source) {
    if constexpr (std::is_void_v<D>) {
      if constexpr (imm) {
        return F::apply(unit, source, Imm{static_cast<u8>(op->imm)});
      } else {
        return F::apply(unit, source);
      }
    } else {
      if constexpr (imm) {
        return F::apply(unit, operand<D>(cpu, op->dst), source, Imm{static_cast<u8>(op->imm)});
      } else {
        return F::apply(unit, operand<D>(cpu, op->dst), source);
      }
    }
  }
};

/// destination = F(destination, source, ...). On the fast way with unmasked exceptions, one of them is found once more
/// on the slow way.
template <class F, class O, From from, Into into, bool checked>
struct ComputeFloat {
  using Small = SmallLoad<from, O::kImmediate>;
  template <Through through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    typename O::Source source;
    if (!read_operand<from, through>(cpu, fast, op, source)) return false;
    UnitFor<checked> unit(cpu);
    const auto result = O::template apply<F>(cpu, op, unit, source);
    if (!settle(cpu, unit)) return false;
    write_result<into>(cpu, op->dst, result);
    return true;
  }
};
template <class F, class O, From from, Into into, bool mmx, bool checked>
inline constexpr Handler compute_float = plain<
    std::conditional_t<mmx, WithMmx<ComputeFloat<F, O, from, into, checked>>, ComputeFloat<F, O, from, into, checked>>>;

struct FloatForms {
  Forms plain;
  Forms checked;
};

/// `mmx_reg` and `mmx_mem`: does the form name an MMX register?
template <class F, class O, Into into, bool mmx_reg, bool mmx_mem, bool checked>
inline constexpr Forms kFormsOfUnit{
    compute_float<F, O, From::kRegister, into, mmx_reg, checked>,
    compute_float<F, O, sizeof(typename O::Source) == 16 ? From::kAligned : From::kUnaligned, into, mmx_mem, checked>,
    mmx_reg || checked};
template <class F, class O, Into into = Into::kXmm, bool mmx_reg = false, bool mmx_mem = false>
inline constexpr FloatForms kFloatForms{kFormsOfUnit<F, O, into, mmx_reg, mmx_mem, false>,
                                        kFormsOfUnit<F, O, into, mmx_reg, mmx_mem, true>};

/// Emits the forms that the mode asks for.
bool emit_float_forms(BlockBuilder& block, const Instruction& insn, const FloatForms& forms);

/// destination = F(destination, source), both of type V.
template <class F, class V>
bool float_binary(BlockBuilder& block, const Instruction& insn) {
  return emit_float_forms(block, insn, kFloatForms<F, Operands<V, V>>);
}
template <class F, class V>
bool float_binary_imm(BlockBuilder& block, const Instruction& insn) {
  return emit_float_forms(block, insn, kFloatForms<F, Operands<V, V, true>>);
}
/// destination = F(source).
template <class F, class S, Into into = Into::kXmm>
bool float_unary(BlockBuilder& block, const Instruction& insn) {
  return emit_float_forms(block, insn, kFloatForms<F, Operands<void, S>, into>);
}
template <class F, class S>
bool float_unary_imm(BlockBuilder& block, const Instruction& insn) {
  return emit_float_forms(block, insn, kFloatForms<F, Operands<void, S, true>>);
}

}  // namespace bhvm::sse
