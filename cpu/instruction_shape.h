// The shape of an instruction: the bytes in front of its displacement and immediates (prefixes, opcode, ModRM, SIB).
//
// Instructions of one shape differ in those numbers alone, so what is found out about one of them holds for all. 64-bit
// code only.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>

#include "base/types.h"
#include "cpu/decoder.h"

namespace bhvm {

struct InstructionShape {
  /// Of an instruction with fewer bytes behind its first one no shape is told, so that its numbers can be read as
  /// words.
  static constexpr std::size_t kReadable = kLongestInstruction + sizeof(u64);

  u64 bytes = 0;  // the first one lowest, zeroes behind them: no two shapes have the same
  u8 size = 0;    // how many they are; 0: it has no shape
  /// Does the immediate say what is done rather than with what, as the count of a shift or the order of a shuffle does?
  bool immediate_is_kind = false;

  /// The shape of the instruction at the start of `bytes`, in 64-bit code. None have opcodes behind other bytes, VEX
  /// and the like, more than four prefixes, more than eight bytes.
  static InstructionShape of(std::span<const u8> bytes) {
    return bytes.size() < kReadable ? InstructionShape{} : of(bytes.data());
  }
  explicit operator bool() const { return size != 0; }
  bool operator==(const InstructionShape& other) const { return bytes == other.bytes && size == other.size; }
  u64 hash() const { return bytes * 0x9E3779B97F4A7C15; }

 private:
  static InstructionShape of(const u8* bytes);
};

/// A number in an instruction's bytes.
struct NumberField {
  u8 offset : 4 = 0;
  u8 size : 4 = 0;  // bytes; 0: there is none
  bool is_signed = false;

  u64 read(const u8* bytes) const {
    u64 value = 0;
    std::memcpy(&value, bytes + offset, sizeof value);
    const unsigned shift = 64 - 8 * size;
    return is_signed ? static_cast<u64>(static_cast<i64>(value << shift) >> shift) : value << shift >> shift;
  }
};

}  // namespace bhvm
