#include "cpu/small_ops.h"

#include <array>
#include <cstring>

#include "base/check.h"
#include "cpu/block_builder.h"

namespace bhvm {
namespace {

constexpr std::size_t kOpSlots = sizeof(Op) / Block::kSlot;
constexpr std::size_t kLastSlot = 0x3FF;  // that OpDetails::at holds

u8 byte(u16 offset) { return static_cast<u8>(offset); }

InPageOp in_page(Handler handler, const Op& op) {
  InPageOp begin;
  begin.handler = handler;
  begin.lead_to(op.link, op.rest);
  return begin;
}

template <class Kind>
std::size_t write(u8* to, const Kind& op) {
  std::memcpy(to, &op, sizeof op);
  return sizeof op / Block::kSlot;
}

/// Returns how many slots that took.
std::size_t write_op(const Op& op, OpKind kind, Handler handler, u8* to) {
  switch (kind) {
    case OpKind::kOp: {
      Op whole = op;
      whole.handler = handler;
      return write(to, whole);
    }
    case OpKind::kRegister:
      return write(to, RegisterOp{handler, static_cast<i32>(op.imm), op.dst, op.src});
    case OpKind::kLoad:
      return write(to, LoadOp{handler, op.disp, byte(op.dst), byte(op.base), byte(op.index), op.scale});
    case OpKind::kStore:
      return write(to, StoreOp{handler, op.disp, byte(op.src), byte(op.base), byte(op.index), op.scale});
    case OpKind::kSimpleLoad:
      return write(to, SimpleLoadOp{handler, op.disp, op.dst, op.base});
    case OpKind::kSimpleStore:
      return write(to, SimpleStoreOp{handler, op.disp, op.src, op.base});
    case OpKind::kWideLoad:
      return write(to, WideLoadOp{handler, op.disp, op.dst, op.base, op.index, op.scale});
    case OpKind::kWideStore:
      return write(to, WideStoreOp{handler, op.disp, op.src, op.base, op.index, op.scale});
    case OpKind::kStoreNumber:
      return write(to, StoreNumberOp{handler, op.disp, static_cast<i32>(op.imm), op.base, op.index, op.scale});
    case OpKind::kCall:
      return write(to, CallOp{handler, op.link, op.disp, op.dst});
    case OpKind::kReturn:
      return write(to, ReturnOp{handler, op.imm});
    case OpKind::kJump:
      return write(to, JumpOp{in_page(handler, op), op.disp});
    case OpKind::kCompare:
      return write(to, CompareOp{in_page(handler, op), byte(op.dst), byte(op.src)});
    case OpKind::kCompareNumber:
      return write(to, CompareNumberOp{in_page(handler, op), compared_number(&op), op.dst});
    case OpKind::kAcross:
      return write(
          to, AcrossOp{handler, op.link, op.disp, 0, 0, compared_number(&op), byte(op.dst), byte(op.src), op.rest});
  }
  return 0;
}

OpDetails details_of(const Op& op, OpKind kind, std::size_t slot) {
  const bool compare = kind == OpKind::kCompare || kind == OpKind::kCompareNumber;
  OpDetails details;
  details.page_offset = static_cast<u32>(compare ? op.disp : op.page_offset) & kPageOffsetMask;
  details.at = static_cast<u32>(slot) & kLastSlot;
  details.linked = (op.scale & Op::kLinked) != 0;
  details.stack_segment = (op.scale & Op::kStackSegment) != 0;
  details.in_page = compare || kind == OpKind::kJump;
  details.rest = op.rest & 0x7F;
  return details;
}

}  // namespace

void write_ops(std::span<const Op> ops, std::span<const OpNotes> notes, std::span<const OpKind> kinds, Block& block) {
  std::array<OpDetails, 256> details;
  std::size_t count = 0;
  std::size_t slots = 0;
  std::size_t data = 0;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    const Op& op = ops[i];
    Handler handler = op.handler;
    if (handler == nullptr && !notes[i].data) {  // in a row: where its handler would be the op before it ends
      slots -= 1;
      std::memcpy(&handler, block.at_slot(slots), sizeof handler);
    }
    const bool linked = !notes[i].data && (op.scale & Op::kLinked) != 0;
    if (linked || (kinds[i] != OpKind::kOp && notes[i].can_fault)) details[count++] = details_of(op, kinds[i], slots);
    if (notes[i].data) data += kOpSlots;
    slots += write_op(op, kinds[i], handler, block.at_slot(slots));
  }
  BHVM_CHECK(slots <= kLastSlot, "a block has more ops than any instructions make");
  slots += (count * sizeof(OpDetails) + Block::kSlot - 1) / Block::kSlot;
  block.slots = static_cast<u16>(slots);
  block.data_slots = static_cast<u8>(data & 0xF);
  block.details = static_cast<u8>(count);
  std::memcpy(const_cast<OpDetails*>(block.details_begin()), details.data(), count * sizeof(OpDetails));
}

IndirectCallData* transfer_data(Block& block, bool& has_older_target) {
  const std::size_t slots = block.data_slots - (block.straddles() ? kOpSlots : 0);
  has_older_target = slots == 2 * kOpSlots;
  if (slots == 0) return nullptr;
  return reinterpret_cast<IndirectCallData*>(block.at_slot(block.data_end() - block.data_slots));
}

}  // namespace bhvm
