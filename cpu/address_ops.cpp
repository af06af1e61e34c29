#include "cpu/address_ops.h"

#include "cpu/handler.h"

namespace bhvm {

BHVM_HANDLER(address_op_immediate) {
  cpu.scratch_address = operand<u64>(cpu, op->src) + static_cast<u64>(op->imm);
  BHVM_NEXT;
}

BHVM_HANDLER(address_op_masked) {
  cpu.scratch_address = (address_of(cpu, op) & static_cast<u64>(op->imm)) + operand<u64>(cpu, op->src);
  BHVM_NEXT;
}

bool segment_allows(const SegmentState& segment, u64 offset, u64 size, bool write) {
  const u16 attributes = segment.attributes;
  if ((attributes & descriptor::kPresent) == 0) return false;
  const bool code = (attributes & descriptor::kCode) != 0;
  const bool second_bit = (attributes & descriptor::kWritable) != 0;
  if (write ? code || !second_bit : code && !second_bit) return false;
  const u64 last = offset + (size == 0 ? 0 : size - 1);
  if (!code && (attributes & descriptor::kExpandDown) != 0) {
    const u64 top = (attributes & descriptor::kBig) != 0 ? 0xFFFFFFFF : 0xFFFF;
    return offset > segment.limit && last <= top;
  }
  // What crosses the end of 4 GiB wraps, as it does in a flat segment (SDM 3, 5.3 leaves it to the processor).
  constexpr u32 kNoLimit = 0xFFFFFFFF;
  return segment.limit == kNoLimit || last <= segment.limit;
}

BHVM_HANDLER(address_op_checked) {
  const SegmentState& segment = operand<SegmentState>(cpu, op->src);
  const u64 offset = address_of(cpu, op) & static_cast<u64>(op->imm);
  const u64 size = op->dst & ~kAddressOpWrites;
  if (BHVM_UNLIKELY(!segment_allows(segment, offset, size, (op->dst & kAddressOpWrites) != 0))) {
    const bool stack = (op->scale & Op::kStackSegment) != 0;
    cpu.raise(stack ? vector::kStackFault : vector::kGeneralProtection);
    BHVM_FAULT;
  }
  cpu.scratch_address = (offset + segment.base) & 0xFFFFFFFF;
  BHVM_NEXT;
}

}  // namespace bhvm
