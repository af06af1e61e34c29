// TranslatedShapes: translations kept by the instruction's shape and mode.
//
// Most instructions become one op, in which the displacement, the immediate and the place are the only things that
// differ from what the same shape became before. Those are appended from here: neither Zydis nor a translator is asked.
// What is kept follows from the instruction's bytes, the mode and the program alone: the cache is invisible but for its
// speed.
#pragma once

#include <span>

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

  /// Appends the instruction at the start of `bytes` to `block`, if a translation of its kind is kept. Its length, or 0
  /// with nothing done.
  unsigned repeat(BlockBuilder& block, std::span<const u8> bytes, u16 page_offset);
  /// Keeps what a translator has just made of the instruction `insn`, whose bytes and numbers these are.
  void keep(const BlockBuilder& block, const Instruction& insn, const u8* bytes, const DecodedShapes::Numbers& numbers);

 private:
  /// One line of the host's cache: that is what a lookup costs.
  struct alignas(64) Entry {
    InstructionShape shape;
    Handler handler = nullptr;  // nullptr: the instruction has no op
    Handler without_flags = nullptr;
    i64 imm = 0;
    i32 disp = 0;  // the constant part
    u16 dst = 0, src = 0, base = 0, index = 0;
    u16 mode = 0;
    u8 scale = 0;
    u8 length = 0;
    u8 flag_reads = 0, flag_writes = 0;  // packed_flags()
    u8 immediate = 0;                    // of an instruction whose op has another imm: this one alone
    NumberField displacement_field, immediate_field;
    DispOf disp_of : 2 = DispOf::kConstant;
    bool can_fault : 1 = false;
    bool imm_is_operand : 1 = false;
  };
  static_assert(sizeof(Entry) == 64);

  Entry& entry_of(const InstructionShape& shape, const u8* bytes) {
    // What stands behind the shape is the immediate, unless there is a displacement.
    const u64 kind = shape.immediate_is_kind() ? u64{bytes[shape.size()]} << 48 : 0;
    return entries_[(shape.hash() ^ kind) >> (64 - kEntryBits)];
  }

  static constexpr unsigned kEntryBits = 14;

  ZeroedArray<Entry> entries_;
};

}  // namespace bhvm
