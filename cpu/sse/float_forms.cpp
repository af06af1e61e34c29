#include "cpu/sse/float_forms.h"

#include "cpu/mode.h"

namespace bhvm::sse {
namespace {
constexpr u64 kCr4Osxmmexcpt = 1 << 10;
}

bool settle_exceptions(Cpu& cpu, u32 flags) {
  add_flags(cpu, flags);
  if ((flags & mxcsr::unmasked(cpu.s.mxcsr)) == 0) return true;
  return cpu.raise((cpu.s.cr4 & kCr4Osxmmexcpt) != 0 ? vector::kSimd : vector::kInvalidOpcode);
}

bool emit_float_forms(BlockBuilder& block, const Instruction& insn, const FloatForms& forms) {
  if (!sse_usable(block, insn)) return true;
  return emit_forms(block, insn, (insn.mode & mode::kSseExceptions) != 0 ? forms.checked : forms.plain);
}

}  // namespace bhvm::sse
