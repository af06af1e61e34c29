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
#include "cpu/block_builder.h"
#include "cpu/decoder.h"
#include "cpu/instruction_shape.h"

namespace bhvm {

class DecodedShapes {
 public:
  /// Where the numbers stand in an instruction of a shape.
  struct Numbers {
    InstructionShape shape;
    NumberField displacement;
    NumberField immediates[2];
  };

  DecodedShapes();

  /// The calling thread's. What is kept depends on nothing but instructions' bytes, so all machines may share it; a
  /// cluster's nodes mostly run the same code.
  static DecodedShapes& of_this_thread();

  /// Like Decoder::decode(), of an instruction of this shape; none asks for nothing kept. On kYes `insn` points to the
  /// decoding, valid until the next call.
  Decoded decode(std::span<const u8> bytes, const InstructionShape& shape, bool code64, Instruction*& insn);
  /// The numbers of the last decoding; nullptr when it holds for this instruction alone. Valid until the next call.
  const Numbers* numbers() const { return numbers_; }
  /// Keeps the last decoding, if it has numbers. There is little room: not for what is kept translated.
  void keep();

 private:
  struct Entry {
    Numbers numbers;
    u8 displacement_operands = 0;  // a bit for each operand that has its value
    u8 immediate_operands[2] = {0, 0};
    Instruction insn;
  };

  /// Two shapes' decodings, so that two frequent ones never drive each other out.
  struct Set {
    Entry entries[2];
    u8 next = 0;  // to be replaced
  };

  Set& set_of(const InstructionShape& shape) { return sets_[shape.hash() >> (64 - kSetBits)]; }
  Entry* find(const InstructionShape& shape);
  static bool learn(const InstructionShape& shape, Entry& entry);
  static void fill_in(Entry& entry, const u8* bytes);

  static constexpr unsigned kSetBits = 8;

  Decoder decoder_;
  ZeroedArray<Set> sets_;
  Entry last_;  // what was not kept when it was decoded
  const Numbers* numbers_ = nullptr;
};

}  // namespace bhvm
