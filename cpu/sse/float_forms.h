// Handlers and ops of floating-point instructions.
//
// With all exceptions masked an instruction is its semantics and nothing else: the host gathers the sticky flags. With
// any exception unmasked (mode::kSseExceptions) the checked handlers run instead: they look at the flags of this one
// instruction before anything is written and raise #XM, or #UD while CR4.OSXMMEXCPT is clear (SDM 1, 11.5.3).
#pragma once

#include "cpu/sse/forms.h"
#include "cpu/sse/host_fp.h"

namespace bhvm::sse {

/// After an instruction that ran with clear flags: adds them to `before`, MXCSR as it was. `tiny` says that a result
/// is denormal, which is an underflow when that is unmasked, exact or not. False with #XM or #UD.
bool settle_exceptions(Cpu& cpu, u32 before, bool tiny);

/// Is any lane of a result a denormal number? Lane is u32 or u64, or void for instructions that do not underflow.
template <class Lane, class R>
BHVM_INLINE bool has_denormal(const R& result) {
  if constexpr (std::is_void_v<Lane>) {
    return false;
  } else {
    constexpr unsigned kFractionBits = sizeof(Lane) == 4 ? 23 : 52;
    constexpr Lane kFraction = (Lane{1} << kFractionBits) - 1;
    constexpr Lane kMagnitude = static_cast<Lane>(~Lane{0} >> 1);
    Lane lanes[sizeof(R) / sizeof(Lane)];
    std::memcpy(lanes, &result, sizeof(R));
    bool found = false;
    for (const Lane lane : lanes) {
      const Lane magnitude = lane & kMagnitude;
      found = found || (magnitude != 0 && magnitude <= kFraction);
    }
    return found;
  }
}

/// compute<> with the exceptions looked at.
template <auto f, From from, Into into, bool mmx, class Tiny>
BHVM_HANDLER(compute_checked) {
  using Of = Signature<decltype(f)>;
  if constexpr (mmx) BHVM_MMX_CHECK;
  typename Of::Source source;
  BHVM_SSE_SOURCE(from, source);
  const u32 before = host_mxcsr();
  set_host_mxcsr(before & ~mxcsr::kFlags);
  const auto result = Of::template apply<f>(cpu, op, source);
  if (!settle_exceptions(cpu, before, has_denormal<Tiny>(result))) BHVM_FAULT;
  if constexpr (mmx) cpu.s.x87.enter_mmx();
  write_result<into>(cpu, op->dst, result);
  BHVM_NEXT;
}

struct FloatForms {
  Forms plain;
  Forms checked;
};

/// `Tiny` is the lane type of results that may underflow.
template <auto f, class Tiny = void, Into into = Into::kXmm, From memory = kMemoryOf<f>>
inline constexpr FloatForms kFloatForms{
    {compute<f, From::kRegister, into, false>, compute<f, memory, into, false>, false},
    {compute_checked<f, From::kRegister, into, false, Tiny>, compute_checked<f, memory, into, false, Tiny>, true}};

/// The forms that the mode asks for.
const Forms& forms_for_mode(const FloatForms& forms, const Instruction& insn);

template <auto f, class Tiny = void, Into into = Into::kXmm>
bool float_instruction(BlockBuilder& block, const Instruction& insn) {
  return !sse_usable(block, insn) || emit_forms(block, insn, forms_for_mode(kFloatForms<f, Tiny, into>, insn));
}

}  // namespace bhvm::sse
