// Undefined flags of integer instructions, and what QEMU has wrong about them.
#include <algorithm>

#include "oracle/compare/explain.h"

namespace bhvm::oracle {
namespace {

/// Which status flags an instruction leaves undefined, given what is known of it.
struct UndefinedFlags {
  ZydisMnemonic mnemonic;
  u64 (*flags)(const MaskContext& context, const DecodedInstruction& insn);
};

template <u64 kFlags>
u64 always(const MaskContext&, const DecodedInstruction&) {
  return kFlags;
}

/// The count of a shift before it is masked; nothing when an instruction before it may have changed CL.
bool shift_count(const MaskContext& c, const DecodedInstruction& insn, unsigned operand, u64& count) {
  const ZydisDecodedOperand& by = insn.operands[operand];
  if (by.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
    count = by.imm.value.u;
    return true;
  }
  count = c.input.gpr[1];
  return &insn == c.instructions.data();
}

u64 masked(const DecodedInstruction& insn, u64 count) { return count & (insn.operands[0].size == 64 ? 63 : 31); }

u64 shift(const MaskContext& c, const DecodedInstruction& insn) {
  u64 count = 0;
  if (!shift_count(c, insn, 1, count)) return kStatusFlags;
  count = masked(insn, count);
  if (count == 0) return 0;
  const bool carry_defined = insn.z.mnemonic == ZYDIS_MNEMONIC_SAR || count < insn.operands[0].size;
  return kAuxiliary | (count == 1 ? 0 : kOverflowFlag) | (carry_defined ? 0 : kCarry);
}

u64 rotate(const MaskContext& c, const DecodedInstruction& insn) {
  u64 count = 0;
  if (!shift_count(c, insn, 1, count)) return kStatusFlags;
  count = masked(insn, count);
  return count <= 1 ? 0 : kOverflowFlag;
}

u64 double_shift(const MaskContext& c, const DecodedInstruction& insn) {
  u64 count = 0;
  if (!shift_count(c, insn, 2, count)) return kStatusFlags;
  count = masked(insn, count);
  if (count == 0) return 0;
  if (count > insn.operands[0].size) return kStatusFlags;
  return kAuxiliary | (count == 1 ? 0 : kOverflowFlag);
}

constexpr UndefinedFlags kUndefinedFlags[] = {
    {ZYDIS_MNEMONIC_AND, always<kAuxiliary>},
    {ZYDIS_MNEMONIC_OR, always<kAuxiliary>},
    {ZYDIS_MNEMONIC_XOR, always<kAuxiliary>},
    {ZYDIS_MNEMONIC_TEST, always<kAuxiliary>},
    {ZYDIS_MNEMONIC_SHL, shift},
    {ZYDIS_MNEMONIC_SHR, shift},
    {ZYDIS_MNEMONIC_SAR, shift},
    {ZYDIS_MNEMONIC_ROL, rotate},
    {ZYDIS_MNEMONIC_ROR, rotate},
    {ZYDIS_MNEMONIC_RCL, rotate},
    {ZYDIS_MNEMONIC_RCR, rotate},
    {ZYDIS_MNEMONIC_SHLD, double_shift},
    {ZYDIS_MNEMONIC_SHRD, double_shift},
    {ZYDIS_MNEMONIC_MUL, always<kSign | kZero | kAuxiliary | kParity>},
    {ZYDIS_MNEMONIC_IMUL, always<kSign | kZero | kAuxiliary | kParity>},
    {ZYDIS_MNEMONIC_DIV, always<kStatusFlags>},
    {ZYDIS_MNEMONIC_IDIV, always<kStatusFlags>},
    {ZYDIS_MNEMONIC_BSF, always<kStatusFlags & ~kZero>},
    {ZYDIS_MNEMONIC_BSR, always<kStatusFlags & ~kZero>},
    {ZYDIS_MNEMONIC_BT, always<kOverflowFlag | kSign | kAuxiliary | kParity>},
    {ZYDIS_MNEMONIC_BTC, always<kOverflowFlag | kSign | kAuxiliary | kParity>},
    {ZYDIS_MNEMONIC_BTR, always<kOverflowFlag | kSign | kAuxiliary | kParity>},
    {ZYDIS_MNEMONIC_BTS, always<kOverflowFlag | kSign | kAuxiliary | kParity>},
    {ZYDIS_MNEMONIC_DAA, always<kOverflowFlag>},
    {ZYDIS_MNEMONIC_DAS, always<kOverflowFlag>},
    {ZYDIS_MNEMONIC_AAA, always<kOverflowFlag | kSign | kZero | kParity>},
    {ZYDIS_MNEMONIC_AAS, always<kOverflowFlag | kSign | kZero | kParity>},
    {ZYDIS_MNEMONIC_AAD, always<kOverflowFlag | kAuxiliary | kCarry>},
    {ZYDIS_MNEMONIC_AAM, always<kOverflowFlag | kAuxiliary | kCarry>},
};

/// A shift by zero changes none, nor does a REP that counts to zero.
bool flags_depend_on_count(const DecodedInstruction& insn) {
  const ZydisInstructionCategory category = insn.z.meta.category;
  return category == ZYDIS_CATEGORY_SHIFT || category == ZYDIS_CATEGORY_ROTATE || category == ZYDIS_CATEGORY_STRINGOP;
}

u64 undefined_flags_of(const MaskContext& c, const DecodedInstruction& insn) {
  const auto* found = std::find_if(std::begin(kUndefinedFlags), std::end(kUndefinedFlags),
                                   [&](const UndefinedFlags& u) { return u.mnemonic == insn.z.mnemonic; });
  return found == std::end(kUndefinedFlags) ? 0 : found->flags(c, insn);
}

/// Less what instructions behind it have defined again.
u64 undefined_flags(const MaskContext& c, const Difference& d) {
  if (d.field != Field::kRflags) return 0;
  u64 undefined = undefined_flags_of(c, *c.instruction);
  const DecodedInstruction* const end = c.instructions.data() + completed(c);
  for (const DecodedInstruction* later = c.instruction + 1; later < end; ++later) {
    const ZydisAccessedFlags* flags = later->z.cpu_flags;
    if (flags == nullptr || flags_depend_on_count(*later)) continue;
    undefined &= ~static_cast<u64>(flags->modified | flags->set_0 | flags->set_1);
  }
  return undefined;
}

/// A later instruction read a flag that an earlier one had left undefined.
u64 follows_from_undefined_flags(const MaskContext& c, const Difference&) {
  u64 undefined = 0;
  for (const DecodedInstruction& insn : c.instructions) {
    const ZydisAccessedFlags* flags = insn.z.cpu_flags;
    if (flags != nullptr) {
      if ((flags->tested & undefined) != 0) return ~u64{0};
      if (!flags_depend_on_count(insn)) {
        undefined &= ~static_cast<u64>(flags->modified | flags->set_0 | flags->set_1);
      }
    }
    undefined |= undefined_flags_of(c, insn);
  }
  return 0;
}

bool is_far(const MaskContext& c) { return c.instruction->z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR; }

/// More than the operand's width: the destination is undefined, too.
u64 double_shift_too_far(const MaskContext& c, const Difference& d) {
  u64 count = 0;
  const bool known = shift_count(c, *c.instruction, 2, count);
  if (known && masked(*c.instruction, count) <= c.instruction->operands[0].size) return 0;
  const ZydisDecodedOperand& to = c.instruction->operands[0];
  if (to.type == ZYDIS_OPERAND_TYPE_MEMORY) return d.field == Field::kMemory ? ~u64{0} : 0;
  const ZydisRegister wide = ZydisRegisterGetLargestEnclosing(c.instruction->z.machine_mode, to.reg.value);
  return d.field == Field::kGpr && ZydisRegisterGetId(wide) == d.index ? u64{0xFFFF} : 0;
}

bool is_destination(const MaskContext& c, const Difference& d) {
  const ZydisDecodedOperand& to = c.instruction->operands[0];
  if (d.field != Field::kGpr || to.type != ZYDIS_OPERAND_TYPE_REGISTER) return false;
  const ZydisRegister wide = ZydisRegisterGetLargestEnclosing(c.instruction->z.machine_mode, to.reg.value);
  return ZydisRegisterGetId(wide) == d.index;
}

u64 scan_of_zero(const MaskContext& c, const Difference& d) {
  return is_destination(c, d) && (c.ours.rflags & kZero) != 0 ? ~u64{0} : 0;
}

u64 swap_of_16_bits(const MaskContext& c, const Difference& d) {
  return is_destination(c, d) && c.instruction->operands[0].size == 16 ? ~u64{0} : 0;
}

/// CLFLUSH and the like are subject to the checks of a byte load.
u64 no_checks_of_flush(const MaskContext& c, const Difference& d) {
  if (d.field == Field::kAccessed) return ~u64{0};
  return c.ours.vector == kPageFault || c.ours.vector == kGeneralProtection || c.ours.vector == kStackFault ? ~u64{0}
                                                                                                            : 0;
}

/// MOVSXD with a 16-bit operand size reads 16 bits.
u64 movsxd_reads_too_much(const MaskContext& c, const Difference& d) {
  if (d.field == Field::kAccessed && c.instruction->operands[0].size == 16) return d.theirs & ~d.ours;
  return c.instruction->operands[0].size == 16 && c.theirs.vector == kPageFault ? ~u64{0} : 0;
}

/// LSS, LFS, LGS, JMP, CALL with REX.W: m16:64.
u64 far_pointer_of_64_bits(const MaskContext& c, const Difference&) {
  constexpr unsigned kFarPointer64 = 80;  // bits
  const ZydisDecodedOperand* memory = memory_operand(*c.instruction);
  return memory != nullptr && memory->size == kFarPointer64 ? ~u64{0} : 0;
}

/// MOV to and from DR4, DR5 with CR4.DE set.
u64 aliased_debug_register(const MaskContext& c, const Difference& d) {
  return d.field == Field::kVector && c.ours.vector == kInvalidOpcode && c.theirs.vector == kGeneralProtection ? ~u64{0}
                                                                                                               : 0;
}

/// ENTER: the new top of the stack must be writable.
u64 no_probe_of_enter(const MaskContext& c, const Difference& d) {
  if (d.field == Field::kAccessed || d.field == Field::kDirty) return d.ours & ~d.theirs;
  const bool same = c.theirs.vector == kPageFault && c.theirs.rip == c.ours.rip;
  return c.ours.vector == kPageFault && !same ? ~u64{0} : 0;
}

/// PUSHA and POPA across a page that is not there: which element is done first.
u64 order_of_pusha(const MaskContext& c, const Difference& d) {
  if (c.ours.vector != kPageFault || c.theirs.vector != kPageFault) return 0;
  const bool page = d.field == Field::kCr2 || d.field == Field::kErrorCode || d.field == Field::kMemory;
  return page || d.field == Field::kAccessed || d.field == Field::kDirty ? ~u64{0} : 0;
}

/// Far CALL and RET in 64-bit mode use all of RSP, as the user that they are.
u64 stack_of_far_transfer(const MaskContext& c, const Difference& d) {
  if (!is_far(c)) return 0;
  // What lies there differs when the address does.
  if (c.ours.vector == kPageFault || c.ours.vector == kStackFault) return ~u64{0};
  const bool page_bits = d.field == Field::kAccessed || d.field == Field::kDirty;
  return page_bits && is_fault(c.ours.vector) ? d.theirs & ~d.ours : 0;
}

/// CMPXCHG16B changes ZF alone; QEMU leaves something else where the flags of the instruction before it were.
u64 flags_of_cmpxchg16b(const MaskContext& c, const Difference& d) {
  const bool first = c.instruction == c.instructions.data();
  return !first && d.field == Field::kRflags ? ~u64{0} : 0;
}

/// RDFSBASE and the others with a 32-bit operand, whatever 66H says.
u64 base_of_32_bits(const MaskContext& c, const Difference& d) {
  const bool prefixed = (c.instruction->z.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) != 0;
  const bool base = d.field == Field::kGpr || d.field == Field::kFsBase || d.field == Field::kGsBase;
  return prefixed && base && c.instruction->operands[0].size == 32 ? ~u64{0xFFFFFFFF} : 0;
}

/// RET imm16 releases up to 65535 bytes, and an outer level's SS and stack pointer lie behind them.
u64 release_of_return(const MaskContext& c, const Difference& d) {
  constexpr u16 kRsp = 4;
  constexpr u64 kNegative = 0x8000;
  const ZydisDecodedOperand& bytes = c.instruction->operands[0];
  const bool much = bytes.type == ZYDIS_OPERAND_TYPE_IMMEDIATE && (bytes.imm.value.u & kNegative) != 0;
  const bool rsp = d.field == Field::kGpr && d.index == kRsp;
  return much && (rsp || is_far(c)) ? ~u64{0} : 0;
}

/// An immediate behind a RIP-relative operand belongs to the instruction whose end RIP is.
u64 rip_relative_with_immediate(const MaskContext& c, const Difference&) {
  const ZydisDecodedOperand* memory = memory_operand(*c.instruction);
  const bool relative =
      memory != nullptr && (memory->mem.base == ZYDIS_REGISTER_RIP || memory->mem.base == ZYDIS_REGISTER_EIP);
  return relative && c.instruction->operands[2].type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? ~u64{0} : 0;
}

u64 no_int1(const MaskContext& c, const Difference&) { return c.theirs.vector == kInvalidOpcode ? ~u64{0} : 0; }

/// F3 REX.B 90 is PAUSE.
u64 pause_with_rex(const MaskContext& c, const Difference& d) {
  if ((c.instruction->z.attributes & ZYDIS_ATTRIB_HAS_REX) == 0) return 0;
  return d.field == Field::kGpr && (d.index == 0 || d.index == 8) ? ~u64{0} : 0;
}

/// REX.W wins over an operand-size prefix.
u64 crc32_of_64_bits(const MaskContext& c, const Difference&) {
  return (c.instruction->z.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) != 0 && c.instruction->z.raw.rex.W != 0 ? ~u64{0}
                                                                                                              : 0;
}

u64 flags_of_faulting_setcc(const MaskContext& c, const Difference& d) {
  return d.field == Field::kRflags && is_fault(c.ours.vector) ? status_flags_or_garbage(d) : 0;
}

/// After a ROL or ROR by a constant QEMU has CF and OF apart from the other flags. What needs all of them puts them
/// together first and lets those two go; if its store faults then, QEMU puts together once more what is no longer
/// there: any bits, TF and IOPL too.
u64 flags_put_together_twice(const MaskContext& c, const Difference& d) {
  const bool here = is_fault(c.ours.vector) && faulting_instruction(c) == c.instruction;
  if (d.field != Field::kRflags || !here || memory_operand(*c.instruction) == nullptr) return 0;
  for (auto i = static_cast<std::size_t>(c.instruction - c.instructions.data()); i > 0; --i) {
    const DecodedInstruction& before = c.instructions[i - 1];
    const ZydisAccessedFlags* flags = before.z.cpu_flags;
    if (flags == nullptr || (flags->modified | flags->set_0 | flags->set_1 | flags->undefined) == 0) continue;
    const bool rotates = before.z.mnemonic == ZYDIS_MNEMONIC_ROL || before.z.mnemonic == ZYDIS_MNEMONIC_ROR;
    const ZydisDecodedOperand& by = before.operands[1];
    if (!rotates || by.type != ZYDIS_OPERAND_TYPE_IMMEDIATE) return 0;
    if (masked(before, by.imm.value.u) != 0) return ~u64{0};
  }
  return 0;
}

/// In 64-bit mode near branches have 64-bit operands, whatever 66H says (Intel).
u64 near_branch_with_66(const MaskContext& c, const Difference&) {
  const bool prefixed = (c.instruction->z.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) != 0;
  const bool near = c.instruction->z.meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR;
  return prefixed && near && c.instruction->code64() ? ~u64{0} : 0;
}

/// A 64-bit offset into a 32-bit segment.
u64 offset_not_cut(const MaskContext& c, const Difference& d) {
  const bool code32 = c.ours.cs == kUserCode32 || c.ours.cs == kKernelCode32;
  const u64 upper_half = ~u64{0xFFFFFFFF};
  return d.field == Field::kRip && code32 && (d.bits() & ~upper_half) == 0 ? upper_half : 0;
}

u64 order_of_far_transfer(const MaskContext& c, const Difference& d) {
  const bool page_first = c.ours.vector == kPageFault && c.theirs.vector == kAlignmentCheck;
  const bool alignment_first = c.ours.vector == kAlignmentCheck && c.theirs.vector == kPageFault;
  if (is_far(c) && (page_first || alignment_first)) return ~u64{0};
  if (!is_far(c) || c.instruction->z.mnemonic != ZYDIS_MNEMONIC_RET || c.ours.vector != kPageFault) return 0;
  if (c.theirs.vector == kGeneralProtection) return ~u64{0};
  const bool which = d.field == Field::kCr2 || d.field == Field::kErrorCode;
  return c.theirs.vector == kPageFault && which ? ~u64{0} : 0;
}

/// Of the stack's element that holds CS, a processor reads the selector alone.
u64 width_of_returned_selector(const MaskContext& c, const Difference&) {
  constexpr u64 kSelectorBytes = 2;
  constexpr unsigned kRsp = 4;
  if (!is_far(c) || c.ours.vector != kPageFault) return 0;
  const u64 element = c.instruction->z.operand_width / 8;
  const u64 selector = c.ours.gpr[kRsp] + element;
  return c.ours.cr2 >= selector + kSelectorBytes && c.ours.cr2 < selector + element ? ~u64{0} : 0;
}

/// A return to 32-bit code.
u64 upper_half_of_stack_pointer(const MaskContext& c, const Difference& d) {
  constexpr unsigned kRsp = 4;
  const bool code32 = c.ours.cs == kUserCode32 || c.ours.cs == kKernelCode32;
  return code32 && d.field == Field::kGpr && d.index == kRsp ? ~u64{0xFFFFFFFF} : 0;
}

/// IRET reads its frame with the rights of CPL.
u64 stack_of_iret(const MaskContext& c, const Difference& d) {
  if (c.ours.vector == kPageFault || c.ours.vector == kStackFault) return ~u64{0};
  const bool page_bits = d.field == Field::kAccessed || d.field == Field::kDirty;
  return page_bits && is_fault(c.ours.vector) ? d.theirs & ~d.ours : 0;
}

/// SGDT and SIDT across a page that cannot be written.
u64 table_store_in_pieces(const MaskContext& c, const Difference& d) {
  const bool page_bits = d.field == Field::kAccessed || d.field == Field::kDirty;
  return c.ours.vector == kPageFault && (d.field == Field::kMemory || page_bits) ? ~u64{0} : 0;
}

/// An operand-size prefix does not cut the base in 64-bit mode.
u64 table_store_with_prefix(const MaskContext& c, const Difference& d) {
  const bool prefixed = (c.instruction->z.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) != 0;
  return prefixed && c.instruction->code64() && d.field == Field::kMemory ? ~u64{0} : 0;
}

/// The trap behind the instruction in question comes later, or never.
u64 no_single_step(const MaskContext& c, const Difference&) {
  constexpr u64 kTrap = 1 << 8;
  const u64 behind = address_of(c, *c.instruction) + c.instruction->z.length;
  const bool ours = c.ours.vector == kDebug && (c.input.rflags & kTrap) != 0 && c.ours.rip == behind;
  return ours && (c.theirs.vector != kDebug || c.theirs.rip != behind) ? ~u64{0} : 0;
}

/// SYSCALL and SYSRET exist in 64-bit mode only (Intel).
u64 no_mode_check_of_syscall(const MaskContext& c, const Difference&) {
  // A SYSRET to itself leaves 64-bit mode.
  const bool level0 = (c.input.cs & 3) == 0 && (c.ours.cs & 3) == 3;
  const bool returned = c.instruction->z.mnemonic == ZYDIS_MNEMONIC_SYSRET && c.instruction->z.raw.rex.W == 0 && level0;
  return c.ours.vector == kInvalidOpcode && (!c.instruction->code64() || returned) ? ~u64{0} : 0;
}

/// SYSCALL clears what IA32_FMASK says, no more.
u64 flags_after_syscall(const MaskContext& c, const Difference& d) {
  return d.field == Field::kRflags ? d.ours & ~c.ours.system.fmask : 0;
}

u64 no_canonical_check_of_base(const MaskContext& c, const Difference&) {
  return c.ours.vector == kGeneralProtection && c.theirs.vector != kGeneralProtection ? ~u64{0} : 0;
}

u64 reserved_mxcsr_bits(const MaskContext& c, const Difference&) {
  return c.ours.vector == kGeneralProtection && c.theirs.vector != kGeneralProtection ? ~u64{0} : 0;
}

u64 no_such_nop(const MaskContext& c, const Difference&) {
  return c.theirs.vector == kInvalidOpcode && c.theirs.rip == address_of(c, *c.instruction) ? ~u64{0} : 0;
}

/// QEMU raises #UD, but only after it has read an operand, at a RIP-relative address without the immediate.
u64 alias_of_test(const MaskContext& c, const Difference& d) {
  const bool alias =
      (c.instruction->z.opcode == 0xF6 || c.instruction->z.opcode == 0xF7) && c.instruction->z.raw.modrm.reg == 1;
  if (!alias) return 0;
  if (c.theirs.vector == kInvalidOpcode) return ~u64{0};
  const bool which = d.field == Field::kCr2 || d.field == Field::kErrorCode;
  return c.ours.vector == kPageFault && c.theirs.vector == kPageFault && which ? ~u64{0} : 0;
}

/// A quotient of 2^31 or 2^63: QEMU computes it with the host's division of twice the width, which traps.
u64 host_division_overflows(const MaskContext& c, const Difference&) {
  return c.ours.vector == kDivideError && c.theirs.vector == kVectorDied ? ~u64{0} : 0;
}

constexpr std::string_view kWithUndefinedFlags =
    "and or xor test shl shr sar rol ror rcl rcr shld shrd mul imul div idiv bsf bsr bt btc btr bts daa das aaa aas "
    "aad aam";

constexpr MaskRow kRows[] = {
    {"undefined flags", kWithUndefinedFlags, Oracle::kQemu, MaskKind::kUndefined, undefined_flags,
     "flags that the instruction leaves undefined", "SDM 1, appendix A.1; SDM 2, Flags Affected of each"},
    {"undefined flags, host", kWithUndefinedFlags, Oracle::kNative, MaskKind::kUndefined, undefined_flags,
     "flags that the instruction leaves undefined", "SDM 1, appendix A.1; SDM 2, Flags Affected of each"},
    {"from undefined flags", "*", Oracle::kQemu, MaskKind::kUndefined, follows_from_undefined_flags,
     "an instruction of the sequence reads a flag that an earlier one leaves undefined", "SDM 1, appendix A.1"},
    {"from undefined flags, host", "*", Oracle::kNative, MaskKind::kUndefined, follows_from_undefined_flags,
     "an instruction of the sequence reads a flag that an earlier one leaves undefined", "SDM 1, appendix A.1"},
    {"SHLD and SHRD too far", "shld shrd", Oracle::kQemu, MaskKind::kUndefined, double_shift_too_far,
     "a count beyond the operand's width leaves the destination undefined", "SDM 2, SHLD"},
    {"BSF and BSR of zero", "bsf bsr", Oracle::kQemu, MaskKind::kUndefined, scan_of_zero,
     "the destination is undefined when the source is zero", "SDM 2, BSF and BSR"},
    {"BSF and BSR of zero, host", "bsf bsr", Oracle::kNative, MaskKind::kUndefined, scan_of_zero,
     "the destination is undefined when the source is zero", "SDM 2, BSF and BSR"},
    {"BSWAP of 16 bits", "bswap", Oracle::kQemu, MaskKind::kUndefined, swap_of_16_bits, "undefined", "SDM 2, BSWAP"},
    {"IDIV of the most negative number", "idiv", Oracle::kQemu, MaskKind::kQemuWrong, host_division_overflows,
     "QEMU dies: it divides INT_MIN by -1 on the host", "SDM 2, IDIV: #DE"},
    {"CLFLUSH checks nothing", "clflush", Oracle::kQemu, MaskKind::kQemuWrong, no_checks_of_flush,
     "QEMU takes it for a NOP; it has the checks and the A bit of a byte load", "SDM 2, CLFLUSH"},
    {"MOVSXD of 16 bits", "movsxd", Oracle::kQemu, MaskKind::kQemuWrong, movsxd_reads_too_much, "QEMU reads 32 bits",
     "SDM 2, MOVSXD"},
    {"m16:64 far pointers", "lss lfs lgs jmp call", Oracle::kQemu, MaskKind::kQemuWrong, far_pointer_of_64_bits,
     "QEMU reads m16:32, as AMD's processors do", "SDM 2, LDS/LES/LFS/LGS/LSS, JMP, CALL"},
    {"DR4 and DR5", "mov", Oracle::kQemu, MaskKind::kQemuWrong, aliased_debug_register,
     "QEMU looks at CPL before it looks at CR4.DE", "SDM 2, MOV to/from debug registers, Operation"},
    {"ENTER's probe", "enter", Oracle::kQemu, MaskKind::kQemuWrong, no_probe_of_enter,
     "QEMU does not ask whether the new top of the stack can be written", "SDM 2, ENTER, exceptions"},
    {"order of PUSHA and POPA", "pusha pushad popa popad", Oracle::kQemu, MaskKind::kQemuWrong, order_of_pusha,
     "QEMU starts at the other end", "SDM 2, PUSHA and POPA, Operation"},
    {"stack of far CALL and RET", "call ret", Oracle::kQemu, MaskKind::kQemuWrong, stack_of_far_transfer,
     "QEMU cuts RSP to 32 bits and accesses the stack with supervisor rights, CS last",
     "SDM 2, CALL and RET; SDM 3, 4.6.1"},
    {"flags of CMPXCHG16B", "cmpxchg8b cmpxchg16b", Oracle::kQemu, MaskKind::kQemuWrong, flags_of_cmpxchg16b,
     "QEMU loses the flags of the instruction before it", "SDM 2, CMPXCHG8B/CMPXCHG16B, Flags Affected"},
    {"FS and GS base with 66H", "rdfsbase rdgsbase wrfsbase wrgsbase", Oracle::kQemu, MaskKind::kQemuWrong,
     base_of_32_bits, "QEMU moves 64 bits", "SDM 2, RDFSBASE/RDGSBASE, WRFSBASE/WRGSBASE, Operation"},
    {"RET of 32 KiB and more", "ret", Oracle::kQemu, MaskKind::kQemuWrong, release_of_return,
     "QEMU takes the immediate for a signed number", "SDM 2, RET, Operation"},
    {"single step after LSS", "lss", Oracle::kQemu, MaskKind::kQemuWrong, no_single_step,
     "QEMU holds the trap back as after MOV SS", "SDM 2, LDS/LES/LFS/LGS/LSS; SDM 3, 6.8.3: MOV SS and POP SS only"},
    {"SHLD and SHRD, RIP-relative with immediate", "shld shrd", Oracle::kQemu, MaskKind::kQemuWrong,
     rip_relative_with_immediate, "QEMU takes RIP before the immediate", "SDM 2, 2.2.1.6"},
    {"no INT1", "int1", Oracle::kQemu, MaskKind::kQemuWrong, no_int1, "QEMU raises #UD", "SDM 2, INT n/INTO/INT3/INT1"},
    {"PAUSE with REX.B", "pause", Oracle::kQemu, MaskKind::kQemuWrong, pause_with_rex,
     "QEMU takes it for XCHG R8, RAX; a processor does not", "SDM 2, PAUSE"},
    {"stack of IRET", "iret iretd iretq", Oracle::kQemu, MaskKind::kQemuWrong, stack_of_iret,
     "QEMU reads the frame with supervisor rights, and 32 bits of RSP", "SDM 3, 4.6.1"},
    {"SGDT and SIDT in pieces", "sgdt sidt", Oracle::kQemu, MaskKind::kQemuWrong, table_store_in_pieces,
     "QEMU stores the limit before it finds that the base cannot be stored", "SDM 3, 6.5, faults"},
    {"SGDT and SIDT with 66H", "sgdt sidt", Oracle::kQemu, MaskKind::kQemuWrong, table_store_with_prefix,
     "QEMU stores 24 bits of the base", "SDM 2, SGDT and SIDT, Operation"},
    {"trap after PAUSE", "pause", Oracle::kQemu, MaskKind::kQemuWrong, no_single_step,
     "QEMU does not single-step PAUSE", "SDM 3, 18.3.1.4"},
    {"SYSCALL and SYSRET outside of 64-bit mode", "syscall sysret", Oracle::kQemu, MaskKind::kQemuWrong,
     no_mode_check_of_syscall, "QEMU has them in compatibility mode, as AMD's processors do", "SDM 2, SYSCALL, SYSRET"},
    {"flags after SYSCALL", "syscall", Oracle::kQemu, MaskKind::kQemuWrong, flags_after_syscall,
     "QEMU loses flags that the mask keeps", "SDM 2, SYSCALL, Operation"},
    {"WRFSBASE and WRGSBASE of a non-canonical address", "wrfsbase wrgsbase", Oracle::kQemu, MaskKind::kQemuWrong,
     no_canonical_check_of_base, "QEMU takes any base", "SDM 2, WRFSBASE/WRGSBASE"},
    {"LDMXCSR of reserved bits", "ldmxcsr", Oracle::kQemu, MaskKind::kQemuWrong, reserved_mxcsr_bits,
     "QEMU takes any value", "SDM 2, LDMXCSR"},
    {"CRC32 and MOVBE with 66H and REX.W", "crc32 movbe", Oracle::kQemu, MaskKind::kQemuWrong, crc32_of_64_bits,
     "QEMU takes the operand size from 66H", "SDM 2, 2.2.1.2"},
    {"flags of a SETcc that faults",
     "setb setbe setl setle setnb setnbe setnl setnle setno setnp setns setnz seto setp sets setz", Oracle::kQemu,
     MaskKind::kQemuWrong, flags_of_faulting_setcc, "QEMU forgets the flags when the store of a SETcc faults",
     "SDM 3, 6.5, faults"},
    {"flags after a rotation before a fault", "rcl rcr setbe setnbe setp setnp setl setnl setle setnle", Oracle::kQemu,
     MaskKind::kQemuWrong, flags_put_together_twice,
     "QEMU pushes flags that nothing set when the store of RCL, RCR or SETcc faults after a ROL or ROR by a constant",
     "SDM 3, 6.5, faults"},
    {"offset into 32-bit code", "ret iretq jmp call", Oracle::kQemu, MaskKind::kQemuWrong, offset_not_cut,
     "QEMU keeps the upper half of an offset into a 32-bit segment", "SDM 2, RET and IRET, Operation: EIP"},
    {"near branches with 66H", "j* call ret loop loope loopne", Oracle::kQemu, MaskKind::kQemuWrong,
     near_branch_with_66, "QEMU takes 16-bit offsets, as AMD's processors do", "SDM 2, Jcc and JMP: 64-bit mode"},
    {"order of far transfers, host", "ret jmp call", Oracle::kNative, MaskKind::kUndefined, order_of_far_transfer,
     "which of its two elements a far RET reads first, and which fault of a far pointer comes first",
     "SDM 3, 6.9, table 6-2: faults of one class have no order"},
    {"width of CS in far RET, host", "ret", Oracle::kNative, MaskKind::kUndefined, width_of_returned_selector,
     "processors read 2 bytes of the element that holds CS: a page behind them need not be there",
     "SDM 2, RET, Operation: pops the element and discards its upper bits", Host::kIntel},
    {"upper half of RSP behind IRET", "iret iretd iretq", Oracle::kQemu, MaskKind::kUndefined,
     upper_half_of_stack_pointer, "behind a return to compatibility mode",
     "SDM 1, 3.4.1.1: undefined after a switch from 64-bit mode"},
    {"hint NOPs", "nop", Oracle::kQemu, MaskKind::kQemuWrong, no_such_nop, "QEMU does not know all of the NOP space",
     "SDM 2, appendix A, table A-3 and NOP"},
    {"TEST as F6 /1 and F7 /1", "test", Oracle::kQemu, MaskKind::kQemuWrong, alias_of_test,
     "QEMU has no such encoding; processors execute it as TEST", "SDM 2, appendix A, table A-6"},
};

}  // namespace

std::span<const MaskRow> integer_masks() { return kRows; }

}  // namespace bhvm::oracle
