#include "cpu/translated_shapes.h"

#include <utility>

#include "cpu/joined_ops.h"

namespace bhvm {
namespace {

bool fits_i32(i64 value) { return value == static_cast<i32>(value); }

}  // namespace

TranslatedShapes::TranslatedShapes()
    : sets_(std::size_t{1} << kSetBits), forms_(1), form_numbers_(std::size_t{1} << kFormBits) {}

TranslatedShapes& TranslatedShapes::of_this_thread() {
  static thread_local TranslatedShapes shapes;
  return shapes;
}

u16 TranslatedShapes::number_of(const Form& form) {
  std::size_t slot = (reinterpret_cast<std::uintptr_t>(form.handler) * 0x9E3779B97F4A7C15) >> (64 - kFormBits);
  while (const u16 number = form_numbers_[slot]) {
    if (forms_[number].handler == form.handler && forms_[number].notes == form.notes) return number;
    slot = (slot + 1) % form_numbers_.size();
  }
  if (forms_.size() == form_numbers_.size() / 2) return kNoForm;
  form_numbers_[slot] = static_cast<u16>(forms_.size());
  forms_.push_back(form);
  return form_numbers_[slot];
}

const TranslatedShapes::Entry* TranslatedShapes::find(const InstructionShape& shape, const u8* bytes, u32 mode) {
  Set& set = set_of(shape, bytes);
  for (Entry& entry : set) {
    if (entry.shape != shape.bytes || entry.mode != mode) continue;
    if (&entry != &set[0]) std::swap(entry, set[0]);
    return &set[0];
  }
  return nullptr;
}

unsigned TranslatedShapes::repeat(BlockBuilder& block, const InstructionShape& shape, const u8* bytes,
                                  u16 page_offset) {
  const Entry* const found = find(shape, bytes, block.mode());
  if (found == nullptr) return 0;
  const Entry& entry = *found;
  const Form& form = forms_[entry.form];
  const unsigned length = shape.size + entry.displacement_field.size + entry.immediate_field.size;
  i64 imm = entry.imm;
  if (entry.immediate_field.size != 0) {
    const u64 value = entry.immediate_field.read(bytes);
    if (form.notes.imm_is_operand) {
      imm = static_cast<i64>(value);
    } else if (static_cast<u8>(value) != entry.immediate) {
      return 0;
    }
  }
  if (form.handler == nullptr) {
    block.repeat(page_offset);
    return length;
  }
  i64 disp = entry.disp;
  if (form.notes.disp_of != DispOf::kConstant) {
    if (entry.displacement_field.size != 0) disp += static_cast<i64>(entry.displacement_field.read(bytes));
    if (form.notes.disp_of == DispOf::kPlace) disp += page_offset;
    if (!fits_i32(disp)) return 0;
  }
  block.repeat({.handler = form.handler,
                .imm = imm,
                .disp = static_cast<i32>(disp),
                .dst = entry.dst,
                .src = entry.src,
                .base = entry.base,
                .index = entry.index,
                .page_offset = page_offset,
                .scale = entry.scale},
               form.notes);
  return length;
}

bool TranslatedShapes::keep(const BlockBuilder& block, const Instruction& insn, const u8* bytes,
                            const DecodedShapes::Numbers& numbers) {
  if (block.is_unlike_others()) return false;
  const std::span<const Op> ops = block.current_ops();
  if (ops.size() > 1) return false;
  if (numbers.displacement.size > sizeof(i32) || numbers.immediates[1].size != 0) return false;

  Form form;
  Entry kept;
  kept.shape = numbers.shape.bytes;
  kept.mode = static_cast<u16>(block.mode());
  kept.displacement_field = numbers.displacement;
  kept.immediate_field = numbers.immediates[0];
  kept.immediate = static_cast<u8>(insn.z.raw.imm[0].value.u);
  if (!ops.empty()) {
    const Op& op = ops.front();
    form = {op.handler, block.current_notes().front()};
    form.notes.instruction = 0;
    form.notes.part = part_of(op.handler);
    if (form.notes.flags.without_flags != nullptr) {
      form.notes.part_without_flags = part_of(form.notes.flags.without_flags);
    }
    i64 disp = op.disp;
    if (form.notes.disp_of != DispOf::kConstant && numbers.displacement.size != 0) disp -= insn.z.raw.disp.value;
    if (form.notes.disp_of == DispOf::kPlace) disp -= insn.page_offset;
    const bool imm_is_read = form.notes.imm_is_operand && kept.immediate_field.size != 0;
    if (!fits_i32(disp) || !(imm_is_read || fits_i32(op.imm)) || (op.base | op.index) > 0xFF) return false;
    kept.imm = imm_is_read ? 0 : static_cast<i32>(op.imm);
    kept.disp = static_cast<i32>(disp);
    kept.dst = op.dst;
    kept.src = op.src;
    kept.base = static_cast<u8>(op.base);
    kept.index = static_cast<u8>(op.index);
    kept.scale = op.scale;
  }
  if (!form.notes.imm_is_operand && kept.immediate_field.size > 1) return false;
  kept.form = number_of(form);
  if (kept.form == kNoForm) return false;
  Set& set = set_of(numbers.shape, bytes);
  set = {kept, set[0], set[1], set[2]};
  return true;
}

}  // namespace bhvm
