#include "cpu/x87/translate.h"

#include "cpu/system_op.h"
#include "cpu/undefined.h"
#include "cpu/x87/opcodes.h"
#include "cpu/x87/operations.h"
#include "cpu/x87/save_areas.h"

namespace bhvm {
namespace {

using namespace x87;

bool emit_not_available(BlockBuilder& block) {
  block.emit(raise_device_not_available);
  block.end();
  return true;
}

/// The bits of Op::imm: how to find FOP, FDP and FDS at run time.
i64 info_of(const Instruction& insn, const ZydisDecodedOperand* memory) {
  const i64 fop = static_cast<i64>(insn.z.opcode & 7) << 8 | insn.z.raw.modrm.mod << 6 | insn.z.raw.modrm.reg << 3 |
                  insn.z.raw.modrm.rm;
  if (memory == nullptr) return fop;
  const ZydisRegister segment = memory->mem.segment;
  const bool has_base = !insn.code64() || segment == ZYDIS_REGISTER_FS || segment == ZYDIS_REGISTER_GS;
  return fop | op_info::kHasMemory | (has_base ? op_info::kSegmentHasBase : 0) |
         static_cast<i64>(segment - ZYDIS_REGISTER_ES) << op_info::kSegmentShift;
}

const ZydisDecodedOperand* memory_operand(const Instruction& insn) {
  for (unsigned i = 0; i < insn.z.operand_count_visible; ++i) {
    if (insn.is_memory(i)) return &insn.operand(i);
  }
  return nullptr;
}

bool translate_escape(BlockBuilder& block, const Instruction& insn) {
  if ((insn.mode & mode::kFpuUsable) == 0) return emit_not_available(block);
  const ZydisDecodedOperand* memory = memory_operand(insn);
  const auto& modrm = insn.z.raw.modrm;
  const unsigned escape = insn.z.opcode & 7;
  const Opcode opcode =
      memory != nullptr ? memory_opcode(escape, modrm.reg) : register_opcode(escape, modrm.reg, modrm.rm);
  if (opcode.kind == Opcode::Kind::kNone) return false;
  if (opcode.kind == Opcode::Kind::kSystem) {
    if (memory != nullptr) block.address_to_scratch(insn, *memory);
    Op& op = block.emit_system(opcode.handler, insn);
    // The environments' format follows the operand size, which is 32 bits in 64-bit code without a prefix.
    op.src = memory != nullptr ? static_cast<u16>(insn.z.operand_width != 16) : opcode.variant;
    op.imm = info_of(insn, nullptr);
    return true;
  }
  Op* op = nullptr;
  if (memory != nullptr) {
    const Address address = block.address(insn, *memory);
    op = &block.emit(opcode.handler, address);
  } else {
    op = &block.emit(opcode.handler);
    op->dst = modrm.rm;
  }
  op->src = opcode.variant;
  op->imm = info_of(insn, memory);
  if (opcode.kind == Opcode::Kind::kFlags) block.flags({.reads = 0, .writes = rflags::kArithmetic});
  return true;
}

bool translate_wait(BlockBuilder& block, const Instruction& insn) {
  constexpr u32 kWaitTraps = mode::kTaskSwitched | mode::kMonitorFpu;
  if ((insn.mode & kWaitTraps) == kWaitTraps) return emit_not_available(block);
  block.emit(x87_control_op<wait>);
  return true;
}

bool translate_emms(BlockBuilder& block, const Instruction& insn) {
  if ((insn.mode & mode::kEmulate) != 0) return false;
  if ((insn.mode & mode::kTaskSwitched) != 0) return emit_not_available(block);
  block.emit(x87_control_op<empty_mmx>);
  return true;
}

template <SystemFunction function>
bool emit_area(BlockBuilder& block, const Instruction& insn) {
  if ((insn.mode & mode::kTaskSwitched) != 0) return emit_not_available(block);
  block.address_to_scratch(insn, *memory_operand(insn));
  block.emit_system(system_op<function>, insn).src = insn.z.operand_width == 64 ? 1 : 0;
  return true;
}

/// FXSAVE and FXRSTOR: #UD with CR0.EM.
template <SystemFunction function>
bool translate_fx(BlockBuilder& block, const Instruction& insn) {
  if ((insn.mode & mode::kEmulate) != 0) return false;
  return emit_area<function>(block, insn);
}

/// XSAVE and kin: #UD without CR4.OSXSAVE.
template <SystemFunction function>
bool translate_xsave(BlockBuilder& block, const Instruction& insn) {
  if ((insn.mode & mode::kXsave) == 0) return false;
  return emit_area<function>(block, insn);
}

template <SystemFunction function>
bool translate_xcr(BlockBuilder& block, const Instruction& insn) {
  if ((insn.mode & mode::kXsave) == 0) return false;
  block.emit_system(system_op<function>, insn);
  return true;
}

constexpr ZydisMnemonic kEscapes[] = {
    ZYDIS_MNEMONIC_F2XM1,   ZYDIS_MNEMONIC_FABS,          ZYDIS_MNEMONIC_FADD,          ZYDIS_MNEMONIC_FADDP,
    ZYDIS_MNEMONIC_FBLD,    ZYDIS_MNEMONIC_FBSTP,         ZYDIS_MNEMONIC_FCHS,          ZYDIS_MNEMONIC_FCMOVB,
    ZYDIS_MNEMONIC_FCMOVBE, ZYDIS_MNEMONIC_FCMOVE,        ZYDIS_MNEMONIC_FCMOVNB,       ZYDIS_MNEMONIC_FCMOVNBE,
    ZYDIS_MNEMONIC_FCMOVNE, ZYDIS_MNEMONIC_FCMOVNU,       ZYDIS_MNEMONIC_FCMOVU,        ZYDIS_MNEMONIC_FCOM,
    ZYDIS_MNEMONIC_FCOMI,   ZYDIS_MNEMONIC_FCOMIP,        ZYDIS_MNEMONIC_FCOMP,         ZYDIS_MNEMONIC_FCOMPP,
    ZYDIS_MNEMONIC_FCOS,    ZYDIS_MNEMONIC_FDECSTP,       ZYDIS_MNEMONIC_FDISI8087_NOP, ZYDIS_MNEMONIC_FDIV,
    ZYDIS_MNEMONIC_FDIVP,   ZYDIS_MNEMONIC_FDIVR,         ZYDIS_MNEMONIC_FDIVRP,        ZYDIS_MNEMONIC_FENI8087_NOP,
    ZYDIS_MNEMONIC_FFREE,   ZYDIS_MNEMONIC_FFREEP,        ZYDIS_MNEMONIC_FIADD,         ZYDIS_MNEMONIC_FICOM,
    ZYDIS_MNEMONIC_FICOMP,  ZYDIS_MNEMONIC_FIDIV,         ZYDIS_MNEMONIC_FIDIVR,        ZYDIS_MNEMONIC_FILD,
    ZYDIS_MNEMONIC_FIMUL,   ZYDIS_MNEMONIC_FINCSTP,       ZYDIS_MNEMONIC_FIST,          ZYDIS_MNEMONIC_FISTP,
    ZYDIS_MNEMONIC_FISTTP,  ZYDIS_MNEMONIC_FISUB,         ZYDIS_MNEMONIC_FISUBR,        ZYDIS_MNEMONIC_FLD,
    ZYDIS_MNEMONIC_FLD1,    ZYDIS_MNEMONIC_FLDCW,         ZYDIS_MNEMONIC_FLDENV,        ZYDIS_MNEMONIC_FLDL2E,
    ZYDIS_MNEMONIC_FLDL2T,  ZYDIS_MNEMONIC_FLDLG2,        ZYDIS_MNEMONIC_FLDLN2,        ZYDIS_MNEMONIC_FLDPI,
    ZYDIS_MNEMONIC_FLDZ,    ZYDIS_MNEMONIC_FMUL,          ZYDIS_MNEMONIC_FMULP,         ZYDIS_MNEMONIC_FNCLEX,
    ZYDIS_MNEMONIC_FNINIT,  ZYDIS_MNEMONIC_FNOP,          ZYDIS_MNEMONIC_FNSAVE,        ZYDIS_MNEMONIC_FNSTCW,
    ZYDIS_MNEMONIC_FNSTENV, ZYDIS_MNEMONIC_FNSTSW,        ZYDIS_MNEMONIC_FPATAN,        ZYDIS_MNEMONIC_FPREM,
    ZYDIS_MNEMONIC_FPREM1,  ZYDIS_MNEMONIC_FPTAN,         ZYDIS_MNEMONIC_FRNDINT,       ZYDIS_MNEMONIC_FRSTOR,
    ZYDIS_MNEMONIC_FSCALE,  ZYDIS_MNEMONIC_FSETPM287_NOP, ZYDIS_MNEMONIC_FSIN,          ZYDIS_MNEMONIC_FSINCOS,
    ZYDIS_MNEMONIC_FSQRT,   ZYDIS_MNEMONIC_FST,           ZYDIS_MNEMONIC_FSTP,          ZYDIS_MNEMONIC_FSTPNCE,
    ZYDIS_MNEMONIC_FSUB,    ZYDIS_MNEMONIC_FSUBP,         ZYDIS_MNEMONIC_FSUBR,         ZYDIS_MNEMONIC_FSUBRP,
    ZYDIS_MNEMONIC_FTST,    ZYDIS_MNEMONIC_FUCOM,         ZYDIS_MNEMONIC_FUCOMI,        ZYDIS_MNEMONIC_FUCOMIP,
    ZYDIS_MNEMONIC_FUCOMP,  ZYDIS_MNEMONIC_FUCOMPP,       ZYDIS_MNEMONIC_FXAM,          ZYDIS_MNEMONIC_FXCH,
    ZYDIS_MNEMONIC_FXTRACT, ZYDIS_MNEMONIC_FYL2X,         ZYDIS_MNEMONIC_FYL2XP1,
};

struct Row {
  ZydisMnemonic mnemonic;
  Translator translator;
};
constexpr Row kOthers[] = {
    {ZYDIS_MNEMONIC_FWAIT, translate_wait},
    {ZYDIS_MNEMONIC_EMMS, translate_emms},
    {ZYDIS_MNEMONIC_FXSAVE, translate_fx<fxsave>},
    {ZYDIS_MNEMONIC_FXSAVE64, translate_fx<fxsave>},
    {ZYDIS_MNEMONIC_FXRSTOR, translate_fx<fxrstor>},
    {ZYDIS_MNEMONIC_FXRSTOR64, translate_fx<fxrstor>},
    {ZYDIS_MNEMONIC_XSAVE, translate_xsave<xsave>},
    {ZYDIS_MNEMONIC_XSAVE64, translate_xsave<xsave>},
    {ZYDIS_MNEMONIC_XSAVEOPT, translate_xsave<xsaveopt>},
    {ZYDIS_MNEMONIC_XSAVEOPT64, translate_xsave<xsaveopt>},
    {ZYDIS_MNEMONIC_XRSTOR, translate_xsave<xrstor>},
    {ZYDIS_MNEMONIC_XRSTOR64, translate_xsave<xrstor>},
    {ZYDIS_MNEMONIC_XGETBV, translate_xcr<xgetbv>},
    {ZYDIS_MNEMONIC_XSETBV, translate_xcr<xsetbv>},
};

}  // namespace

void register_x87(TranslatorTable& table) {
  for (const ZydisMnemonic mnemonic : kEscapes) table.add(mnemonic, translate_escape);
  for (const Row& row : kOthers) table.add(row.mnemonic, row.translator);
}

}  // namespace bhvm
