// Encodings: the bytes of an instruction, taken apart as far as the opcode space is walked and put together again.
//
// Zydis is the one judge of what bytes mean, set up as cpu/code_cache.cpp does it.
#pragma once

#include <Zydis/Zydis.h>

#include <array>

#include "base/types.h"
#include "cpu/decoder.h"

namespace bhvm::oracle {

/// Where the opcode byte stands (SDM 2, 2.1.2), or what kind of prefix encloses it.
enum class OpcodeMap : u8 {
  kOneByte,
  k0F,
  k0F38,
  k0F3A,
  k3DNow,    // 0F 0F /r, the opcode behind everything else
  kVex2,     // C5
  kVex3,     // C4
  kEvex,     // 62
  kXop,      // 8F: not generated
  kTooLong,  // an instruction of more than 15 bytes
};

/// A set of encodings that differ in nothing but ModRM bits and what follows.
struct Encoding {
  OpcodeMap map = OpcodeMap::kOneByte;
  u8 opcode = 0;
  u8 repeat = 0;              // F2 or F3, as a mandatory prefix or to repeat
  bool operand_size = false;  // 66
  bool address_size = false;  // 67, where it changes what the instruction is
  bool lock = false;          // F0
  bool rex_w = false;
  bool rex_r = false;  // where it changes what the instruction is
  bool has_modrm = false;
  bool memory = false;  // ModRM.mod is not 3
  u64 modrm = 0;        // bit 8 * reg + rm is set for each that belongs; memory operands: rm is 0

  /// Not of one of the four maps that are walked.
  bool escaped() const { return map >= OpcodeMap::k3DNow; }
};

/// Bytes of one or more instructions.
struct Bytes {
  std::array<u8, 32> data{};
  unsigned size = 0;
  void add(u8 byte) {
    if (size < data.size()) data[size++] = byte;
  }
};

/// Everything of an instance that its encoding leaves open.
struct Choices {
  std::array<u8, 14> redundant{};  // legacy prefixes put before the encoding's own
  unsigned redundant_count = 0;
  bool rex = false;  // a REX prefix although none is needed
  u8 rex_rxb = 0;    // REX.R, X, B as bits 2 to 0
  u8 mod = 3;        // for memory operands 0 to 2
  u8 reg = 0;
  u8 rm = 0;
  u8 sib = 0;
  std::array<u8, 8> tail{};  // displacement and immediates
};

/// The bytes of an instance, with all eight of `tail`: decoding tells how many of them belong.
Bytes assemble(const Encoding& encoding, const Choices& choices, bool code64);

/// Decodes as bhvm's code cache does: false if there is no instruction at the start of the bytes. Its mode and page
/// offset are set too.
bool decode(const Decoder& decoder, std::span<const u8> bytes, bool code64, Instruction& insn);

/// The mode key of instruction cases.
u32 mode_key(bool code64);

}  // namespace bhvm::oracle
