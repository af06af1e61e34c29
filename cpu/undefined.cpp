#include "cpu/undefined.h"

#include <algorithm>
#include <iterator>

namespace bhvm {
namespace {

BHVM_HANDLER(stop_unsupported) {
  cpu.unsupported("the guest ran an instruction that CPUID claims and bhvm does not have");
  BHVM_FAULT;
}

/// The instruction-set extensions that CPUID claims; anything else is #UD as on a processor without it.
constexpr ZydisISAExt kClaimed[] = {
    ZYDIS_ISA_EXT_BASE,  ZYDIS_ISA_EXT_X87,    ZYDIS_ISA_EXT_MMX,      ZYDIS_ISA_EXT_SSE,      ZYDIS_ISA_EXT_SSE2,
    ZYDIS_ISA_EXT_SSE3,  ZYDIS_ISA_EXT_SSSE3,  ZYDIS_ISA_EXT_SSE4,     ZYDIS_ISA_EXT_AES,      ZYDIS_ISA_EXT_PCLMULQDQ,
    ZYDIS_ISA_EXT_MOVBE, ZYDIS_ISA_EXT_RDRAND, ZYDIS_ISA_EXT_RDSEED,   ZYDIS_ISA_EXT_RDTSCP,   ZYDIS_ISA_EXT_RDWRFSGS,
    ZYDIS_ISA_EXT_SMAP,  ZYDIS_ISA_EXT_XSAVE,  ZYDIS_ISA_EXT_XSAVEOPT, ZYDIS_ISA_EXT_LONGMODE, ZYDIS_ISA_EXT_CLFSH,
    ZYDIS_ISA_EXT_PAUSE,
};

}  // namespace

BHVM_HANDLER(raise_invalid_opcode) {
  cpu.raise(vector::kInvalidOpcode);
  BHVM_FAULT;
}

BHVM_HANDLER(raise_general_protection) {
  cpu.raise(vector::kGeneralProtection);
  BHVM_FAULT;
}

BHVM_HANDLER(raise_device_not_available) {
  cpu.raise(vector::kDeviceNotAvailable);
  BHVM_FAULT;
}

bool emit_invalid_opcode(BlockBuilder& block) {
  block.emit(raise_invalid_opcode);
  block.end();
  return true;
}

void emit_undecodable(BlockBuilder& block, bool too_long) {
  block.emit(too_long ? raise_general_protection : raise_invalid_opcode);
  block.end();
}

void emit_missing(BlockBuilder& block, const Instruction& insn) {
  const bool claimed = std::find(std::begin(kClaimed), std::end(kClaimed), insn.z.meta.isa_ext) != std::end(kClaimed);
  const bool known_missing = translators().find(insn.z.mnemonic) == nullptr && claimed;
  block.emit(known_missing ? stop_unsupported : raise_invalid_opcode);
  block.end();
}

}  // namespace bhvm
