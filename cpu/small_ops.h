// Small ops: what frequent ops are in a block.
//
// An op has room for whatever an instruction may need; most need little of it. Those that may be joined (the parts of
// cpu/joined_ops.h) have handlers for a kind of op of half the size, or three quarters of it, with what they read while
// all goes well; jumps to another page, for one that has room for what they note. Where the instruction stands, which a
// fault wants to know, is among the block's details. An op whose operands do not fit stays what it was: all ops of a
// block run in their order, whatever their kinds are.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <span>

#include "base/types.h"
#include "cpu/op.h"

namespace bhvm {

struct OpNotes;

// Operand fields are byte offsets into struct Cpu here too: of 8 bits for general registers and what addresses are made
// of, which stand first there, and of 16 for whatever else. (Hosts take a cycle more for what lies at a multiple.)

enum class OpKind : u8 {
  kOp,
  kRegister,
  kLoad,
  kStore,
  kSimpleLoad,
  kSimpleStore,
  kWideLoad,
  kWideStore,
  kStoreNumber,
  kCall,
  kReturn,
  kJump,
  kCompare,
  kCompareNumber,
  kAcross
};
inline constexpr unsigned kOpKinds = static_cast<unsigned>(OpKind::kAcross) + 1;

/// No memory operand, or the top of the stack.
struct RegisterOp {
  static constexpr OpKind kKind = OpKind::kRegister;
  Handler handler;
  i32 imm;
  u16 dst;
  u16 src;
};
/// A general register from memory, or from the operand's address.
struct LoadOp {
  static constexpr OpKind kKind = OpKind::kLoad;
  Handler handler;
  i32 disp;
  u8 dst;
  u8 base;
  u8 index;
  u8 scale;
};
/// Memory from a general register.
struct StoreOp {
  static constexpr OpKind kKind = OpKind::kStore;
  Handler handler;
  i32 disp;
  u8 src;
  u8 base;
  u8 index;
  u8 scale;
};
/// The same with any register, and without an index.
struct SimpleLoadOp {
  static constexpr OpKind kKind = OpKind::kSimpleLoad;
  Handler handler;
  i32 disp;
  u16 dst;
  u16 base;
};
struct SimpleStoreOp {
  static constexpr OpKind kKind = OpKind::kSimpleStore;
  Handler handler;
  i32 disp;
  u16 src;
  u16 base;
};
/// The same with an index.
struct WideLoadOp {
  static constexpr OpKind kKind = OpKind::kWideLoad;
  Handler handler;
  i32 disp;
  u16 dst;
  u16 base;
  u16 index;
  u8 scale;
};
struct WideStoreOp {
  static constexpr OpKind kKind = OpKind::kWideStore;
  Handler handler;
  i32 disp;
  u16 src;
  u16 base;
  u16 index;
  u8 scale;
};
/// Memory and a number.
struct StoreNumberOp {
  static constexpr OpKind kKind = OpKind::kStoreNumber;
  Handler handler;
  i32 disp;
  i32 imm;
  u16 base;
  u16 index;
  u8 scale;
};
/// A call, its TransferData behind it.
struct CallOp {
  static constexpr OpKind kKind = OpKind::kCall;
  Handler handler;
  const Block* link;
  i32 disp;
  u16 dst;
};
struct ReturnOp {
  static constexpr OpKind kKind = OpKind::kReturn;
  Handler handler;
  i64 imm;
};
/// How each jump inside the page begins: with a link that says beforehand what it takes.
struct InPageOp {
  Handler handler = nullptr;
  const Op* target = nullptr;  // the first op of the block that the link leads to
  i32 change = 0;              // of the budget: what it gets back for the rest of this block, less what that one costs

  void lead_to(const Block* block, u32 rest) {
    target = block->ops();
    change = static_cast<i32>(rest) - static_cast<i32>(block->count);
  }
};
/// An unconditional one.
struct JumpOp : InPageOp {
  static constexpr OpKind kKind = OpKind::kJump;
  i32 disp;
};
/// A conditional one, alone or after a comparison.
struct CompareOp : InPageOp {
  static constexpr OpKind kKind = OpKind::kCompare;
  u8 dst;
  u8 src;
};
/// The same after one with a number.
struct CompareNumberOp : InPageOp {
  static constexpr OpKind kKind = OpKind::kCompareNumber;
  i32 imm;
  u16 dst;
};
/// A jump to another page, of either kind.
struct AcrossOp {
  static constexpr OpKind kKind = OpKind::kAcross;
  Handler handler;
  const Block* link;
  i32 disp;
  u32 to_generation;  // as in TransferData
  u64 to;
  i32 imm;
  u8 dst;
  u8 src;
  u8 rest;
};

static_assert(sizeof(JumpOp) == 24 && sizeof(CompareOp) == 24 && sizeof(CompareNumberOp) == 32);

/// The number of a fused comparison: an Op, whose link has the place of others' immediates, has it where addresses are.
BHVM_INLINE i32 compared_number(const Op* op) { return static_cast<i32>(op->base | static_cast<u32>(op->index) << 16); }
BHVM_INLINE i32 compared_number(const CompareNumberOp* op) { return op->imm; }
BHVM_INLINE i32 compared_number(const AcrossOp* op) { return op->imm; }

/// The kind of an op of this type.
template <class Type>
inline constexpr OpKind kKindOf = [] {
  if constexpr (requires { Type::kKind; }) {
    return Type::kKind;
  } else {
    return OpKind::kOp;
  }
}();

/// For each kind the bits that its places, those of Op from `dst` to `index`, have no room for.
inline constexpr std::array<u64, kOpKinds> kPlacesBeyond = [] {
  constexpr u64 kDst = 0xFF00, kSrc = kDst << 16, kBase = kSrc << 16, kIndex = kBase << 16;
  std::array<u64, kOpKinds> beyond{};
  beyond[static_cast<unsigned>(OpKind::kLoad)] = kDst | kBase | kIndex;
  beyond[static_cast<unsigned>(OpKind::kStore)] = kSrc | kBase | kIndex;
  beyond[static_cast<unsigned>(OpKind::kCompare)] = kDst | kSrc;
  beyond[static_cast<unsigned>(OpKind::kAcross)] = kDst | kSrc;
  return beyond;
}();

/// May `op` become one of this kind? `any_imm`: whatever its immediate is.
inline bool fits(const Op& op, OpKind kind, bool any_imm) {
  u64 places;
  static_assert(offsetof(Op, index) + sizeof op.index - offsetof(Op, dst) == sizeof places);
  std::memcpy(&places, reinterpret_cast<const u8*>(&op) + offsetof(Op, dst), sizeof places);
  return (places & kPlacesBeyond[static_cast<unsigned>(kind)]) == 0 && (any_imm || op.imm == static_cast<i32>(op.imm));
}
/// Of an op of this kind, is any immediate small enough whose low `imm_size` bytes are what its handler reads?
constexpr bool takes_any_imm(OpKind kind, unsigned imm_size) {
  return (kind != OpKind::kRegister && kind != OpKind::kStoreNumber) || imm_size <= sizeof(i32);
}

/// Writes ops to the place behind the header of `block`: each as one of its kind, which it fits, and then the details.
/// Sets what the header says of this. REQUIRES: room for most_slots().
void write_ops(std::span<const Op> ops, std::span<const OpNotes> notes, std::span<const OpKind> kinds, Block& block);
constexpr std::size_t most_slots(std::size_t ops) {
  return ops * (sizeof(AcrossOp) + sizeof(OpDetails)) / Block::kSlot + 1;
}

/// What the last op of `block` notes: IndirectCallData, which has an older target, or less. nullptr if it notes
/// nothing.
IndirectCallData* transfer_data(Block& block, bool& has_older_target);

}  // namespace bhvm
