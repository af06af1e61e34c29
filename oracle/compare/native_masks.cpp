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
  return c.ours.vector == kGeneralProtection && c.theirs.vector == kPageFault &&
                 memory_operand(*c.instruction) != nullptr
             ? ~u64{0}
             : 0;
}

constexpr std::string_view kStrings =
    "movsb movsw movsd movsq cmpsb cmpsw cmpsd cmpsq stosb stosw stosd stosq lodsb lodsw lodsd lodsq scasb scasw scasd "
    "scasq";

constexpr MaskRow kRows[] = {
    {"#PF of pages without access", "*", Oracle::kNative, MaskKind::kHost, page_fault_of_absent_page,
     "supervisor pages and entries with reserved bits are absent pages in a process", "Linux, mprotect(2)"},
    {"upper halves of string registers", kStrings, Oracle::kNative, MaskKind::kUndefined, upper_half_of_string_register,
     "whether a 32-bit address size clears the upper halves of RCX, RSI, RDI when no element was done",
     "SDM 2, REP: says nothing of it"},
    {"POP m faults twice", "pop", Oracle::kNative, MaskKind::kUndefined, pop_faults_twice,
     "which fault of several operands comes first", "SDM 3, 6.9, table 6-2: faults of one class have no order"},
    {"#PF in the kernel's half", "*", Oracle::kNative, MaskKind::kHost, page_fault_in_kernel_half,
     "Linux tells a process that every page beyond its own half is present", "Linux, arch/x86/mm/fault.c"},
};

}  // namespace

std::span<const MaskRow> native_masks() { return kRows; }

}  // namespace bhvm::oracle
