// BlockBuilder: what a translator writes ops through.
//
// A translator is called once per instruction when a block is built. It asks the builder for operand offsets, emits one
// or more ops and says what they do to the flags; the builder fills in positions and counts, and when the block is
// complete replaces handlers whose flags nobody reads (a backward pass in which every op that can fault or leave is a
// reader).
#pragma once

#include <Zydis/Zydis.h>

#include <array>
#include <span>

#include "base/check.h"
#include "base/types.h"
#include "cpu/mode.h"
#include "cpu/op.h"

namespace bhvm {

/// One decoded instruction with the place it stands at.
struct Instruction {
  ZydisDecodedInstruction z;
  ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
  u16 page_offset = 0;  // of its first byte
  u32 mode = 0;         // mode key

  unsigned length() const { return z.length; }
  bool has(ZydisInstructionAttributes attributes) const { return (z.attributes & attributes) != 0; }
  const ZydisDecodedOperand& operand(unsigned i) const { return operands[i]; }
  bool is_memory(unsigned i) const { return operands[i].type == ZYDIS_OPERAND_TYPE_MEMORY; }
  bool is_register(unsigned i) const { return operands[i].type == ZYDIS_OPERAND_TYPE_REGISTER; }
  bool is_immediate(unsigned i) const { return operands[i].type == ZYDIS_OPERAND_TYPE_IMMEDIATE; }
  /// Operand width in bits of operand i.
  unsigned width(unsigned i) const { return operands[i].size; }
  bool code64() const { return (mode & mode::kCode64) != 0; }
  bool code32() const { return (mode & mode::kCode32) != 0; }
};

/// Which of the six arithmetic flags an op reads and writes, as RFLAGS bits.
struct FlagUse {
  u16 reads = 0;
  u16 writes = 0;
  /// The handler to use when none of `writes` is read later; nullptr: always the same.
  Handler without_flags = nullptr;

  bool operator==(const FlagUse&) const = default;
};

/// What an op's disp is made of.
enum class DispOf : u8 {
  kConstant,
  kDisplacement,  // the instruction's displacement, and a constant
  kPlace,         // that, and the instruction's page offset
};

/// A memory operand as op fields. Segment bases and 32-bit address arithmetic are already in an op before.
struct Address {
  u16 base = 0;
  u16 index = 0;
  u8 scale = 0;
  i32 disp = 0;
  DispOf disp_of = DispOf::kConstant;
  bool simple = false;  // no index: address_of_base() is enough
};

/// What the builder knows of an op beside the op itself.
struct OpNotes {
  /// As a part's number: nobody has asked yet.
  static constexpr u16 kUnknownPart = 0xFFFF;

  bool can_fault = true;
  bool data = false;
  bool imm_is_operand = false;  // imm is the instruction's immediate
  DispOf disp_of = DispOf::kConstant;
  u16 instruction = 0;  // its index in the block
  u8 instructions = 1;  // how many it is: a fused op is two
  FlagUse flags;
  u16 part = kUnknownPart;                // that the op's handler is of joined ops (cpu/joined_ops.h)
  u16 part_without_flags = kUnknownPart;  // that flags.without_flags is

  bool operator==(const OpNotes&) const = default;
};

class BlockBuilder {
 public:
  /// More ops than a block's instructions make.
  static constexpr std::size_t kMostOps = 256;

  /// Byte offset in struct Cpu of a register operand (general registers of every width, AH to BH, XMM, MMX, scratch).
  static u16 offset_of(ZydisRegister reg);

  /// Where a memory operand is; emits the ops that compute it beforehand, if it takes any. Call before emit().
  Address address(const Instruction& insn, const ZydisDecodedOperand& memory);

  /// The same with cpu.scratch, unscaled, as index (XLAT).
  Address address_with_scratch_index(const Instruction& insn, const ZydisDecodedOperand& memory);

  /// Appends an op of the current instruction. It is taken to be able to fault (a barrier for flags) unless said
  /// otherwise.
  Op& emit(Handler handler, bool can_fault = true);
  /// The same with the address filled in.
  Op& emit(Handler handler, const Address& address, bool can_fault = true);
  /// Emits the op that puts a memory operand's linear address into cpu.scratch_address, for handlers with other uses
  /// for the address fields.
  void address_to_scratch(const Instruction& insn, const ZydisDecodedOperand& memory);
  /// Appends a system instruction (cpu/system_op.h), which ends the block; its memory operand, if it has one, is in
  /// cpu.scratch_address.
  Op& emit_system(Handler handler, const Instruction& insn);
  Op& last() { return ops_[count_ - 1]; }
  /// Makes the last op's imm the instruction's operand i. Whoever puts an immediate there so does nothing else with it.
  void immediate(const Instruction& insn, unsigned i) {
    last().imm = insn.operand(i).imm.value.s;
    last_notes().imm_is_operand = true;
  }
  /// Says what the last emitted op does to the flags.
  void flags(FlagUse use);
  /// Appends 32 bytes of data behind the last op (a jump's second target); its handler is never called.
  Op& emit_data();
  /// The current instruction ends the block.
  void end() {
    ended_ = true;
    unlike_others();
  }
  /// The current instruction's ops depend on more than its shape, mode, displacement and immediate.
  void unlike_others() { unlike_others_ = true; }

  // ---- for the code cache ----
  void begin(u32 mode);
  void start_instruction(const Instruction& insn) { start_undecodable(insn.page_offset); }
  /// An instruction without a decoding, at this page offset.
  void start_undecodable(u16 page_offset) {
    page_offset_ = page_offset;
    instructions_ += 1;
    unlike_others_ = false;
  }
  bool ended() const { return ended_; }
  u32 mode() const { return mode_; }
  /// The op of the instruction before this one, for fusing: nullptr unless it was a single one.
  const Op* previous_single_op();
  /// Removes that op: the current instruction takes its place and counts for both.
  Op& emit_fused(Handler handler);
  unsigned instructions() const { return instructions_; }
  /// The ops of the current instruction, and what is known of them.
  std::span<const Op> current_ops() const { return std::span(ops_).first(count_).last(count_current()); }
  std::span<const OpNotes> current_notes() const { return notes().last(count_current()); }
  bool is_unlike_others() const { return unlike_others_; }
  /// Appends an instruction that has been translated before: one without an op, or with one that has these notes.
  void repeat(u16 page_offset) { start_undecodable(page_offset); }
  void repeat(const Op& op, const OpNotes& notes) {
    start_undecodable(op.page_offset);
    append(op, notes);
  }
  /// Numbers the ops, drops dead flags; the ops are complete afterwards.
  void finish();
  std::span<Op> ops() { return std::span(ops_).first(count_); }
  std::span<const OpNotes> notes() const { return std::span(notes_).first(count_); }

 private:
  OpNotes& last_notes() { return notes_[count_ - 1]; }
  void append(const Op& op, const OpNotes& notes) {
    BHVM_CHECK(count_ < kMostOps, "a block has more ops than any instructions make");
    ops_[count_] = op;
    notes_[count_] = notes;
    notes_[count_].instruction = static_cast<u16>(instructions_ - 1);
    count_ += 1;
  }
  std::size_t count_current() const;
  Address place(const Instruction& insn, const ZydisDecodedOperand& memory, u16 index);

  std::array<Op, kMostOps> ops_;
  std::array<OpNotes, kMostOps> notes_;
  std::size_t count_ = 0;
  unsigned instructions_ = 0;
  u32 mode_ = 0;
  u16 page_offset_ = 0;
  bool ended_ = false;
  bool unlike_others_ = false;
};

/// Byte offset in struct Cpu of a segment register's SegmentState.
u16 segment_offset(ZydisRegister segment);

/// Translates one instruction into ops. Returns false for an encoding it does not have (#UD follows).
using Translator = bool (*)(BlockBuilder& block, const Instruction& insn);

/// Mnemonic to translator. Filled once, by the register_* functions of the instruction groups, and then constant.
class TranslatorTable {
 public:
  void add(ZydisMnemonic mnemonic, Translator translator) { table_[mnemonic] = translator; }
  Translator find(ZydisMnemonic mnemonic) const { return table_[mnemonic]; }

 private:
  std::array<Translator, ZYDIS_MNEMONIC_MAX_VALUE + 1> table_{};
};

/// All instruction groups (cpu/translators.cpp).
const TranslatorTable& translators();

}  // namespace bhvm
