#include "cpu/sse/forms.h"

#include "cpu/mode.h"

namespace bhvm::sse {

BHVM_HANDLER(raise_x87_exception) {
  cpu.raise(vector::kX87);
  BHVM_FAULT;
}

namespace {

constexpr u64 kCr4Osfxsr = 1 << 9;

/// CR0.TS with CR4.OSFXSR clear is #UD: the mode key does not tell the two apart, the register does.
BHVM_HANDLER(raise_sse_unusable) {
  cpu.raise((cpu.s.cr4 & kCr4Osfxsr) == 0 ? vector::kInvalidOpcode : vector::kDeviceNotAvailable);
  BHVM_FAULT;
}

bool in_range(const ZydisDecodedOperand& operand, ZydisRegister first, ZydisRegister last) {
  return operand.type == ZYDIS_OPERAND_TYPE_REGISTER && operand.reg.value >= first && operand.reg.value <= last;
}

}  // namespace

bool is_mmx(const ZydisDecodedOperand& operand) { return in_range(operand, ZYDIS_REGISTER_MM0, ZYDIS_REGISTER_MM7); }
bool is_xmm(const ZydisDecodedOperand& operand) { return in_range(operand, ZYDIS_REGISTER_XMM0, ZYDIS_REGISTER_XMM15); }
bool is_gpr(const ZydisDecodedOperand& operand) { return in_range(operand, ZYDIS_REGISTER_AL, ZYDIS_REGISTER_R15); }

bool mmx_usable(BlockBuilder& block, const Instruction& insn) {
  if ((insn.mode & mode::kFpuUsable) != 0) return true;
  block.emit((insn.mode & mode::kEmulate) != 0 ? raise_invalid_opcode : raise_device_not_available);
  block.end();
  return false;
}

bool sse_usable(BlockBuilder& block, const Instruction& insn) {
  if ((insn.mode & mode::kSseUsable) != 0) return true;
  block.emit((insn.mode & mode::kEmulate) != 0 ? raise_invalid_opcode : raise_sse_unusable);
  block.end();
  return false;
}

bool emit_forms(BlockBuilder& block, const Instruction& insn, const Forms& forms) {
  const u16 dst = BlockBuilder::offset_of(insn.operand(0).reg.value);
  Op* op = nullptr;
  if (insn.is_memory(1)) {
    if (forms.mem == nullptr) return false;
    op = &block.emit(forms.mem, block.address(insn, insn.operand(1)));
  } else {
    if (forms.reg == nullptr) return false;
    op = &block.emit(forms.reg, forms.reg_can_fault);
    op->src = insn.is_register(1) ? BlockBuilder::offset_of(insn.operand(1).reg.value) : dst;
  }
  op->dst = dst;
  const unsigned last = insn.z.operand_count_visible - 1u;
  if (insn.is_immediate(last)) op->imm = static_cast<i64>(insn.operand(last).imm.value.u & 0xFF);
  return true;
}

}  // namespace bhvm::sse
