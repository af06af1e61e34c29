#include "cpu/instruction_shape.h"

#include <array>

namespace bhvm {
namespace {

/// What follows a byte of the one-byte opcode map in 64-bit mode, as far as the key must know. A row that is wrong
/// makes instructions that are not kept: DecodedShapes compares with where Zydis saw the numbers. kModRmAndKind: the
/// immediate says what is done rather than with what (InstructionShape::immediate_is_kind()).
enum class Follows : u8 { kNothing, kModRm, kModRmAndKind, kPrefix, kRex, kEscape, kNotKept };

constexpr std::array<Follows, 256> kOneByte = [] {
  std::array<Follows, 256> map{};
  for (unsigned row = 0; row < 0x40; row += 8) {  // ADD to CMP
    for (unsigned i = 0; i < 4; ++i) map[row + i] = Follows::kModRm;
  }
  for (unsigned i = 0x40; i < 0x50; ++i) map[i] = Follows::kRex;
  for (unsigned i : {0x63, 0x69, 0x6B, 0xC6, 0xC7, 0xF6, 0xF7, 0xFE, 0xFF}) map[i] = Follows::kModRm;
  for (unsigned i : {0xC0, 0xC1}) map[i] = Follows::kModRmAndKind;  // shifts
  for (unsigned i = 0x80; i < 0x8F; ++i) map[i] = Follows::kModRm;
  for (unsigned i = 0xD0; i < 0xD4; ++i) map[i] = Follows::kModRm;
  for (unsigned i = 0xD8; i < 0xE0; ++i) map[i] = Follows::kModRm;
  for (unsigned i : {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3}) map[i] = Follows::kPrefix;
  map[0x0F] = Follows::kEscape;
  for (unsigned i : {0x62, 0x8F, 0xC4, 0xC5}) map[i] = Follows::kNotKept;  // EVEX, XOP and POP, VEX
  return map;
}();

/// The same behind 0FH.
constexpr std::array<Follows, 256> kTwoByte = [] {
  std::array<Follows, 256> map{};
  map.fill(Follows::kModRm);
  const auto nothing = [&](unsigned first, unsigned last) {
    for (unsigned i = first; i <= last; ++i) map[i] = Follows::kNothing;
  };
  nothing(0x80, 0x8F);                                                                // Jcc
  nothing(0xC8, 0xCF);                                                                // BSWAP
  nothing(0x30, 0x37);                                                                // WRMSR to SYSEXIT
  for (unsigned i : {0x05, 0x06, 0x07, 0x08, 0x09, 0x0B, 0x0E, 0x77}) nothing(i, i);  // SYSCALL, CLTS, UD2, EMMS ...
  for (unsigned i : {0xA0, 0xA1, 0xA2, 0xA8, 0xA9, 0xAA}) nothing(i, i);              // PUSH, POP FS and GS; CPUID, RSM
  // Shuffles, shifts, bit tests, comparisons, everything behind 3AH.
  for (unsigned i : {0x3A, 0x70, 0x71, 0x72, 0x73, 0xA4, 0xAC, 0xBA, 0xC2, 0xC4, 0xC5, 0xC6}) {
    map[i] = Follows::kModRmAndKind;
  }
  return map;
}();

}  // namespace

InstructionShape InstructionShape::of(const u8* bytes) {
  unsigned n = 1;  // bytes that `follows` has been told by
  Follows follows = kOneByte[bytes[0]];
  while (follows == Follows::kPrefix) {
    if (n > 4) return {};
    follows = kOneByte[bytes[n++]];
  }
  if (follows == Follows::kRex) follows = kOneByte[bytes[n++]];
  if (follows == Follows::kEscape) {
    const u8 second = bytes[n++];
    if (second == 0x0F) return {};  // 3DNow: the opcode stands behind everything else
    if (second == 0x38 || second == 0x3A) n += 1;
    follows = kTwoByte[second];
  }
  if (follows == Follows::kModRm || follows == Follows::kModRmAndKind) {
    const u8 byte = bytes[n++];
    if ((byte & 0xC0) != 0xC0 && (byte & 7) == 4) n += 1;
  } else if (follows != Follows::kNothing) {
    return {};
  }
  InstructionShape shape;
  if (n > sizeof shape.bytes) return {};
  std::memcpy(&shape.bytes, bytes, sizeof shape.bytes);
  shape.bytes &= ~u64{0} >> (64 - 8 * n);
  shape.size = static_cast<u8>(n);
  shape.immediate_is_kind = follows == Follows::kModRmAndKind;
  return shape;
}

}  // namespace bhvm
