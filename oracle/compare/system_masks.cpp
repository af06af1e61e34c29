// What QEMU 7.2 has differently where privileges, descriptors, page tables and debug registers are concerned.
//
// Rows are narrowed to the families and subjects of system cases (oracle/system), and to the way in which QEMU goes
// wrong: where it lets something pass, bhvm must have refused it with the exception that the SDM names.
#include <cstddef>

#include "oracle/compare/explain.h"

namespace bhvm::oracle {
namespace {

constexpr u64 kAll = ~u64{0};
constexpr u64 kVirtualInterrupts = 3 << 19;  // VIF, VIP
constexpr u64 kVirtual8086 = 1 << 17;
constexpr u64 kUpperHalf = 0xFFFFFFFF00000000;
constexpr u32 kInvalidTss = 10, kSegmentNotPresent = 11, kNoDevice = 7;
constexpr unsigned kRaxIndex = 0, kRspIndex = 4;
constexpr unsigned kCsIndex = 1, kSsIndex = 2, kFsIndex = 4;
constexpr u64 kGdtLinear = page_linear(20), kLdtLinear = page_linear(22);

bool is_system(const MaskContext& c) { return c.input.step_count != 0; }
bool family(const MaskContext& c, std::string_view name) { return c.group.family == name; }
bool about(const MaskContext& c, std::string_view subject) { return c.group.mnemonic == subject; }
bool transfers(const MaskContext& c) {
  return family(c, "far transfers") || family(c, "iret") || family(c, "gates") || family(c, "nested faults") ||
         family(c, "interrupts");
}
bool is_canonical(u64 linear) { return linear + (u64{1} << 47) < u64{1} << 48; }
/// bhvm refused with this vector, QEMU did something else.
bool refused(const MaskContext& c, u32 vector) { return c.ours.vector == vector && c.theirs.vector != vector; }
u64 all_if(bool condition) { return condition ? kAll : 0; }

constexpr u16 system_word(std::size_t offset) { return static_cast<u16>(offset / 8); }
bool is_system_word(const Difference& d, std::size_t offset) {
  return d.field == Field::kSystem && d.index == system_word(offset);
}
u64 region_qword(const MaskContext& c, u64 linear) {
  return word_of(c.ours, c.pristine, Field::kMemory, static_cast<u16>((linear - kRegion) / 8));
}
/// The descriptor that an error code names.
u64 named_descriptor(const MaskContext& c) {
  const u32 error = c.ours.error_code;
  return region_qword(c, ((error & 4) != 0 ? kLdtLinear : kGdtLinear) + (error & 0xFFF8));
}

// ---- flags ----

u64 pushed_resume_flag(const MaskContext& c, const Difference& d) {
  return is_system(c) && d.field == Field::kMemory && d.bits() == kResume && (d.ours & kResume) != 0 ? kResume : 0;
}
u64 resume_flag_kept(const MaskContext& c, const Difference& d) {
  const bool entered_with = (c.input.rflags & kResume) != 0;
  return entered_with && d.field == Field::kMemory && d.bits() == kResume && (d.theirs & kResume) != 0 ? kResume : 0;
}
u64 virtual_interrupt_flags(const MaskContext& c, const Difference& d) {
  if (!is_system(c)) return 0;
  if (d.field == Field::kRflags) return kVirtualInterrupts;
  if (d.field != Field::kMemory) return 0;
  // A pushed image, at any byte, or its upper half alone.
  constexpr unsigned kWordBits = 16;
  if ((d.bits() & ~(kVirtualInterrupts >> kWordBits)) == 0) return kAll;
  for (unsigned shift = 0; shift < 64; shift += 8) {
    if ((d.bits() & ~(kVirtualInterrupts << shift)) == 0) return kAll;
  }
  return 0;
}
u64 sysret_flags(const MaskContext& c, const Difference& d) {
  return c.ours.vector == c.theirs.vector && d.field == Field::kRflags ? kVirtual8086 | kResume : 0;
}

// ---- segments ----

u64 segment_limits(const MaskContext& c, const Difference&) {
  const bool ours = (c.ours.vector == kGeneralProtection || c.ours.vector == kStackFault) && c.ours.error_code == 0;
  return all_if(family(c, "segment limits") && ours && c.theirs.vector != c.ours.vector);
}
u64 null_stack_selector(const MaskContext& c, const Difference&) {
  return all_if(family(c, "segments") && refused(c, kGeneralProtection) && c.ours.error_code == 0 && c.theirs.ss < 4);
}
/// The dword (or more) that holds the accessed bit reaches into the next page, the byte does not, or they name
/// different addresses.
u64 width_of_accessed_bit(const MaskContext& c, const Difference& d) {
  constexpr u64 kDescriptorBytes = 8;
  const bool faulted = c.theirs.vector == kPageFault && (c.theirs.error_code & 2) != 0;
  const bool near = c.ours.cr2 - c.theirs.cr2 < kDescriptorBytes;
  if (d.field == Field::kCr2 && c.ours.vector == kPageFault && faulted) return all_if(near);
  if (!about(c, "mov sreg")) return 0;
  return d.field == Field::kDirty ? kAll : all_if(faulted && c.ours.vector != kPageFault);
}
u64 accessed_bit_of_code(const MaskContext& c, const Difference& d) {
  constexpr u64 kAccessedBit = u64{1} << 40;
  constexpr u64 kTablePages = 1 << 20 | 1 << 22;
  if (!transfers(c)) return 0;
  if (d.field == Field::kDirty) return d.ours & ~d.theirs & kTablePages;
  return d.field == Field::kMemory ? d.ours & ~d.theirs & kAccessedBit : 0;
}
u64 types_of_selector_probe(const MaskContext& c, const Difference& d) {
  const bool refused_by_ours = (c.ours.rflags & kZero) == 0 && (c.theirs.rflags & kZero) != 0;
  if (!refused_by_ours) return 0;
  return d.field == Field::kRflags ? kZero : d.field == Field::kGpr ? kAll : 0;
}
u64 upper_half_of_descriptor(const MaskContext& c, const Difference&) {
  return all_if(refused(c, kGeneralProtection) && c.ours.error_code != 0 && c.theirs.vector == kBreakpoint);
}

// ---- transfers ----

u64 reserved_code_size(const MaskContext& c, const Difference&) {
  constexpr u64 kLongAndBig = u64{3} << 53;
  const bool named = c.ours.vector == kGeneralProtection && c.ours.error_code >= 8;
  return all_if(transfers(c) && named && (named_descriptor(c) & kLongAndBig) == kLongAndBig);
}
u64 offset_limit(const MaskContext& c, const Difference& d) {
  const bool far = family(c, "iret") || about(c, "ret far") || about(c, "jmp far") || about(c, "call far");
  if (!far || c.ours.vector != kGeneralProtection || c.ours.error_code != 0) return 0;
  const bool passed = c.theirs.vector == kBreakpoint || c.theirs.vector == kPageFault;
  return all_if(passed || d.field == Field::kErrorCode);
}
u64 delivery_to_non_canonical(const MaskContext& c, const Difference&) {
  const bool ours = c.ours.vector == kDoubleFault || c.ours.vector == kGeneralProtection;
  return all_if(transfers(c) && ours && !is_canonical(c.theirs.rip));
}
u64 gate_not_present(const MaskContext& c, const Difference& d) {
  const bool both = c.ours.vector == kSegmentNotPresent && c.theirs.vector == kGeneralProtection;
  return all_if(family(c, "far transfers") && both && d.field == Field::kVector);
}
u64 stack_not_present(const MaskContext& c, const Difference& d) {
  const bool both = c.ours.vector == kStackFault && c.theirs.vector == kSegmentNotPresent;
  return all_if(transfers(c) && both && d.field == Field::kVector);
}
/// Two things are wrong, each machine reports one of them.
u64 order_of_checks(const MaskContext& c, const Difference& d) {
  const bool doubled = c.ours.vector == kDoubleFault && c.theirs.vector == kDoubleFault;
  if (transfers(c) && doubled && c.ours.cr2 != c.theirs.cr2) {  // QEMU met a page fault on the way
    if (d.field == Field::kCr2) return kAll;
    if (d.field == Field::kAccessed) return d.theirs & ~d.ours;
  }
  const auto is_check = [](u32 v) { return v == kDoubleFault || (v >= kInvalidTss && v <= kPageFault); };
  return all_if(transfers(c) && is_check(c.ours.vector) && is_check(c.theirs.vector) &&
                c.ours.vector != c.theirs.vector && c.ours.rip == c.theirs.rip);
}
u64 conforming_through_gate(const MaskContext& c, const Difference& d) {
  const bool cs = d.field == Field::kSelector && d.index == kCsIndex;
  const bool pushed = d.field == Field::kMemory && (d.bits() & ~u64{3}) == 0;
  return family(c, "far transfers") && (cs || pushed) ? 3 : 0;
}
/// Where the #BP that ends the case found its stack.
u64 level_behind_gate(const MaskContext& c, const Difference& d) {
  const u16 level = c.ours.cs & 3;
  const bool stack = d.field == Field::kMemory || d.field == Field::kDirty;
  return all_if(about(c, "call far") && stack && (level == 1 || level == 2) && c.ours.vector == kBreakpoint);
}
u64 return_reads_as_supervisor(const MaskContext& c, const Difference& d) {
  constexpr u64 kUserAccess = 1 << 2;
  const bool returns = family(c, "iret") || about(c, "ret far");
  return returns && d.field == Field::kErrorCode && c.ours.vector == kPageFault ? d.ours & ~d.theirs & kUserAccess : 0;
}
u64 pushed_before_fault(const MaskContext& c, const Difference& d) {
  const bool pushed = d.field == Field::kMemory || d.field == Field::kDirty;
  const bool faulted = is_fault(c.ours.vector) || c.ours.vector == kDoubleFault;
  return all_if((about(c, "call far") || family(c, "gates")) && faulted && pushed);
}
u64 upper_half_of_rsp(const MaskContext& c, const Difference& d) {
  const bool returns = family(c, "iret") || about(c, "ret far");
  return returns && d.field == Field::kGpr && d.index == kRspIndex ? kUpperHalf : 0;
}
u64 upper_half_of_rip(const MaskContext& c, const Difference& d) {
  return transfers(c) && d.field == Field::kRip && (d.ours & kUpperHalf) == 0 ? kUpperHalf : 0;
}
u64 null_data_selectors(const MaskContext& c, const Difference& d) {
  const bool segment = d.field == Field::kSelector && d.index >= kFsIndex;
  return is_system(c) && segment && d.ours == 0 && d.theirs < 4 ? kAll : 0;
}
u64 idt_error_code(const MaskContext& c, const Difference& d) {
  const bool pushed = d.field == Field::kMemory && transfers(c) && d.ours <= 0xFFFF;
  if (c.ours.vector != c.theirs.vector || (d.field != Field::kErrorCode && !pushed)) return 0;
  constexpr u64 kExternal = 1, kIdt = 2;
  const u64 vector = d.ours >> 3;
  const bool scaled = (d.ours & kIdt) != 0 && d.theirs == vector * 16 + kIdt;
  return all_if(scaled || d.theirs == (d.ours & ~kExternal));
}
u64 stack_segment_with_ist(const MaskContext& c, const Difference& d) {
  const bool ss = d.field == Field::kSelector && d.index == kSsIndex;
  return all_if(transfers(c) && ss && d.theirs == (c.theirs.cs & 3u));
}
u64 ist_above_level_0(const MaskContext& c, const Difference&) {
  const bool ours = c.ours.vector == kPageFault || c.ours.vector == kDoubleFault;
  const bool stack = (c.ours.cr2 >= page_linear(22) && c.ours.cr2 < page_linear(26)) || c.ours.cr2 >= kDirectMap;
  return all_if(family(c, "gates") && ours && stack && c.theirs.cr2 == 0);
}
u64 null_sysenter_cs(const MaskContext& c, const Difference&) {
  const bool ours = c.ours.vector == kGeneralProtection && c.ours.error_code == 0;
  const u64 selector = c.ours.system.sysenter_cs & 0xFFFF;
  return all_if(is_system(c) && ours && selector > 0 && selector < 4);
}
u64 upper_halves_of_sysexit(const MaskContext& c, const Difference& d) {
  const bool target = d.field == Field::kRip || (d.field == Field::kGpr && d.index == kRspIndex);
  return is_system(c) && target && c.instruction->z.operand_width != 64 ? kUpperHalf : 0;
}
u64 fast_return_to_non_canonical(const MaskContext& c, const Difference&) {
  const bool target = !is_canonical(c.input.gpr[1]) || !is_canonical(c.input.gpr[2]);
  return all_if(family(c, "fast calls") && c.ours.vector == kGeneralProtection && target);
}

// ---- registers ----

u64 tables_not_canonical(const MaskContext& c, const Difference&) {
  return all_if(is_system(c) && refused(c, kGeneralProtection) && c.ours.error_code == 0);
}
u64 stored_table(const MaskContext& c, const Difference& d) {
  const bool narrow = c.instruction->z.operand_width == 16;
  const bool partly = is_fault(c.ours.vector) && c.ours.vector == c.theirs.vector;
  return d.field == Field::kMemory && (narrow || partly) ? kAll : 0;
}
u64 control_bits(const MaskContext& c, const Difference&) {
  const bool subject = about(c, "mov cr0, r") || about(c, "mov cr4, r") || about(c, "mov cr8");
  return all_if(subject && refused(c, kGeneralProtection) && c.theirs.vector == kBreakpoint);
}
u64 reserved_bits_of_cr0(const MaskContext& c, const Difference& d) {
  constexpr u64 kDefined = 0xE005003F;
  return family(c, "control registers") && is_system_word(d, offsetof(SystemOutcome, cr0)) ? ~kDefined : 0;
}
u64 undefined_before_privilege(const MaskContext& c, const Difference&) {
  const bool registers = family(c, "control registers") || about(c, "mov dr");
  return all_if(registers && c.ours.vector == kInvalidOpcode && c.theirs.vector == kGeneralProtection);
}
u64 ignored_lock(const MaskContext& c, const Difference&) {
  return all_if((about(c, "lock") || about(c, "lock mov cr")) && c.ours.vector == kInvalidOpcode);
}
u64 msr_checks(const MaskContext& c, const Difference&) {
  return all_if(family(c, "msr") && refused(c, kGeneralProtection) && c.theirs.vector == kBreakpoint);
}
u64 width_of_sysenter_cs(const MaskContext& c, const Difference& d) {
  constexpr u64 kAbove16 = 0xFFFF0000;
  const bool read_back = d.field == Field::kGpr && d.index == kRaxIndex;
  const bool value = read_back || is_system_word(d, offsetof(SystemOutcome, sysenter_cs));
  return about(c, "ia32_sysenter_cs") && value ? kAbove16 : 0;
}
u64 no_rdpmc(const MaskContext& c, const Difference& d) {
  const bool vectors = c.ours.vector == kGeneralProtection && c.theirs.vector == kInvalidOpcode;
  return all_if(vectors && d.field == Field::kVector);
}

// ---- units ----

u64 undefined_before_device(const MaskContext& c, const Difference& d) {
  const bool vectors = c.ours.vector == kInvalidOpcode && c.theirs.vector == kNoDevice;
  return all_if(family(c, "unit controls") && vectors && d.field == Field::kVector);
}
u64 unchecked_unit(const MaskContext& c, const Difference&) {
  const bool ours = c.ours.vector == kInvalidOpcode || c.ours.vector == kNoDevice;
  return all_if(family(c, "unit controls") && ours && c.theirs.vector == kBreakpoint);
}
u64 unchecked_xsave(const MaskContext& c, const Difference&) {
  return all_if(family(c, "unit controls") && refused(c, kNoDevice));
}
/// XSTATE_BV of an x87 or SSE state in its initial configuration, and what XSAVEOPT need not store of it.
u64 initial_state(const MaskContext& c, const Difference& d) {
  constexpr u64 kHeader = 512, kX87AndSse = 3;
  if (!is_system(c) || d.field != Field::kMemory) return 0;
  const u64 offset = kRegion + u64{d.index} * 8 - c.input.gpr[3];
  if (offset == kHeader) return kX87AndSse;
  const ZydisMnemonic mnemonic = c.instruction->z.mnemonic;
  const bool optimised = mnemonic == ZYDIS_MNEMONIC_XSAVEOPT || mnemonic == ZYDIS_MNEMONIC_XSAVEOPT64;
  return all_if(optimised && offset < kHeader);
}
u64 sse_without_osfxsr(const MaskContext& c, const Difference& d) {
  constexpr u64 kOsfxsr = 1 << 9;
  return is_system(c) && d.field == Field::kMemory && (c.ours.system.cr4 & kOsfxsr) == 0 ? kAll : 0;
}
u64 unclaimed_port(const MaskContext& c, const Difference& d) {
  const bool value = (d.field == Field::kGpr && d.index == kRaxIndex) || d.field == Field::kMemory;
  return is_system(c) && value ? kAll : 0;
}

// ---- page faults, debugging, interrupts ----

u64 no_general_detect(const MaskContext& c, const Difference& d) {
  constexpr u64 kDetect = 1 << 13;
  if (!family(c, "debug")) return 0;
  const bool detected = c.ours.vector == kDebug && (c.ours.system.dr6 & kDetect) != 0;
  if (detected && c.theirs.vector != kDebug) return kAll;
  const bool word = is_system_word(d, offsetof(SystemOutcome, dr6)) || is_system_word(d, offsetof(SystemOutcome, dr7));
  return word ? kDetect : 0;
}
u64 reserved_debug_bits(const MaskContext& c, const Difference& d) {
  if (!about(c, "mov dr")) return 0;
  if (is_system_word(d, offsetof(SystemOutcome, dr6))) return 1 << 12;
  return is_system_word(d, offsetof(SystemOutcome, dr7)) ? 1 << 11 | 1 << 12 | 1 << 14 | 1 << 15 : 0;
}
u64 hits_of_disabled_breakpoints(const MaskContext& c, const Difference& d) {
  if (!is_system_word(d, offsetof(SystemOutcome, dr6))) return 0;
  u64 disabled = 0;
  for (unsigned i = 0; i < 4; ++i) {
    if ((c.ours.system.dr7 >> (2 * i) & 3) == 0) disabled |= u64{1} << i;
  }
  return disabled;
}
u64 breakpoint_behind_mov_ss(const MaskContext& c, const Difference&) {
  return all_if(about(c, "instruction breakpoint") && c.theirs.vector == kDebug);
}
/// QEMU's watchpoints hit too often, once too few, or behind what follows.
u64 inexact_watchpoints(const MaskContext& c, const Difference& d) {
  constexpr u64 kHits = 0xF;
  if (!about(c, "data breakpoint") || c.theirs.vector != kDebug) return 0;
  if (c.ours.vector != kDebug || c.theirs.cs == kKernelCode64) return kAll;
  return is_system_word(d, offsetof(SystemOutcome, dr6)) ? kHits : 0;
}
u64 repeated_watchpoint(const MaskContext& c, const Difference&) {
  return all_if(about(c, "data breakpoint") && c.ours.vector == kDebug && c.theirs.vector == kDebug);
}
u64 step_over_sti(const MaskContext& c, const Difference& d) {
  const bool both = c.ours.vector == kDebug && c.theirs.vector == kDebug;
  return all_if(about(c, "single step") && both && d.field == Field::kRip);
}
u64 two_shadows(const MaskContext& c, const Difference& d) {
  return all_if(about(c, "sti, mov ss") && d.field == Field::kRip && c.ours.vector == c.theirs.vector);
}

constexpr Oracle kQemu = Oracle::kQemu;
constexpr MaskKind kWrong = MaskKind::kQemuWrong, kOpen = MaskKind::kUndefined, kVaries = MaskKind::kVaries;

constexpr MaskRow kRows[] = {
    {"RF in pushed flags", "*", kQemu, kWrong, pushed_resume_flag, "QEMU pushes RF = 0 for faults", "SDM 3, 18.3.1.1"},
    {"RF behind IRET", "*", kQemu, kVaries, resume_flag_kept,
     "bhvm keeps an RF that IRET loaded only while a breakpoint is enabled", "docs/CPU.md; SDM 3, 18.3.1.1"},
    {"VIF and VIP", "*", kQemu, kWrong, virtual_interrupt_flags, "QEMU's IRET and SYSRET do not load VIF and VIP",
     "SDM 2, IRET and SYSRET"},
    {"RF and VM of SYSRET", "syscall sysret", kQemu, kWrong, sysret_flags, "QEMU loads RF and VM from R11",
     "SDM 2, SYSRET: R11 & 3C7FD7H"},

    {"no segment limits", "*", kQemu, kWrong, segment_limits,
     "QEMU checks neither limits nor access rights when it uses a segment", "SDM 3, 5.3 to 5.5"},
    {"null SS", "mov pop lss", kQemu, kWrong, null_stack_selector, "QEMU takes a null SS whose RPL is not CPL",
     "SDM 2, MOV: #GP(0) if RPL is not CPL"},
    {"width of the accessed bit", "*", kQemu, kOpen, width_of_accessed_bit,
     "QEMU sets a descriptor's accessed bit with a write of 4 bytes, bhvm of 1",
     "SDM 3, 3.4.5.1: says nothing of the width"},
    {"accessed bit of code segments", "*", kQemu, kWrong, accessed_bit_of_code,
     "QEMU does not set it in far transfers, returns and deliveries", "SDM 3, 3.4.5.1"},
    {"types of LAR and LSL", "lar lsl", kQemu, kWrong, types_of_selector_probe,
     "QEMU takes 16-bit types in IA-32e mode", "SDM 2, tables of LAR and LSL"},
    {"upper half of a descriptor", "lldt ltr", kQemu, kWrong, upper_half_of_descriptor,
     "QEMU checks neither its type field nor that the base is canonical", "SDM 3, 3.5.2; SDM 2, LLDT, LTR"},

    {"L and D together", "*", kQemu, kWrong, reserved_code_size, "QEMU takes a code segment with L and D set",
     "SDM 3, 5.2.1"},
    {"limit of a far target", "*", kQemu, kWrong, offset_limit,
     "QEMU does not check it in returns, and names the selector in jumps and calls", "SDM 2, RET and IRET: #GP(0)"},
    {"gate to a non-canonical address", "*", kQemu, kWrong, delivery_to_non_canonical,
     "QEMU completes the transfer and faults at its target", "SDM 2, INT n and CALL: #GP in 64-bit mode"},
    {"absent code behind a gate", "*", kQemu, kWrong, gate_not_present, "QEMU's JMP raises #GP in place of #NP",
     "SDM 2, JMP: #NP(selector)"},
    {"absent stack of a return", "*", kQemu, kWrong, stack_not_present, "QEMU raises #NP in place of #SS",
     "SDM 2, RET and IRET: #SS(selector)"},
    {"order of checks", "*", kQemu, kOpen, order_of_checks, "two faults, of which each machine reports one",
     "SDM 3, 6.9, table 6-2: faults of one class have no order"},
    {"RPL of CS behind a gate", "*", kQemu, kWrong, conforming_through_gate,
     "QEMU stores DPL, not CPL, for a conforming segment", "SDM 2, CALL: CS(RPL) := CPL"},
    {"CPL behind a gate", "*", kQemu, kWrong, level_behind_gate,
     "QEMU runs at CPL 0, since that is the DPL of its null SS: the next delivery switches no stack",
     "SDM 2, CALL: CPL := CodeSegment(DPL)"},
    {"reads of RET and IRET", "*", kQemu, kWrong, return_reads_as_supervisor,
     "QEMU reads the stack with supervisor rights at CPL 3", "SDM 3, 4.6.1"},
    {"half a frame", "*", kQemu, kWrong, pushed_before_fault,
     "QEMU's far CALL and delivery leave on the stack what they pushed before a fault", "SDM 3, 6.5, faults"},
    {"upper half of RSP", "*", kQemu, kOpen, upper_half_of_rsp, "behind a return to compatibility mode",
     "SDM 1, 3.4.1.1: undefined after a switch from 64-bit mode"},
    {"upper half of RIP", "*", kQemu, kWrong, upper_half_of_rip, "QEMU keeps it in compatibility mode",
     "SDM 1, 3.5: EIP outside 64-bit mode"},
    {"null FS and GS", "*", kQemu, kWrong, null_data_selectors, "QEMU keeps the RPL of a null selector",
     "SDM 2, RET and IRET: the selector becomes 0"},
    {"error codes of the IDT", "*", kQemu, kWrong, idt_error_code, "QEMU names a gate by vector * 16 and has no EXT",
     "SDM 3, 6.13"},
    {"SS with IST", "*", kQemu, kWrong, stack_segment_with_ist, "QEMU loads a null SS when the level does not change",
     "SDM 3, 6.14.4; SDM 2, INT n, intra-privilege-level interrupts"},
    {"IST at CPL 3", "*", kQemu, kWrong, ist_above_level_0, "QEMU pushes with supervisor rights", "SDM 3, 4.6.1"},
    {"null IA32_SYSENTER_CS", "sysenter sysexit", kQemu, kWrong, null_sysenter_cs, "QEMU looks at its RPL too",
     "SDM 2, SYSENTER: #GP(0) if IA32_SYSENTER_CS[15:2] = 0"},
    {"upper halves of SYSEXIT", "sysexit", kQemu, kWrong, upper_halves_of_sysexit, "QEMU loads all 64 bits",
     "SDM 2, SYSEXIT: EDX and ECX"},
    {"fast returns to a non-canonical address", "sysret sysexit", kQemu, kWrong, fast_return_to_non_canonical,
     "QEMU goes there", "SDM 2, SYSRET and SYSEXIT: #GP(0)"},

    {"non-canonical tables", "lgdt lidt", kQemu, kWrong, tables_not_canonical, "QEMU loads them",
     "SDM 2, LGDT: #GP(0)"},
    {"SGDT and SIDT", "sgdt sidt", kQemu, kWrong, stored_table,
     "QEMU masks the base to 24 bits under 66H, and stores the limit before the base faults",
     "SDM 2, SGDT: the full 32-bit base is stored"},
    {"bits of CR0, CR4, CR8", "mov", kQemu, kWrong, control_bits,
     "QEMU takes NW without CD, bits above 31, features that CPUID does not claim, priorities above 15",
     "SDM 3, 2.5; SDM 2, MOV to control registers"},
    {"reserved bits of CR0", "mov", kQemu, kWrong, reserved_bits_of_cr0, "QEMU keeps them", "SDM 3, 2.5"},
    {"#UD before privilege", "*", kQemu, kWrong, undefined_before_privilege,
     "QEMU looks at CPL before it looks whether the register is there", "SDM 3, 6.9, table 6-2"},
    {"LOCK", "*", kQemu, kWrong, ignored_lock, "QEMU ignores it, or reads CR8 as AMD's processors do",
     "SDM 2, LOCK: #UD"},
    {"checks of WRMSR and RDMSR", "rdmsr wrmsr wrfsbase wrgsbase", kQemu, kWrong, msr_checks,
     "QEMU ignores reserved bits, addresses that are not canonical, and registers that it does not know",
     "SDM 2, WRMSR, RDMSR, WRFSBASE: #GP(0)"},
    {"width of IA32_SYSENTER_CS", "wrmsr", kQemu, kVaries, width_of_sysenter_cs, "QEMU keeps 16 bits, bhvm 32",
     "SDM 4, table 2-2: bits 31:16 not used"},
    {"RDPMC", "rdpmc", kQemu, kWrong, no_rdpmc, "QEMU has no such instruction", "SDM 2, RDPMC: #GP(0)"},

    {"#UD before #NM", "*", kQemu, kWrong, undefined_before_device,
     "QEMU raises #NM where CR0.EM or CR4.OSFXSR makes it #UD", "SDM 3, 13.1 and 12.1"},
    {"unchecked units", "emms cvtpi2ps cvtps2pi movq2dq divps", kQemu, kWrong, unchecked_unit,
     "QEMU looks at CR0.EM, CR0.TS, CR4.OSFXSR or CR4.OSXMMEXCPT too little", "SDM 2, exceptions of each"},
    {"unchecked XSAVE", "xsave* xrstor*", kQemu, kWrong, unchecked_xsave, "QEMU ignores CR0.TS, or checks it late",
     "SDM 2, XSAVE: #NM"},
    {"initial states of XSAVE", "xsave*", kQemu, kOpen, initial_state, "what the processor tracks as initial",
     "SDM 1, 13.6: XINUSE is for the processor to decide"},
    {"FXSAVE without OSFXSR", "fxsave*", kQemu, kOpen, sse_without_osfxsr, "whether XMM and MXCSR are stored",
     "SDM 2, FXSAVE: implementation dependent"},
    {"unclaimed ports", "in ins*", kQemu, kVaries, unclaimed_port, "what is read where nothing answers", "no rule"},

    {"general detect", "*", kQemu, kWrong, no_general_detect, "QEMU has no DR7.GD", "SDM 3, 18.2.4"},
    {"reserved bits of DR6 and DR7", "mov", kQemu, kWrong, reserved_debug_bits, "QEMU keeps them",
     "SDM 3, 18.2.3, 18.2.4"},
    {"disabled breakpoints in DR6", "*", kQemu, kOpen, hits_of_disabled_breakpoints, "whether their bits are set",
     "SDM 3, 18.2.3: may be set even if not enabled"},
    {"breakpoint behind MOV SS", "*", kQemu, kWrong, breakpoint_behind_mov_ss, "QEMU raises it",
     "SDM 3, 6.8.3: inhibited"},
    {"data breakpoints", "*", kQemu, kWrong, inexact_watchpoints,
     "QEMU's watchpoints hit beside their range, miss accesses of several parts, or stop an instruction later",
     "SDM 3, 18.2.5 and 18.3.1.2"},
    {"data breakpoints under REP", "movsb stosb", kQemu, kOpen, repeated_watchpoint,
     "behind which iteration the trap comes", "SDM 1, 7.3.9.3, fast strings"},
    {"single step over STI", "sti", kQemu, kWrong, step_over_sti, "QEMU holds the trap back",
     "SDM 2, STI: exceptions are not affected"},
    {"STI and MOV SS in a row", "*", kQemu, kOpen, two_shadows, "whether the second delays interrupts too",
     "SDM 3, 6.8.3: only the first is guaranteed to"},
};

}  // namespace

std::span<const MaskRow> system_masks() { return kRows; }

}  // namespace bhvm::oracle
