#include "cpu/decoded_shapes.h"

#include <algorithm>
#include <span>

namespace bhvm {
DecodedShapes::DecodedShapes() : sets_(std::size_t{1} << kSetBits) {}

DecodedShapes& DecodedShapes::of_this_thread() {
  static thread_local DecodedShapes shapes;
  return shapes;
}

/// Makes the entry's decoding one for all instructions of this shape. False when it is not.
bool DecodedShapes::learn(const InstructionShape& shape, Entry& entry) {
  const auto& raw = entry.insn.z.raw;
  const std::span operands(entry.insn.operands, entry.insn.z.operand_count);
  Numbers& numbers = entry.numbers;
  numbers.shape = shape;
  numbers.displacement = {raw.disp.offset, static_cast<u8>(raw.disp.size / 8), true};
  entry.displacement_operands = 0;
  unsigned end = entry.insn.length();
  for (unsigned i = 0; i < 2; ++i) {
    const auto& imm = raw.imm[i];
    numbers.immediates[i] = {imm.offset, static_cast<u8>(imm.size / 8), imm.is_signed != 0};
    entry.immediate_operands[i] = 0;
    if (imm.size != 0) end = std::min<unsigned>(end, imm.offset);
  }
  if (raw.disp.size != 0) end = std::min<unsigned>(end, raw.disp.offset);
  if (end != shape.size) return false;

  unsigned next_immediate = 0;
  for (unsigned i = 0; i < operands.size(); ++i) {
    const ZydisDecodedOperand& operand = operands[i];
    const u8 bit = static_cast<u8>(1 << (i & 7));
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.mem.disp.has_displacement != 0) {
      if (i > 7 || raw.disp.size == 0 || operand.mem.disp.value != raw.disp.value) return false;
      entry.displacement_operands |= bit;
    } else if (operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE && operand.encoding != ZYDIS_OPERAND_ENCODING_NONE) {
      if (i > 7 || next_immediate > 1) return false;
      if (operand.imm.value.u != raw.imm[next_immediate].value.u) return false;
      entry.immediate_operands[next_immediate++] |= bit;
    } else if (operand.type == ZYDIS_OPERAND_TYPE_POINTER) {
      return false;
    }
  }
  return true;
}

void DecodedShapes::fill_in(Entry& entry, const u8* bytes) {
  Instruction& insn = entry.insn;
  const Numbers& numbers = entry.numbers;
  if (numbers.displacement.size != 0) {
    const i64 value = static_cast<i64>(numbers.displacement.read(bytes));
    insn.z.raw.disp.value = value;
    for (unsigned i = 0, bits = entry.displacement_operands; bits != 0; ++i, bits >>= 1) {
      if ((bits & 1) != 0) insn.operands[i].mem.disp.value = value;
    }
  }
  for (unsigned k = 0; k < 2 && numbers.immediates[k].size != 0; ++k) {
    const u64 value = numbers.immediates[k].read(bytes);
    insn.z.raw.imm[k].value.u = value;
    for (unsigned i = 0, bits = entry.immediate_operands[k]; bits != 0; ++i, bits >>= 1) {
      if ((bits & 1) != 0) insn.operands[i].imm.value.u = value;
    }
  }
}

DecodedShapes::Entry* DecodedShapes::find(const InstructionShape& shape) {
  for (Entry& entry : set_of(shape).entries) {
    if (entry.numbers.shape == shape) return &entry;
  }
  return nullptr;
}

Decoded DecodedShapes::decode(std::span<const u8> bytes, const InstructionShape& shape, bool code64,
                              Instruction*& insn) {
  numbers_ = nullptr;
  const bool has_shape = code64 && shape;
  if (Entry* const entry = has_shape ? find(shape) : nullptr) {
    fill_in(*entry, bytes.data());
    insn = &entry->insn;
    numbers_ = &entry->numbers;
    return Decoded::kYes;
  }
  insn = &last_.insn;
  const Decoded decoded = decoder_.decode(bytes, code64, last_.insn);
  if (decoded == Decoded::kYes && has_shape && learn(shape, last_)) numbers_ = &last_.numbers;
  return decoded;
}

void DecodedShapes::keep() {
  if (numbers_ != &last_.numbers) return;
  Set& set = set_of(last_.numbers.shape);
  set.entries[set.next] = last_;
  set.next ^= 1;
}

}  // namespace bhvm
