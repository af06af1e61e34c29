// DecodedShapes: decodings kept by everything in an instruction but its displacement and its immediates.
//
// Zydis needs some 900 host instructions to decode one guest instruction, and most of what it is asked differs from
// what it was asked before in a displacement or an immediate alone. So its answer is kept by the bytes in front of
// those (prefixes, opcode, ModRM, SIB), and the numbers are put into a copy kept in place. What is kept is a function
// of the instruction's bytes: the cache is invisible but for its speed.
#pragma once

#include <span>

#include "base/types.h"
#include "base/zeroed_array.h"
#include "cpu/decoder.h"

namespace bhvm {

class DecodedShapes {
 public:
  DecodedShapes();

  /// The calling thread's. What is kept depends on nothing but instructions' bytes, so all machines may share it; a
  /// cluster's nodes mostly run the same code.
  static DecodedShapes& of_this_thread();

  /// Like Decoder::decode(). On kYes `insn` points to the decoding, valid until the next call.
  Decoded decode(std::span<const u8> bytes, bool code64, Instruction*& insn);

 private:
  /// The bytes in front of displacement and immediates, zeroes behind them, their number in the last byte.
  struct Key {
    u64 low = 0, high = 0;
    bool operator==(const Key&) const = default;
  };
  /// A number in the instruction's bytes: `size` 0 when there is none.
  struct Field {
    u8 offset = 0;
    u8 size = 0;  // bytes
    bool is_signed = false;
    u8 operands = 0;  // a bit for each operand that has its value

    u64 read(const u8* bytes) const;
  };
  struct Entry {
    Key key;
    Field displacement;
    Field immediates[2];
    Instruction insn;
  };

  static bool key_of(const u8* bytes, Key& key);
  static bool learn(const Key& key, Entry& entry);
  static void fill_in(Entry& entry, const u8* bytes);

  static constexpr unsigned kEntryBits = 12;

  Decoder decoder_;
  ZeroedArray<Entry> entries_;
  Instruction other_;  // of what is not kept
};

}  // namespace bhvm
