// What a user process under Linux cannot know or sees differently.
#include "oracle/compare/explain.h"

namespace bhvm::oracle {
namespace {

constexpr u64 kProtection = 1 << 0;
constexpr u64 kReservedBit = 1 << 3;

/// Pages that the process has without any access, or that are its kernel's.
u64 page_fault_of_absent_page(const MaskContext& c, const Difference& d) {
  if (d.field != Field::kErrorCode || c.ours.vector != kPageFault || c.theirs.vector != kPageFault) return 0;
  const PageKind kind = page_kind_at(c.ours.cr2);
  const bool no_access =
      kind == PageKind::kSupervisor || kind == PageKind::kReserved || kind == PageKind::kSupervisorCode;
  return no_access ? kProtection | kReservedBit : 0;
}

u64 page_fault_in_kernel_half(const MaskContext& c, const Difference& d) {
  constexpr u64 kTaskSize = 0x7FFFFFFFF000;
  const bool kernel_half = c.ours.cr2 >= kTaskSize;
  return d.field == Field::kErrorCode && c.ours.vector == kPageFault && kernel_half ? kProtection : 0;
}

/// RCX, RSI and RDI under a 32-bit address size: hardware clears the upper halves even when nothing was counted.
u64 upper_half_of_string_register(const MaskContext& c, const Difference& d) {
  const bool counted = d.field == Field::kGpr && (d.index == 1 || d.index == 6 || d.index == 7);
  return counted && c.instruction->z.address_width == 32 ? ~u64{0xFFFFFFFF} : 0;
}

/// POP m: what is wrong with its destination, and what with the stack. The SDM orders neither before the other.
u64 pop_faults_twice(const MaskContext& c, const Difference&) {
  const bool theirs = c.theirs.vector == kPageFault || c.theirs.vector == kAlignmentCheck;
  return c.ours.vector == kGeneralProtection && theirs && memory_operand(*c.instruction) != nullptr ? ~u64{0} : 0;
}

/// The host has LZCNT and TZCNT where we have BSR and BSF with an ignored F3.
u64 counts_zeros(const MaskContext& c, const Difference&) {
  for (unsigned i = 0; i < c.instruction->z.raw.prefix_count; ++i) {
    if (c.instruction->z.raw.prefixes[i].value == 0xF3) return ~u64{0};
  }
  return 0;
}

/// BOUND reads two limits; whether the second is read when the first is exceeded.
u64 second_limit(const MaskContext& c, const Difference&) {
  constexpr u32 kBoundRange = 5;
  return c.ours.vector == kPageFault && c.theirs.vector == kBoundRange ? ~u64{0} : 0;
}

/// Just below the smallest normal number the last bit decides between an unmasked underflow, with its scaled result,
/// and none. FSINCOS has its sine in ST(1).
u64 scaled_at_the_boundary(const MaskContext& c, const Difference& d) {
  constexpr u64 kScaledExponent = 0x6000, kExponent = 0x7FFF;
  constexpr u64 kUnderflowPrecisionC1 = 0x230, kSummaryAndBusy = 0x8080;
  const u16 index = c.instruction->z.mnemonic == ZYDIS_MNEMONIC_FSINCOS ? 1 : 0;
  const u64 ours = word_of(c.ours, c.pristine, Field::kX87Exponent, index) & kExponent;
  const u64 theirs = word_of(c.theirs, c.pristine, Field::kX87Exponent, index) & kExponent;
  const bool boundary = (ours == kScaledExponent && theirs == 1) || (ours == 1 && theirs == kScaledExponent);
  if (!boundary) return 0;
  if (d.field == Field::kX87Status) return kUnderflowPrecisionC1 | kSummaryAndBusy;
  const bool result = d.field == Field::kX87Significand || d.field == Field::kX87Exponent;
  return (result && d.index == index) || d.field == Field::kX87Opcode ? ~u64{0} : 0;
}

/// A misaligned area: #GP, or #AC if that is on, or #SS if it is not canonical either.
u64 misaligned_area(const MaskContext& c, const Difference& d) {
  const bool other = c.theirs.vector == kAlignmentCheck || c.theirs.vector == kStackFault;
  return d.field == Field::kVector && c.ours.vector == kGeneralProtection && other ? ~u64{0} : 0;
}

constexpr std::string_view kStrings =
    "movsb movsw movsd movsq cmpsb cmpsw cmpsd cmpsq stosb stosw stosd stosq lodsb lodsw lodsd lodsq scasb scasw scasd "
    "scasq";

constexpr MaskRow kRows[] = {
    {"#PF of pages without access", "*", Oracle::kNative, MaskKind::kHost, page_fault_of_absent_page,
     "supervisor pages and entries with reserved bits are absent pages in a process", "Linux, mprotect(2)"},
    {"upper halves of string registers", kStrings, Oracle::kNative, MaskKind::kUndefined, upper_half_of_string_register,
     "whether a 32-bit address size clears the upper halves of RCX, RSI, RDI when no element was done",
     "SDM 2, REP: says nothing of it", Host::kIntel},
    {"POP m faults twice", "pop", Oracle::kNative, MaskKind::kUndefined, pop_faults_twice,
     "which fault of several operands comes first", "SDM 3, 6.9, table 6-2: faults of one class have no order"},
    {"LZCNT and TZCNT", "bsr bsf", Oracle::kNative, MaskKind::kHost, counts_zeros,
     "the host has LZCNT and TZCNT, which CPUID here does not claim", "SDM 2, LZCNT, TZCNT"},
    {"second limit of BOUND", "bound", Oracle::kNative, MaskKind::kUndefined, second_limit,
     "which of BOUND's two exceptions comes first", "SDM 3, 6.9: not told", Host::kIntel},
    {"scaled at the boundary", "fsin fcos fsincos fptan fpatan f2xm1 fyl2x fyl2xp1", Oracle::kNative,
     MaskKind::kUndefined, scaled_at_the_boundary,
     "within the last place that a transcendental may differ by, underflow occurs or does not",
     "SDM 1, 8.3.10: error below one unit in the last place", Host::kIntel},
    {"misaligned areas", "fxsave fxsave64 fxrstor fxrstor64", Oracle::kNative, MaskKind::kUndefined, misaligned_area,
     "which exception a misaligned area raises when others have a reason, too",
     "SDM 2, FXSAVE: #AC may or may not be signalled instead of #GP, by implementation"},
    {"#PF in the kernel's half", "*", Oracle::kNative, MaskKind::kHost, page_fault_in_kernel_half,
     "Linux tells a process that every page beyond its own half is present", "Linux, arch/x86/mm/fault.c"},
};

}  // namespace

std::span<const MaskRow> native_masks() { return kRows; }

}  // namespace bhvm::oracle
