#include "oracle/generate/plan.h"

namespace bhvm::oracle {
namespace {

Access access_of(const Instruction& insn, const ZydisDecodedOperand& operand) {
  const ZydisDecodedOperandMem& m = operand.mem;
  Access a;
  a.base = m.base == ZYDIS_REGISTER_RIP || m.base == ZYDIS_REGISTER_EIP ? kInstructionPointer : gpr_number(m.base);
  a.index = gpr_number(m.index);
  a.scale = m.scale == 0 ? 1 : m.scale;
  a.displacement = m.disp.value;
  a.segment = !insn.code64() ? 0U : m.segment == ZYDIS_REGISTER_FS ? 1U : m.segment == ZYDIS_REGISTER_GS ? 2U : 0U;
  a.address_bits = insn.z.address_width;
  a.size = operand.size / 8;
  a.kind = value_kind(operand);
  a.reads = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
  a.writes = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
  a.hidden = operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN;
  a.stack = a.hidden && m.segment == ZYDIS_REGISTER_SS && a.base == 4;
  return a;
}

}  // namespace

int gpr_number(ZydisRegister reg) {
  switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8:
      if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH) return reg - ZYDIS_REGISTER_AH;
      return reg <= ZYDIS_REGISTER_BL ? reg - ZYDIS_REGISTER_AL : reg - ZYDIS_REGISTER_SPL + 4;
    case ZYDIS_REGCLASS_GPR16:
      return reg - ZYDIS_REGISTER_AX;
    case ZYDIS_REGCLASS_GPR32:
      return reg - ZYDIS_REGISTER_EAX;
    case ZYDIS_REGCLASS_GPR64:
      return reg - ZYDIS_REGISTER_RAX;
    default:
      return kNoRegister;
  }
}

ValueKind value_kind(const ZydisDecodedOperand& operand) {
  switch (operand.element_type) {
    case ZYDIS_ELEMENT_TYPE_FLOAT32:
      return ValueKind::kFloat32;
    case ZYDIS_ELEMENT_TYPE_FLOAT64:
      return ValueKind::kFloat64;
    case ZYDIS_ELEMENT_TYPE_FLOAT80:
      return ValueKind::kFloat80;
    case ZYDIS_ELEMENT_TYPE_LONGBCD:
      return ValueKind::kBcd;
    default:
      return ValueKind::kInteger;
  }
}

const Access* Plan::explicit_access() const {
  for (unsigned i = 0; i < access_count; ++i) {
    if (!accesses[i].hidden) return &accesses[i];
  }
  return nullptr;
}

Plan make_plan(const Instance& main, Mode mode, u64 entry, u64 address, const CodePlace& place) {
  Plan plan;
  plan.main = &main;
  plan.mode = mode;
  plan.code64 = mode == Mode::kUser64 || mode == Mode::kKernel64;
  plan.kernel = mode == Mode::kKernel64 || mode == Mode::kKernel32;
  plan.entry = entry;
  plan.next = address + main.bytes.size;
  plan.place = place;
  if (!main.form->accepted) return plan;
  const Instruction& insn = main.insn;
  for (unsigned i = 0; i < insn.z.operand_count && plan.access_count < plan.accesses.size(); ++i) {
    const ZydisDecodedOperand& operand = insn.operand(i);
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || operand.mem.type == ZYDIS_MEMOP_TYPE_AGEN) continue;
    plan.accesses[plan.access_count++] = access_of(insn, operand);
  }
  return plan;
}

}  // namespace bhvm::oracle
