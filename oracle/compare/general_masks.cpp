// What holds for every instruction, and results that no two machines share.
#include "oracle/compare/explain.h"

namespace bhvm::oracle {
namespace {

u64 resume_flag(const MaskContext&, const Difference& d) { return d.field == Field::kRflags ? kResume : 0; }

u64 no_alignment_check(const MaskContext& c, const Difference&) {
  return c.ours.vector == kAlignmentCheck && c.theirs.vector != kAlignmentCheck ? ~u64{0} : 0;
}

u64 no_simd_exception(const MaskContext& c, const Difference&) {
  return c.ours.vector == kSimdError && c.theirs.vector != kSimdError ? ~u64{0} : 0;
}

bool is_vector_extension(ZydisISAExt extension) {
  switch (extension) {
    case ZYDIS_ISA_EXT_SSE:
    case ZYDIS_ISA_EXT_SSE2:
    case ZYDIS_ISA_EXT_SSE3:
    case ZYDIS_ISA_EXT_SSSE3:
    case ZYDIS_ISA_EXT_SSE4:
    case ZYDIS_ISA_EXT_AES:
    case ZYDIS_ISA_EXT_PCLMULQDQ:
      return true;
    default:
      return false;
  }
}

u64 no_operand_alignment(const MaskContext& c, const Difference&) {
  const bool both = c.theirs.vector == kGeneralProtection && c.theirs.rip == c.ours.rip;
  if (c.ours.vector != kGeneralProtection || both) return 0;
  const DecodedInstruction* insn = faulting_instruction(c);
  constexpr unsigned kAlignedBits = 128;
  const bool aligned =
      insn != nullptr && is_vector_extension(insn->z.meta.isa_ext) && memory_operand(*insn, kAlignedBits) != nullptr;
  return aligned ? ~u64{0} : 0;
}

u64 no_denormal_flag(const MaskContext& c, const Difference& d) {
  constexpr u64 kDenormal = 1 << 1;
  return d.field == Field::kMxcsr && (d.ours & kDenormal) != 0 && c.ours.vector != kSimdError ? kDenormal : 0;
}

u64 read_modify_write_faults_as_read(const MaskContext& c, const Difference& d) {
  constexpr u64 kWrite = 1 << 1;
  if (c.ours.vector != kPageFault || c.theirs.vector != kPageFault) return 0;
  const DecodedInstruction* insn = faulting_instruction(c);
  if (insn == nullptr || !reads_and_writes_memory(*insn)) return 0;
  // The first page can be read: the second one's fault comes first.
  const bool next_page = c.theirs.cr2 % kPageBytes == 0 && c.theirs.cr2 - c.ours.cr2 < kPageBytes;
  if (d.field == Field::kCr2) return next_page ? ~u64{0} : 0;
  return d.field != Field::kErrorCode ? 0 : next_page ? ~u64{0} : d.ours & kWrite;
}

/// An access that begins at a canonical address and ends at another.
u64 no_canonical_check_of_the_end(const MaskContext& c, const Difference&) {
  constexpr u64 kLastBytes = 64;
  constexpr u64 kCanonicalEnd = u64{1} << 47;
  const bool ours = c.ours.vector == kGeneralProtection || c.ours.vector == kStackFault;
  const bool at_the_edge = c.theirs.cr2 < kCanonicalEnd && c.theirs.cr2 >= kCanonicalEnd - kLastBytes;
  return ours && c.theirs.vector == kPageFault && at_the_edge ? ~u64{0} : 0;
}

/// In compatibility mode: reads through a null FS or GS, writes through CS.
u64 no_segment_check(const MaskContext& c, const Difference& d) {
  const bool page_bits = d.field == Field::kAccessed || d.field == Field::kDirty;
  if (c.ours.vector != kGeneralProtection || c.ours.error_code != 0) return 0;
  if (c.theirs.vector == kGeneralProtection && c.theirs.error_code == 0 && !page_bits) return 0;
  if (is_code64(c.group)) return 0;
  const DecodedInstruction* insn = faulting_instruction(c);
  if (insn == nullptr) return 0;
  for (unsigned i = 0; i < insn->z.operand_count; ++i) {
    const ZydisDecodedOperand& operand = insn->operands[i];
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
    const ZydisRegister segment = operand.mem.segment;
    if (segment == ZYDIS_REGISTER_FS || segment == ZYDIS_REGISTER_GS) return ~u64{0};
    if (segment == ZYDIS_REGISTER_CS && (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0) return ~u64{0};
  }
  return 0;
}

u64 reserved_without_present(const MaskContext& c, const Difference& d) {
  constexpr u64 kPresentBit = 1 << 0;
  constexpr u64 kReservedBit = 1 << 3;
  const bool both = (d.ours & d.theirs & kReservedBit) != 0;
  return d.field == Field::kErrorCode && c.ours.vector == kPageFault && both ? d.ours & kPresentBit : 0;
}

/// A and D bits of pages that a faulting instruction looked at before it faulted, or did not.
u64 page_bits_before_fault(const MaskContext& c, const Difference& d) {
  const bool page_bits = d.field == Field::kAccessed || d.field == Field::kDirty;
  return page_bits && c.ours.vector == kPageFault ? d.theirs & ~d.ours : 0;
}

/// The page that the rest of an instruction lies in, when QEMU refused the instruction after its first bytes.
u64 accessed_by_fetch(const MaskContext& c, const Difference& d) {
  const DecodedInstruction* insn = faulting_instruction(c);
  const bool refused =
      c.ours.vector == kInvalidOpcode || c.ours.vector == kGeneralProtection || c.ours.vector == kPageFault;
  if (d.field != Field::kAccessed || insn == nullptr || !refused) return 0;
  const u64 last = c.ours.rip + insn->z.length - 1 - kRegion;
  return (u64{1} << (last / kPageBytes)) & d.ours;
}

u64 stack_fault_as_general_protection(const MaskContext& c, const Difference& d) {
  const bool not_canonical = c.ours.vector == kStackFault && c.ours.error_code == 0 && is_code64(c.group);
  return d.field == Field::kVector && not_canonical && c.theirs.vector == kGeneralProtection ? ~u64{0} : 0;
}

/// A write that faults, or a string element, after which QEMU has flags that belong to what did not happen.
u64 flags_before_fault(const MaskContext& c, const Difference& d) {
  if (d.field != Field::kRflags || !is_fault(c.ours.vector)) return 0;
  const DecodedInstruction* insn = faulting_instruction(c);
  if (insn == nullptr) return 0;
  const bool repeated = insn->z.meta.category == ZYDIS_CATEGORY_STRINGOP;
  return repeated || reads_and_writes_memory(*insn) ? status_flags_or_garbage(d) : 0;
}

/// REX counts only right before the opcode.
u64 rex_before_prefix(const MaskContext& c, const Difference&) {
  for (const DecodedInstruction& insn : c.instructions) {
    for (unsigned i = 0; i < insn.z.raw.prefix_count; ++i) {
      const auto& prefix = insn.z.raw.prefixes[i];
      const bool rex = insn.z.machine_mode == ZYDIS_MACHINE_MODE_LONG_64 && (prefix.value & 0xF0) == 0x40;
      if (rex && prefix.type == ZYDIS_PREFIX_TYPE_IGNORED) return ~u64{0};
    }
  }
  return 0;
}

/// In 64-bit mode ES, CS, SS and DS overrides are ignored: FS or GS before one of them holds.
u64 ignored_segment_prefix(const MaskContext& c, const Difference&) {
  for (const DecodedInstruction& insn : c.instructions) {
    if (insn.z.machine_mode != ZYDIS_MACHINE_MODE_LONG_64) continue;
    bool based = false;
    for (unsigned i = 0; i < insn.z.raw.prefix_count; ++i) {
      const u8 prefix = insn.z.raw.prefixes[i].value;
      if (prefix == 0x64 || prefix == 0x65) based = true;
      const bool ignored = prefix == 0x26 || prefix == 0x2E || prefix == 0x36 || prefix == 0x3E;
      if (based && ignored && memory_operand(insn) != nullptr) return ~u64{0};
    }
  }
  return 0;
}

bool is_canonical(u64 linear) { return linear + (u64{1} << 47) < u64{1} << 48; }

/// A near branch to a non-canonical address faults itself; QEMU goes there first.
u64 branch_out_of_canonical_space(const MaskContext& c, const Difference&) {
  const bool ours = c.ours.vector == kGeneralProtection && is_canonical(c.ours.rip);
  const bool theirs = c.theirs.vector == kGeneralProtection || c.theirs.vector == kDebug;
  return ours && theirs && !is_canonical(c.theirs.rip) ? ~u64{0} : 0;
}

/// Bytes of an instruction that cannot be fetched: QEMU may decide on fewer bytes.
u64 decided_before_fetched(const MaskContext& c, const Difference&) {
  constexpr u32 kFetch = 1 << 4;
  const bool fetch = c.ours.vector == kPageFault && (c.ours.error_code & kFetch) != 0 && c.ours.cr2 > c.ours.rip &&
                     c.ours.cr2 < c.ours.rip + 15;
  const bool data = c.theirs.vector == kPageFault && (c.theirs.error_code & kFetch) == 0;
  return fetch && (c.theirs.vector == kInvalidOpcode || c.theirs.vector == kGeneralProtection || data) ? ~u64{0} : 0;
}

u64 cpuid_result(const MaskContext&, const Difference& d) {
  return d.field == Field::kGpr && d.index < 4 ? ~u64{0} : 0;
}

u64 time_stamp(const MaskContext&, const Difference& d) {
  return d.field == Field::kGpr && (d.index == 0 || d.index == 2) ? 0xFFFFFFFF : 0;
}

u64 random_number(const MaskContext& c, const Difference& d) {
  if (d.field != Field::kGpr) return 0;
  const ZydisDecodedOperand& to = c.instruction->operands[0];
  const ZydisRegister wide = ZydisRegisterGetLargestEnclosing(c.instruction->z.machine_mode, to.reg.value);
  return ZydisRegisterGetId(wide) == d.index ? ~u64{0} : 0;
}

constexpr MaskRow kRows[] = {
    {"RF", "*", Oracle::kQemu, MaskKind::kQemuWrong, resume_flag,
     "QEMU neither sets RF in the flags that a fault pushes nor clears it when an instruction completes",
     "SDM 3, 18.3.1.1 and 6.12.1"},
    {"no #AC", "*", Oracle::kQemu, MaskKind::kQemuWrong, no_alignment_check, "QEMU has no alignment check",
     "SDM 3, 6.15, interrupt 17"},
    {"no #XM", "*", Oracle::kQemu, MaskKind::kQemuWrong, no_simd_exception,
     "QEMU has no unmasked SIMD floating-point exceptions", "SDM 3, 6.15, interrupt 19"},
    {"no alignment of 16-byte operands", "*", Oracle::kQemu, MaskKind::kQemuWrong, no_operand_alignment,
     "QEMU raises no #GP for a misaligned 16-byte operand of legacy SSE", "SDM 2, 2.4.4"},
    {"MXCSR.DE", "*", Oracle::kQemu, MaskKind::kQemuWrong, no_denormal_flag, "QEMU does not record denormal operands",
     "SDM 1, 11.5.2.2"},
    {"W of read-modify-write", "*", Oracle::kQemu, MaskKind::kQemuWrong, read_modify_write_faults_as_read,
     "QEMU reads before it asks for the right to write, and reports the fault of the read", "SDM 3, 4.7, W/R flag"},
    {"end of an access not canonical", "*", Oracle::kQemu, MaskKind::kQemuWrong, no_canonical_check_of_the_end,
     "QEMU checks the first byte of an access only", "SDM 1, 3.3.7.1"},
    {"no segment checks", "*", Oracle::kQemu, MaskKind::kQemuWrong, no_segment_check,
     "QEMU checks neither a null FS or GS nor the type of CS", "SDM 3, 5.4.1 and 5.5"},
    {"RSVD without P", "*", Oracle::kQemu, MaskKind::kQemuWrong, reserved_without_present,
     "QEMU reports a reserved bit in an entry that it calls not present", "SDM 3, 4.7, RSVD flag"},
    {"A and D bits before a fault", "*", Oracle::kQemu, MaskKind::kUndefined, page_bits_before_fault,
     "QEMU also marks pages that a faulting instruction used before the fault",
     "SDM 3, 4.8: accessed and dirty flags may be set by accesses that do not complete"},
    {"A bit of an instruction's second page", "*", Oracle::kQemu, MaskKind::kQemuWrong, accessed_by_fetch,
     "QEMU refuses an instruction before it has fetched all of it", "SDM 3, 6.9, table 6-2"},
    {"#SS as #GP", "*", Oracle::kQemu, MaskKind::kQemuWrong, stack_fault_as_general_protection,
     "QEMU raises #GP for every non-canonical address", "SDM 3, 6.15, interrupt 12; SDM 1, 3.3.7.1"},
    {"flags before a fault", "*", Oracle::kQemu, MaskKind::kQemuWrong, flags_before_fault,
     "QEMU changes flags before a write that faults, and in the middle of REP CMPS and SCAS", "SDM 3, 6.5, faults"},
    {"REX before another prefix", "*", Oracle::kQemu, MaskKind::kQemuWrong, rex_before_prefix,
     "QEMU heeds a REX prefix that another prefix follows", "SDM 2, 2.2.1"},
    {"ignored segment prefixes", "*", Oracle::kQemu, MaskKind::kQemuWrong, ignored_segment_prefix,
     "QEMU lets an ES, CS, SS or DS override take the place of FS or GS in 64-bit mode", "SDM 1, 3.3.7; SDM 2, 2.1.1"},
    {"branch to a non-canonical address", "*", Oracle::kQemu, MaskKind::kQemuWrong, branch_out_of_canonical_space,
     "QEMU completes the branch and faults at its target", "SDM 2, JMP, CALL, RET: #GP(0) in 64-bit mode"},
    {"decided before fetched", "*", Oracle::kQemu, MaskKind::kQemuWrong, decided_before_fetched,
     "QEMU raises #UD, #GP or a data #PF without fetching the rest of the instruction", "SDM 3, 6.9, table 6-2"},
    {"CPUID", "cpuid", Oracle::kQemu, MaskKind::kVaries, cpuid_result, "identifies the processor", "SDM 2, CPUID"},
    {"time stamp", "rdtsc rdtscp", Oracle::kQemu, MaskKind::kVaries, time_stamp, "time", "SDM 2, RDTSC"},
    {"random number", "rdrand rdseed", Oracle::kQemu, MaskKind::kVaries, random_number, "random", "SDM 2, RDRAND"},
};

}  // namespace

std::span<const MaskRow> general_masks() { return kRows; }

}  // namespace bhvm::oracle
