// TranslatedShapes: translations kept by the instruction's shape and mode.
//
// Most instructions become one op, in which the displacement, the immediate and the place are the only things that
// differ from what the same shape became before. Those are appended from here: neither Zydis nor a translator is asked.
// What is kept follows from the instruction's bytes, the mode and the program alone: the cache is invisible but for its
// speed.
#pragma once

#include <array>
#include <vector>

#include "base/types.h"
#include "base/zeroed_array.h"
#include "cpu/block_builder.h"
#include "cpu/decoded_shapes.h"

namespace bhvm {

class TranslatedShapes {
 public:
  TranslatedShapes();

  /// The calling thread's, shared by all machines as DecodedShapes is.
  static TranslatedShapes& of_this_thread();

  /// Appends the instruction at the start of `bytes`, which has this shape, to `block`, if a translation of its kind is
  /// kept. Its length, or 0 with nothing done.
  unsigned repeat(BlockBuilder& block, const InstructionShape& shape, const u8* bytes, u16 page_offset);
  /// Keeps what a translator has just made of the instruction `insn`, whose bytes and numbers these are. False if it is
  /// not the same for others of its kind.
  bool keep(const BlockBuilder& block, const Instruction& insn, const u8* bytes, const DecodedShapes::Numbers& numbers);

 private:
  /// A handler and what is known of ops with it: the same for many shapes.
  struct Form {
    Handler handler = nullptr;  // nullptr: the instruction has no op
    OpNotes notes;
  };
  /// Half a line of the host's cache.
  struct alignas(32) Entry {
    u64 shape = 0;
    i32 imm = 0;   // unless it is read anew
    i32 disp = 0;  // the constant part
    u16 dst = 0, src = 0;
    u8 base = 0, index = 0;
    u16 form = 0;
    u16 mode = 0;  // 0: nothing is kept here
    u8 scale = 0;
    u8 immediate = 0;  // of an instruction whose op has another imm: this one alone
    NumberField displacement_field, immediate_field;
  };
  static_assert(sizeof(Entry) == 32);
  /// Where a translation may be kept, the one that was used last in front.
  using Set = std::array<Entry, 4>;

  /// The translation of this kind and mode; nullptr when there is none.
  const Entry* find(const InstructionShape& shape, const u8* bytes, u32 mode);
  Set& set_of(const InstructionShape& shape, const u8* bytes) {
    // What stands behind the shape is the immediate, unless there is a displacement.
    const u64 kind = shape.immediate_is_kind ? u64{bytes[shape.size]} << 48 : 0;
    return sets_[(shape.hash() ^ kind) >> (64 - kSetBits)];
  }
  /// The number of this form, from now on if need be; kNoForm when there are too many.
  u16 number_of(const Form& form);

  static constexpr unsigned kSetBits = 13;
  static constexpr unsigned kFormBits = 13;
  static constexpr u16 kNoForm = 0xFFFF;

  ZeroedArray<Set> sets_;
  std::vector<Form> forms_;
  ZeroedArray<u16> form_numbers_;  // by a hash of the handler; 0: none
};

}  // namespace bhvm
