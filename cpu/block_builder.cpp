#include "cpu/block_builder.h"

#include <cstddef>

#include "base/check.h"
#include "cpu/address_ops.h"
#include "cpu/cpu.h"

namespace bhvm {
namespace {

constexpr u16 offset16(std::size_t offset) { return static_cast<u16>(offset); }

// struct Cpu is not standard-layout (it holds references), but every compiler in use lays it out; the assertions in
// cpu/cpu.cpp hold it to what the ops need.
#define BHVM_OFFSET(member) offset16(__builtin_offsetof(Cpu, member))

u16 gpr_offset(unsigned index) { return offset16(BHVM_OFFSET(s.gpr) + 8 * index); }

u16 segment_base_offset(ZydisRegister segment) {
  return offset16(segment_offset(segment) + offsetof(SegmentState, base));
}

bool fits_i32(i64 value) { return value == static_cast<i32>(value); }

}  // namespace

u16 segment_offset(ZydisRegister segment) {
  return offset16(BHVM_OFFSET(s.segments) + static_cast<unsigned>(segment - ZYDIS_REGISTER_ES) * sizeof(SegmentState));
}

u16 BlockBuilder::offset_of(ZydisRegister reg) {
  if (reg >= ZYDIS_REGISTER_RAX && reg <= ZYDIS_REGISTER_R15) return gpr_offset(reg - ZYDIS_REGISTER_RAX);
  if (reg >= ZYDIS_REGISTER_EAX && reg <= ZYDIS_REGISTER_R15D) return gpr_offset(reg - ZYDIS_REGISTER_EAX);
  if (reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_R15W) return gpr_offset(reg - ZYDIS_REGISTER_AX);
  if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_BL) return gpr_offset(reg - ZYDIS_REGISTER_AL);
  if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) return offset16(gpr_offset(reg - ZYDIS_REGISTER_AH) + 1);
  if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_R15B) return gpr_offset(reg - ZYDIS_REGISTER_SPL + kRsp);
  if (reg >= ZYDIS_REGISTER_XMM0 && reg <= ZYDIS_REGISTER_XMM15) {
    return offset16(BHVM_OFFSET(s.xmm) + sizeof(Xmm) * (reg - ZYDIS_REGISTER_XMM0));
  }
  if (reg >= ZYDIS_REGISTER_MM0 && reg <= ZYDIS_REGISTER_MM7) {
    return offset16(BHVM_OFFSET(s.x87.regs) + sizeof(Float80) * (reg - ZYDIS_REGISTER_MM0) +
                    offsetof(Float80, significand));
  }
  if (reg == ZYDIS_REGISTER_NONE) return BHVM_OFFSET(zero);
  BHVM_UNREACHABLE("a register without a place in the CPU's state was asked for");
}

Address BlockBuilder::address(const Instruction& insn, const ZydisDecodedOperand& memory) {
  return place(insn, memory, offset_of(memory.mem.index));
}

Address BlockBuilder::address_with_scratch_index(const Instruction& insn, const ZydisDecodedOperand& memory) {
  return place(insn, memory, BHVM_OFFSET(scratch));
}

Address BlockBuilder::place(const Instruction& insn, const ZydisDecodedOperand& memory, u16 index) {
  const ZydisDecodedOperandMem& m = memory.mem;
  const unsigned width = insn.z.address_width;
  const bool no_segment = m.type == ZYDIS_MEMOP_TYPE_AGEN;  // LEA
  const bool code64 = insn.code64();
  const bool based = m.segment == ZYDIS_REGISTER_FS || m.segment == ZYDIS_REGISTER_GS;

  Address a;
  i64 disp = m.disp.value;
  if (m.base == ZYDIS_REGISTER_RIP || m.base == ZYDIS_REGISTER_EIP) {
    a.base = BHVM_OFFSET(page_base);
    a.disp_of = DispOf::kPlace;
    disp += static_cast<i64>(insn.page_offset) + insn.length();
  } else {
    a.base = offset_of(m.base);
    a.disp_of = DispOf::kDisplacement;
  }
  a.index = index;
  a.scale = static_cast<u8>(m.scale == 8 ? 3 : m.scale == 4 ? 2 : m.scale == 2 ? 1 : 0);
  a.disp = static_cast<i32>(disp);
  a.simple = index == BHVM_OFFSET(zero);
  const u8 stack = m.segment == ZYDIS_REGISTER_SS ? Op::kStackSegment : u8{0};

  if (code64 && width == 64 && (no_segment || !based) && fits_i32(disp)) {
    a.scale |= stack;
    return a;
  }

  // Everything else is computed by an op of its own into cpu.scratch_address.
  if (!fits_i32(disp)) {  // an absolute 64-bit offset, or RIP-relative at the edge of what an i32 holds
    unlike_others();
    Op& load = emit(address_op_immediate);
    load.imm = disp;
    load.src = a.base;
    a.base = BHVM_OFFSET(scratch_address);
    a.disp = 0;
  }
  Op& op = emit(nullptr);
  last_notes().disp_of = a.disp_of;
  op.base = a.base;
  op.index = a.index;
  op.scale = static_cast<u8>(a.scale | stack);
  op.disp = a.disp;
  const u64 mask = width == 64 ? ~u64{0} : width == 32 ? 0xFFFFFFFF : 0xFFFF;
  op.imm = static_cast<i64>(mask);
  op.src = BHVM_OFFSET(zero);
  if (no_segment) {
    op.handler = address_op_masked;
  } else if (code64) {
    if (based) op.src = segment_base_offset(m.segment);
    op.handler = width == 64 ? address_op_based : address_op_masked;
  } else {
    // FS and GS are nobody's flat segments, and CS may not be written through.
    const bool flat = (insn.mode & mode::kFlat) != 0 && !based && m.segment != ZYDIS_REGISTER_CS;
    if (flat) {
      op.handler = address_op_masked;
    } else {
      op.handler = address_op_checked;
      op.src = segment_offset(m.segment);
      const bool writes = (memory.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
      op.dst = static_cast<u16>((memory.size / 8) | (writes ? kAddressOpWrites : 0));
    }
  }
  Address result;
  result.base = BHVM_OFFSET(scratch_address);
  result.index = BHVM_OFFSET(zero);
  result.scale = stack;
  result.simple = true;
  return result;
}

void BlockBuilder::address_to_scratch(const Instruction& insn, const ZydisDecodedOperand& memory) {
  const Address a = address(insn, memory);
  if (a.base == BHVM_OFFSET(scratch_address)) return;
  Op& op = emit(address_op_plain, a);
  op.scale = a.scale;
}

Op& BlockBuilder::emit(Handler handler, bool can_fault) {
  constexpr u16 kZero = BHVM_OFFSET(zero);
  append({.handler = handler, .base = kZero, .index = kZero, .page_offset = page_offset_}, {.can_fault = can_fault});
  return last();
}

Op& BlockBuilder::emit(Handler handler, const Address& address, bool can_fault) {
  Op& op = emit(handler, can_fault);
  op.base = address.base;
  op.index = address.index;
  op.scale = address.scale;
  op.disp = address.disp;
  last_notes().disp_of = address.disp_of;
  return op;
}

Op& BlockBuilder::emit_data() {
  Op& op = emit(nullptr, false);
  last_notes().data = true;
  unlike_others();
  return op;
}

Op& BlockBuilder::emit_system(Handler handler, const Instruction& insn) {
  Op& op = emit(handler);
  op.disp = static_cast<i32>(insn.length());
  for (unsigned i = 0; i < insn.z.operand_count_visible; ++i) {
    if (insn.is_memory(i) && insn.operand(i).mem.segment == ZYDIS_REGISTER_SS) op.scale = Op::kStackSegment;
  }
  end();
  return op;
}

void BlockBuilder::flags(FlagUse use) { last_notes().flags = use; }

void BlockBuilder::begin(u32 mode) {
  count_ = 0;
  instructions_ = 0;
  mode_ = mode;
  ended_ = false;
}

const Op* BlockBuilder::previous_single_op() {
  unlike_others();
  if (instructions_ < 2 || count_ == 0) return nullptr;
  const std::size_t last = count_ - 1;
  if (notes_[last].data || notes_[last].instruction != instructions_ - 2) return nullptr;
  if (last > 0 && notes_[last - 1].instruction == notes_[last].instruction) return nullptr;
  return &ops_[last];
}

Op& BlockBuilder::emit_fused(Handler handler) {
  last().handler = handler;
  last_notes() = {.instruction = last_notes().instruction, .instructions = 2};
  return last();
}

std::size_t BlockBuilder::count_current() const {
  std::size_t count = 0;
  while (count < count_ && notes_[count_ - 1 - count].instruction == instructions_ - 1) count += 1;
  return count;
}

void BlockBuilder::finish() {
  u16 live = rflags::kArithmetic;
  for (std::size_t i = count_; i-- > 0;) {
    OpNotes& notes = notes_[i];
    if (notes.data) continue;
    Op& op = ops_[i];
    op.rest = static_cast<u8>(instructions_ - notes.instruction - notes.instructions);
    const FlagUse& use = notes.flags;
    if (use.without_flags != nullptr && (use.writes & live) == 0) {
      op.handler = use.without_flags;
      notes.part = notes.part_without_flags;
    }
    live = static_cast<u16>((live & ~use.writes) | use.reads);
    if (notes.can_fault) live = rflags::kArithmetic;
  }
}

}  // namespace bhvm
