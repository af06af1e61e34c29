#include "cpu/translated_shapes.h"

#include "cpu/flags.h"

namespace bhvm {
namespace {

constexpr unsigned kOfShift = 10;  // OF to bit 1, which is no flag

constexpr u8 packed_flags(u16 flags) { return static_cast<u8>(flags | (flags & rflags::kOf) >> kOfShift); }
constexpr u16 unpacked_flags(u8 packed) {
  constexpr u16 kPackedOf = rflags::kOf >> kOfShift;
  return static_cast<u16>((packed & ~kPackedOf) | (packed & kPackedOf) << kOfShift);
}
static_assert(unpacked_flags(packed_flags(rflags::kArithmetic)) == rflags::kArithmetic);

bool fits_i32(i64 value) { return value == static_cast<i32>(value); }

}  // namespace

TranslatedShapes::TranslatedShapes() : entries_(std::size_t{1} << kEntryBits) {}

TranslatedShapes& TranslatedShapes::of_this_thread() {
  static thread_local TranslatedShapes shapes;
  return shapes;
}

unsigned TranslatedShapes::repeat(BlockBuilder& block, std::span<const u8> bytes, u16 page_offset) {
  InstructionShape shape;
  if (bytes.size() < InstructionShape::kReadable || !InstructionShape::of(bytes.data(), shape)) return 0;
  const Entry& entry = entry_of(shape, bytes.data());
  if (entry.shape != shape || entry.mode != block.mode()) return 0;
  i64 imm = entry.imm;
  if (entry.immediate_field.size != 0) {
    const u64 value = entry.immediate_field.read(bytes.data());
    if (entry.imm_is_operand) {
      imm = static_cast<i64>(value);
    } else if (static_cast<u8>(value) != entry.immediate) {
      return 0;
    }
  }
  if (entry.handler == nullptr) {
    block.repeat(page_offset);
    return entry.length;
  }
  i64 disp = entry.disp;
  if (entry.disp_of != DispOf::kConstant) {
    if (entry.displacement_field.size != 0) disp += static_cast<i64>(entry.displacement_field.read(bytes.data()));
    if (entry.disp_of == DispOf::kPlace) disp += page_offset;
    if (!fits_i32(disp)) return 0;
  }
  const OpNotes notes = {.can_fault = entry.can_fault,
                         .imm_is_operand = entry.imm_is_operand,
                         .disp_of = entry.disp_of,
                         .flags = {.reads = unpacked_flags(entry.flag_reads),
                                   .writes = unpacked_flags(entry.flag_writes),
                                   .without_flags = entry.without_flags}};
  Op& op = block.repeat(page_offset, notes);
  op.handler = entry.handler;
  op.imm = imm;
  op.disp = static_cast<i32>(disp);
  op.dst = entry.dst;
  op.src = entry.src;
  op.base = entry.base;
  op.index = entry.index;
  op.scale = entry.scale;
  return entry.length;
}

void TranslatedShapes::keep(const BlockBuilder& block, const Instruction& insn, const u8* bytes,
                            const DecodedShapes::Numbers& numbers) {
  const std::span<const Op> ops = block.current_ops();
  if (block.is_unlike_others() || ops.size() > 1) return;
  if (numbers.displacement.size > sizeof(i32) || numbers.immediates[1].size != 0) return;

  Entry kept;
  kept.shape = numbers.shape;
  kept.mode = static_cast<u16>(block.mode());
  kept.length = static_cast<u8>(insn.length());
  kept.displacement_field = numbers.displacement;
  kept.immediate_field = numbers.immediates[0];
  kept.immediate = static_cast<u8>(insn.z.raw.imm[0].value.u);
  if (!ops.empty()) {
    const Op& op = ops.front();
    const OpNotes& notes = block.current_notes().front();
    i64 disp = op.disp;
    if (notes.disp_of != DispOf::kConstant && numbers.displacement.size != 0) disp -= insn.z.raw.disp.value;
    if (notes.disp_of == DispOf::kPlace) disp -= insn.page_offset;
    if (!fits_i32(disp)) return;
    kept.handler = op.handler;
    kept.without_flags = notes.flags.without_flags;
    kept.imm = op.imm;
    kept.disp = static_cast<i32>(disp);
    kept.dst = op.dst;
    kept.src = op.src;
    kept.base = op.base;
    kept.index = op.index;
    kept.scale = op.scale;
    kept.flag_reads = packed_flags(notes.flags.reads);
    kept.flag_writes = packed_flags(notes.flags.writes);
    kept.disp_of = notes.disp_of;
    kept.can_fault = notes.can_fault;
    kept.imm_is_operand = notes.imm_is_operand;
  }
  if (!kept.imm_is_operand && kept.immediate_field.size > 1) return;
  entry_of(numbers.shape, bytes) = kept;
}

}  // namespace bhvm
