#include "cpu/sse/float_forms.h"

#include "cpu/mode.h"

namespace bhvm::sse {
namespace {
constexpr u64 kCr4Osxmmexcpt = 1 << 10;
}

bool settle_exceptions(Cpu& cpu, u32 before, bool tiny) {
  const u32 unmasked = ~(cpu.s.mxcsr >> mxcsr::kMaskShift) & mxcsr::kFlags;
  u32 raised = host_mxcsr() & mxcsr::kFlags;
  if (tiny) raised |= mxcsr::kUe & unmasked;
  // What is found before the computation stops it: there is no result then, and no flag about one.
  if ((raised & unmasked & mxcsr::kPreComputation) != 0) raised &= mxcsr::kPreComputation;
  set_host_mxcsr(before | raised);
  if ((raised & unmasked) == 0) return true;
  return cpu.raise((cpu.s.cr4 & kCr4Osxmmexcpt) != 0 ? vector::kSimd : vector::kInvalidOpcode);
}

const Forms& forms_for_mode(const FloatForms& forms, const Instruction& insn) {
  return (insn.mode & mode::kSseExceptions) != 0 ? forms.checked : forms.plain;
}

}  // namespace bhvm::sse
