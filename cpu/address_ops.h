// Ops that compute a memory operand's linear address into cpu.scratch_address, for everything that does not fit the
// address fields of an op: FS and GS bases, 32- and 16-bit address sizes, segments that are not flat.
#pragma once

#include "cpu/step.h"

namespace bhvm {

/// base + (index << scale) + disp
struct AddressPlain {
  using Small = LoadOp;
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    cpu.scratch_address = address_of(cpu, op);
    return true;
  }
};
inline constexpr Handler address_op_plain = plain<AddressPlain>;
/// [src] + imm
BHVM_HANDLER(address_op_immediate);
/// base + (index << scale) + disp + [src], where src is a segment's base
struct AddressBased {
  using Small = WideStoreOp;
  template <Through>
  BHVM_INLINE static bool run(Cpu& cpu, [[maybe_unused]] FastData fast, const auto* op) {
    cpu.scratch_address = address_of(cpu, op) + operand<u64>(cpu, op->src);
    return true;
  }
};
inline constexpr Handler address_op_based = plain<AddressBased>;
/// ((base + (index << scale) + disp) & imm) + [src]
BHVM_HANDLER(address_op_masked);
/// The same through a segment with its checks: src is the SegmentState, dst the access size and kAddressOpWrites
/// (SDM 3, 5.3 to 5.5). The sum is truncated to 32 bits.
BHVM_HANDLER(address_op_checked);
inline constexpr u16 kAddressOpWrites = 0x8000;

/// Is [offset, offset + size) inside the segment, and may it be read (written)?
bool segment_allows(const struct SegmentState& segment, u64 offset, u64 size, bool write);

}  // namespace bhvm
