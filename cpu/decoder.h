// Decoding: Zydis, set up for the processor that CPUID describes, and corrected where it errs.
#pragma once

#include <cstddef>
#include <span>

#include "cpu/block_builder.h"

namespace bhvm {

inline constexpr std::size_t kLongestInstruction = 15;  // bytes (SDM 2, 2.3.11)

enum class Decoded : u8 { kYes, kTruncated, kTooLong, kNo };

class Decoder {
 public:
  Decoder();

  /// Decodes what stands at the start of `bytes`. `insn` gets the decoding alone; its place and mode are the caller's.
  Decoded decode(std::span<const u8> bytes, bool code64, Instruction& insn) const;

 private:
  ZydisDecoder decoder64_;
  ZydisDecoder decoder32_;
};

}  // namespace bhvm
