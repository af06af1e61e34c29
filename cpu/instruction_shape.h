// The shape of an instruction: the bytes in front of its displacement and immediates (prefixes, opcode, ModRM, SIB).
//
// Instructions of one shape differ in those numbers alone, so what is found out about one of them holds for all. 64-bit
// code only.
#pragma once

#include <cstddef>

#include "base/types.h"
#include "cpu/decoder.h"

namespace bhvm {

/// Those bytes, zeroes behind them, and in the last two bytes what else is known.
struct InstructionShape {
  /// Whoever asks for shapes and numbers must be able to read as many bytes from the instruction's first one on.
  static constexpr std::size_t kReadable = kLongestInstruction + sizeof(u64);

  u64 low = 0, high = 0;

  bool operator==(const InstructionShape&) const = default;
  /// False for what has none: opcodes behind other bytes, VEX and the like, more than four prefixes.
  static bool of(const u8* bytes, InstructionShape& shape);
  unsigned size() const { return static_cast<unsigned>(high >> kSizeShift); }
  /// Does the immediate say what is done rather than with what, as the count of a shift or the order of a shuffle does?
  bool immediate_is_kind() const { return (high & kKind) != 0; }
  u64 hash() const { return (low ^ (high << 7)) * 0x9E3779B97F4A7C15; }

 private:
  static constexpr unsigned kSizeShift = 56;
  static constexpr u64 kKind = u64{1} << 48;
};

/// A number in an instruction's bytes.
struct NumberField {
  u8 offset : 4 = 0;
  u8 size : 4 = 0;  // bytes; 0: there is none
  bool is_signed = false;

  u64 read(const u8* bytes) const;
};

}  // namespace bhvm
