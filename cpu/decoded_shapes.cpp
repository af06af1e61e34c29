#include "cpu/decoded_shapes.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace bhvm {
namespace {

/// What follows a byte of the one-byte opcode map in 64-bit mode, as far as the key must know. A row that is wrong
/// makes instructions that are not kept: learn() compares with where Zydis saw the numbers.
enum class Follows : u8 { kNothing, kModRm, kPrefix, kRex, kEscape, kNotKept };

constexpr std::array<Follows, 256> kOneByte = [] {
  std::array<Follows, 256> map{};
  for (unsigned row = 0; row < 0x40; row += 8) {  // ADD to CMP
    for (unsigned i = 0; i < 4; ++i) map[row + i] = Follows::kModRm;
  }
  for (unsigned i = 0x40; i < 0x50; ++i) map[i] = Follows::kRex;
  for (unsigned i : {0x63, 0x69, 0x6B, 0xC0, 0xC1, 0xC6, 0xC7, 0xF6, 0xF7, 0xFE, 0xFF}) map[i] = Follows::kModRm;
  for (unsigned i = 0x80; i < 0x8F; ++i) map[i] = Follows::kModRm;
  for (unsigned i = 0xD0; i < 0xD4; ++i) map[i] = Follows::kModRm;
  for (unsigned i = 0xD8; i < 0xE0; ++i) map[i] = Follows::kModRm;
  for (unsigned i : {0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x66, 0x67, 0xF0, 0xF2, 0xF3}) map[i] = Follows::kPrefix;
  map[0x0F] = Follows::kEscape;
  for (unsigned i : {0x62, 0x8F, 0xC4, 0xC5}) map[i] = Follows::kNotKept;  // EVEX, XOP and POP, VEX
  return map;
}();

/// The same behind 0FH: does a ModRM byte follow?
constexpr std::array<bool, 256> kTwoByteModRm = [] {
  std::array<bool, 256> map{};
  map.fill(true);
  for (unsigned i = 0x80; i < 0x90; ++i) map[i] = false;                               // Jcc
  for (unsigned i = 0xC8; i < 0xD0; ++i) map[i] = false;                               // BSWAP
  for (unsigned i = 0x30; i < 0x38; ++i) map[i] = false;                               // WRMSR to SYSEXIT
  for (unsigned i : {0x05, 0x06, 0x07, 0x08, 0x09, 0x0B, 0x0E, 0x77}) map[i] = false;  // SYSCALL, CLTS, UD2, EMMS ...
  for (unsigned i : {0xA0, 0xA1, 0xA2, 0xA8, 0xA9, 0xAA}) map[i] = false;  // PUSH, POP FS and GS; CPUID, RSM
  return map;
}();

u64 first_bytes(u64 bytes, unsigned n) { return n >= 8 ? bytes : bytes & ((u64{1} << (8 * n)) - 1); }

}  // namespace

DecodedShapes::DecodedShapes() : entries_(std::size_t{1} << kEntryBits) {}

DecodedShapes& DecodedShapes::of_this_thread() {
  static thread_local DecodedShapes shapes;
  return shapes;
}

bool DecodedShapes::key_of(const u8* bytes, Key& key) {
  unsigned n = 0;
  while (kOneByte[bytes[n]] == Follows::kPrefix) {
    if (++n > 4) return false;
  }
  if (kOneByte[bytes[n]] == Follows::kRex) n += 1;
  bool modrm = false;
  const u8 opcode = bytes[n++];
  switch (kOneByte[opcode]) {
    case Follows::kNothing:
      break;
    case Follows::kModRm:
      modrm = true;
      break;
    case Follows::kEscape: {
      const u8 second = bytes[n++];
      if (second == 0x0F) return false;  // 3DNow: the opcode stands behind everything else
      if (second == 0x38 || second == 0x3A) n += 1;
      modrm = kTwoByteModRm[second];
      break;
    }
    default:
      return false;
  }
  if (modrm) {
    const u8 byte = bytes[n++];
    if ((byte & 0xC0) != 0xC0 && (byte & 7) == 4) n += 1;
  }
  std::memcpy(&key, bytes, sizeof key);
  key.low = first_bytes(key.low, n);
  key.high = n <= 8 ? 0 : first_bytes(key.high, n - 8);
  key.high |= u64{n} << 56;
  return true;
}

u64 DecodedShapes::Field::read(const u8* bytes) const {
  u64 value = 0;
  std::memcpy(&value, bytes + offset, sizeof value);
  const unsigned shift = 64 - 8 * size;
  return is_signed ? static_cast<u64>(static_cast<i64>(value << shift) >> shift) : value << shift >> shift;
}

/// Makes the entry's decoding one for all instructions with this key. False when it is not.
bool DecodedShapes::learn(const Key& key, Entry& entry) {
  const auto& raw = entry.insn.z.raw;
  const std::span operands(entry.insn.operands, entry.insn.z.operand_count);
  entry.key = key;
  entry.displacement = {raw.disp.offset, static_cast<u8>(raw.disp.size / 8), true, 0};
  unsigned end = entry.insn.length();
  for (unsigned i = 0; i < 2; ++i) {
    const auto& imm = raw.imm[i];
    entry.immediates[i] = {imm.offset, static_cast<u8>(imm.size / 8), imm.is_signed != 0, 0};
    if (imm.size != 0) end = std::min<unsigned>(end, imm.offset);
  }
  if (raw.disp.size != 0) end = std::min<unsigned>(end, raw.disp.offset);
  if (end != key.high >> 56) return false;

  unsigned next_immediate = 0;
  for (unsigned i = 0; i < operands.size(); ++i) {
    const ZydisDecodedOperand& operand = operands[i];
    const u8 bit = static_cast<u8>(1 << (i & 7));
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.mem.disp.has_displacement != 0) {
      if (i > 7 || raw.disp.size == 0 || operand.mem.disp.value != raw.disp.value) return false;
      entry.displacement.operands |= bit;
    } else if (operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE && operand.encoding != ZYDIS_OPERAND_ENCODING_NONE) {
      if (i > 7 || next_immediate > 1) return false;
      if (operand.imm.value.u != raw.imm[next_immediate].value.u) return false;
      entry.immediates[next_immediate++].operands |= bit;
    } else if (operand.type == ZYDIS_OPERAND_TYPE_POINTER) {
      return false;
    }
  }
  return true;
}

void DecodedShapes::fill_in(Entry& entry, const u8* bytes) {
  Instruction& insn = entry.insn;
  if (entry.displacement.size != 0) {
    const i64 value = static_cast<i64>(entry.displacement.read(bytes));
    insn.z.raw.disp.value = value;
    for (unsigned i = 0, bits = entry.displacement.operands; bits != 0; ++i, bits >>= 1) {
      if ((bits & 1) != 0) insn.operands[i].mem.disp.value = value;
    }
  }
  for (unsigned k = 0; k < 2 && entry.immediates[k].size != 0; ++k) {
    const u64 value = entry.immediates[k].read(bytes);
    insn.z.raw.imm[k].value.u = value;
    for (unsigned i = 0, bits = entry.immediates[k].operands; bits != 0; ++i, bits >>= 1) {
      if ((bits & 1) != 0) insn.operands[i].imm.value.u = value;
    }
  }
}

Decoded DecodedShapes::decode(std::span<const u8> bytes, bool code64, Instruction*& insn) {
  constexpr std::size_t kReadable = kLongestInstruction + sizeof(u64);  // whatever a key or a number may read
  insn = &other_;
  Key key;
  if (!code64 || bytes.size() < kReadable || !key_of(bytes.data(), key)) return decoder_.decode(bytes, code64, other_);
  Entry& entry = entries_[((key.low ^ (key.high << 7)) * 0x9E3779B97F4A7C15) >> (64 - kEntryBits)];
  insn = &entry.insn;
  if (entry.key == key) {
    fill_in(entry, bytes.data());
    return Decoded::kYes;
  }
  const Decoded decoded = decoder_.decode(bytes, code64, entry.insn);
  if (decoded != Decoded::kYes || !learn(key, entry)) entry.key = {};
  return decoded;
}

}  // namespace bhvm
