#include "cpu/decoder.h"

#include <algorithm>

namespace bhvm {
namespace {

ZydisDecoder make_decoder(ZydisMachineMode mode, ZydisStackWidth stack) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, mode, stack);
  // CET, MPX and the like are not claimed by CPUID: their encodings in the NOP space are NOPs.
  for (const ZydisDecoderMode off :
       {ZYDIS_DECODER_MODE_MPX, ZYDIS_DECODER_MODE_CET, ZYDIS_DECODER_MODE_LZCNT, ZYDIS_DECODER_MODE_TZCNT,
        ZYDIS_DECODER_MODE_WBNOINVD, ZYDIS_DECODER_MODE_CLDEMOTE}) {
    ZydisDecoderEnableMode(&decoder, off, ZYAN_FALSE);
  }
  return decoder;
}

/// A SIB byte with mod 0 and base 101B has a 32-bit displacement and no base, also with REX.B (SDM 2, table 2-5).
/// Zydis 4.0 takes R13D as the base, and no displacement, when the address size is 32 bits.
void correct_sib_without_base(Instruction& insn) {
  constexpr ZyanU8 kSibFollows = 4, kNoBase = 5;
  const auto& raw = insn.z.raw;
  const bool without_base = (insn.z.attributes & ZYDIS_ATTRIB_HAS_SIB) != 0 && raw.modrm.mod == 0 &&
                            raw.modrm.rm == kSibFollows && raw.sib.base == kNoBase;
  if (!without_base) return;
  for (unsigned i = 0; i < insn.z.operand_count; ++i) {
    ZydisDecodedOperandMem& memory = insn.operands[i].mem;
    if (insn.operands[i].type != ZYDIS_OPERAND_TYPE_MEMORY || memory.base != ZYDIS_REGISTER_R13D) continue;
    memory.base = ZYDIS_REGISTER_NONE;
    memory.disp.has_displacement = ZYAN_TRUE;
    memory.disp.value = raw.disp.value;
  }
}

}  // namespace

Decoder::Decoder()
    : decoder64_(make_decoder(ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)),
      decoder32_(make_decoder(ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32)) {}

Decoded Decoder::decode(std::span<const u8> bytes, bool code64, Instruction& insn) const {
  const ZyanStatus status = ZydisDecoderDecodeFull(code64 ? &decoder64_ : &decoder32_, bytes.data(),
                                                   std::min(bytes.size(), kLongestInstruction), &insn.z, insn.operands);
  if (ZYAN_SUCCESS(status)) {
    correct_sib_without_base(insn);
    return Decoded::kYes;
  }
  if (status == ZYDIS_STATUS_NO_MORE_DATA) {
    return bytes.size() < kLongestInstruction ? Decoded::kTruncated : Decoded::kTooLong;
  }
  return status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG ? Decoded::kTooLong : Decoded::kNo;
}

}  // namespace bhvm
