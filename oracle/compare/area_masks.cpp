// MMX, and operands in memory larger than one access: save areas, environments, 80-bit stores.
#include "oracle/compare/operand_address.h"
#include "oracle/compare/x87_view.h"

namespace bhvm::oracle {
namespace {

using namespace x87;

// ---- MMX ----

/// Their state is ours with TOP = 0, and with all registers valid or not.
bool only_entered_mmx(const MaskContext& c) {
  const Registers ours(c.ours.fx);
  const Registers theirs(c.theirs.fx);
  return theirs.top() == 0 && (theirs.tags == 0xFF || theirs.tags == ours.tags) &&
         ((ours.status ^ theirs.status) & ~kTop) == 0 && ours.significand == theirs.significand;
}

u64 enters_mmx_before_fault(const MaskContext& c, const Difference& d) {
  if (!is_stack_field(d.field) || !is_fault(c.ours.vector)) return 0;
  const DecodedInstruction* insn = faulting_instruction(c);
  return insn != nullptr && is_of(*insn, ZYDIS_REGCLASS_MMX) && only_entered_mmx(c) ? ~u64{0} : 0;
}

/// QEMU's state: entered, and written where QEMU misses the exception.
u64 enters_mmx_without_fault(const MaskContext& c, const Difference& d) {
  if (!is_stack_field(d.field) || !is_fault(c.ours.vector)) return 0;
  const DecodedInstruction* insn = faulting_instruction(c);
  if (insn == nullptr || !is_of(*insn, ZYDIS_REGCLASS_MMX)) return 0;
  return only_entered_mmx(c) || c.theirs.vector != c.ours.vector ? ~u64{0} : 0;
}

u64 mmx_keeps_exponent(const MaskContext& c, const Difference& d) {
  if (d.field != Field::kX87Exponent || d.ours != 0xFFFF) return 0;
  const Registers before(c.input.fx);
  const Registers theirs(c.theirs.fx);
  const unsigned physical = theirs.physical(d.index);
  const bool kept = d.theirs == before.exponent[physical] || d.theirs == 0;
  return kept && is_of(*c.instruction, ZYDIS_REGCLASS_MMX) ? ~u64{0} : 0;
}

u64 rex_extends_mmx(const MaskContext& c, const Difference& d) {
  const auto& rex = c.instruction->z.raw.rex;
  if ((rex.R == 0 && rex.B == 0) || !is_of(*c.instruction, ZYDIS_REGCLASS_MMX)) return 0;
  const bool store = c.instruction->z.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ;
  const bool result = d.field == Field::kX87Significand || d.field == Field::kXmm || d.field == Field::kGpr ||
                      d.field == Field::kMemory || d.field == Field::kMxcsr;
  return result || store ? ~u64{0} : 0;
}

// ---- areas ----

bool writes(const DecodedInstruction& insn, ZydisRegister wide) {
  for (unsigned i = 0; i < insn.z.operand_count; ++i) {
    const ZydisDecodedOperand& operand = insn.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0 &&
        ZydisRegisterGetLargestEnclosing(insn.z.machine_mode, operand.reg.value) == wide) {
      return true;
    }
  }
  return false;
}

/// The address of the instruction's memory operand, as far as the registers before the case or after it tell.
std::optional<u64> operand_address(const MaskContext& c, const DecodedInstruction& insn) {
  const ZydisDecodedOperand* memory = memory_operand(insn);
  if (memory == nullptr) return std::nullopt;
  const bool code64 = c.group.group.mode == Mode::kUser64 || c.group.group.mode == Mode::kKernel64;
  const auto at_the_instruction = [&](ZydisRegister reg) -> std::optional<u64> {
    if (reg == ZYDIS_REGISTER_NONE) return 0;
    const ZydisRegister wide = ZydisRegisterGetLargestEnclosing(insn.z.machine_mode, reg);
    u64 next = kRegion + c.group.group.code_offset;
    bool passed = false;
    bool written_before = false;
    bool written_after = false;
    for (const DecodedInstruction& each : c.instructions) {
      if (!passed) next += each.z.length;
      passed = passed || &each == &insn;
      (passed ? written_after : written_before) |= writes(each, wide);
    }
    if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP) return next;
    if (!written_before) return c.input.gpr[ZydisRegisterGetId(wide)];
    if (!written_after) return c.ours.gpr[ZydisRegisterGetId(wide)];
    return std::nullopt;
  };
  const std::optional<u64> offset = operand_offset(insn, memory->mem, at_the_instruction);
  if (!offset) return std::nullopt;
  return code64 ? *offset + segment_base(c.input, memory->mem.segment) : *offset & 0xFFFFFFFF;
}

/// The bits of a memory word that lie at offsets of the instruction's area for which `among(offset)` is true.
template <class Among>
u64 bytes_of_the_area(const MaskContext& c, const Difference& d, Among among) {
  if (d.field != Field::kMemory) return 0;
  const std::optional<u64> area = operand_address(c, *c.instruction);
  if (!area) return 0;
  u64 bits = 0;
  for (unsigned byte = 0; byte < 8; ++byte) {
    const u64 offset = kRegion + u64{8} * d.index + byte - *area;
    if (offset < 512 && among(offset)) bits |= u64{0xFF} << (8 * byte);
  }
  return bits;
}

u64 pointers_of_an_area(const MaskContext& c, const Difference& d) {
  return bytes_of_the_area(c, d, [](u64 offset) { return offset >= 6 && offset < 24; });
}
u64 reserved_bytes_of_an_area(const MaskContext& c, const Difference& d) {
  return bytes_of_the_area(
      c, d, [](u64 offset) { return offset == 5 || (offset >= 32 && offset < 160 && offset % 16 >= 10); });
}
u64 pointers_of_an_environment(const MaskContext& c, const Difference& d) {
  const bool wide = c.instruction->z.operand_width != 16;
  return bytes_of_the_area(c, d, [wide](u64 offset) {
    return wide ? offset < 28 && (offset >= 12 || offset % 4 >= 2) : offset >= 6 && offset < 14;
  });
}

/// AMD's processors have MXCSR.MM, bit 17.
u64 misaligned_mask_of_an_area(const MaskContext& c, const Difference& d) {
  constexpr u64 kMxcsrMask = 28, kMisalignedMask = 0x0202020202020202;
  return kMisalignedMask & bytes_of_the_area(c, d, [](u64 offset) { return offset == kMxcsrMask + 2; });
}

/// Which byte of an area is touched first is nobody's business: CR2 may be that of another one, and at the end of the
/// canonical addresses either fault may come.
u64 another_byte_of_the_area(const MaskContext& c, const Difference& d) {
  if (d.field != Field::kCr2 && d.field != Field::kVector && d.field != Field::kErrorCode) return 0;
  const DecodedInstruction* insn = faulting_instruction(c);
  const ZydisDecodedOperand* area = insn == nullptr ? nullptr : memory_operand(*insn, 80);
  if (area == nullptr || c.ours.rip != c.theirs.rip) return 0;
  const u64 bytes = area->size / 8;
  const u64 wrap = insn->code64() ? ~u64{0} : 0xFFFFFFFF;
  const auto near = [bytes, wrap](u64 a, u64 b) { return ((a - b) & wrap) < bytes || ((b - a) & wrap) < bytes; };
  const bool ours_faults = c.ours.vector == kPageFault;
  const bool theirs_faults = c.theirs.vector == kPageFault;
  if (ours_faults && theirs_faults) {
    if (!near(c.ours.cr2, c.theirs.cr2)) return 0;
    constexpr u64 kOfPage = 1 << 0 | 1 << 3;  // P and RSVD tell of the page
    const bool other_page = c.ours.cr2 / kPageBytes != c.theirs.cr2 / kPageBytes;
    return d.field == Field::kCr2 ? ~u64{0} : d.field == Field::kErrorCode && other_page ? kOfPage : 0;
  }
  constexpr u64 kCanonicalEnd = u64{1} << 47;
  const u32 other = ours_faults ? c.theirs.vector : c.ours.vector;
  const u64 address = ours_faults ? c.ours.cr2 : c.theirs.cr2;
  const bool edge = (ours_faults || theirs_faults) && (other == kGeneralProtection || other == kStackFault);
  constexpr u64 kLow48 = 2 * kCanonicalEnd - 1;
  return edge && near(address & kLow48, kCanonicalEnd) ? ~u64{0} : 0;
}

/// XSAVEOPT need not store what is in its initial configuration, or what has not changed.
u64 pages_without_store(const MaskContext& c, const Difference& d) {
  const bool page_bits = d.field == Field::kAccessed || d.field == Field::kDirty;
  return page_bits && !is_fault(c.ours.vector) ? d.ours & ~d.theirs : 0;
}

/// A store of more than eight bytes may have written some of them before another faults.
u64 part_of_a_store(const MaskContext& c, const Difference& d) {
  if (!is_fault(c.ours.vector) || faulting_instruction(c) != c.instruction) return 0;
  const ZydisDecodedOperand* memory = memory_operand(*c.instruction, 80);
  if (memory == nullptr) return 0;
  return bytes_of_the_area(c, d, [&](u64 offset) { return offset < memory->size / 8; });
}

u64 reads_too_much(const MaskContext& c, const Difference& d) {
  if (!is_of(*c.instruction, ZYDIS_REGCLASS_MMX) || memory_operand(*c.instruction) == nullptr) return 0;
  if (d.field == Field::kAccessed) return d.theirs & ~d.ours;
  const bool only_theirs = is_fault(c.theirs.vector) && c.theirs.rip != c.ours.rip;
  return only_theirs ? ~u64{0} : 0;
}

constexpr std::string_view kLongStores = "fstp fbstp fnstenv fnsave fxsave fxsave64 xsave xsave64 xsaveopt xsaveopt64";
constexpr std::string_view kAreas = "fxsave fxsave64 xsave xsave64 xsaveopt xsaveopt64";

constexpr MaskRow kRows[] = {
    {"MMX state before a fault", "*", Oracle::kQemu, MaskKind::kUndefined, enters_mmx_without_fault,
     "QEMU enters the MMX state before it looks at the operand", "SDM 3, 6.5: a fault leaves the state as it was"},
    {"MMX state before a fault, host", "*", Oracle::kNative, MaskKind::kHost, enters_mmx_before_fault,
     "the host, too, enters the MMX state before a store or a conversion faults",
     "observed; SDM 3, 6.5 says that a fault leaves the state as it was"},
    {"exponent of MMX registers", "p* mov* cvt*", Oracle::kQemu, MaskKind::kQemuWrong, mmx_keeps_exponent,
     "QEMU leaves bits 79:64 of an MMX register that is written as they are, or clears them", "SDM 1, 9.5.1"},
    {"REX and MMX registers", "p* mov* cvt* maskmovq", Oracle::kQemu, MaskKind::kQemuWrong, rex_extends_mmx,
     "QEMU takes REX.R and REX.B as a fourth bit of an MMX register's number", "SDM 2, 2.2.1.2"},
    {"CR2 in an area", "*", Oracle::kQemu, MaskKind::kUndefined, another_byte_of_the_area,
     "the order in which the bytes of an area are accessed is not told", "SDM 3, 9.1.1"},
    {"CR2 in an area, host", "*", Oracle::kNative, MaskKind::kUndefined, another_byte_of_the_area,
     "the order in which the bytes of an area are accessed is not told", "SDM 3, 9.1.1"},
    {"part of a store", kLongStores, Oracle::kNative, MaskKind::kUndefined, part_of_a_store,
     "some of the accesses of a long store may complete when another faults", "SDM 3, 9.1.1", Host::kIntel},
    {"part of a store, QEMU", kLongStores, Oracle::kQemu, MaskKind::kUndefined, part_of_a_store,
     "some of the accesses of a long store may complete when another faults", "SDM 3, 9.1.1"},
    {"width of PUNPCKL", "punpcklbw punpcklwd punpckldq", Oracle::kQemu, MaskKind::kQemuWrong, reads_too_much,
     "QEMU reads eight bytes where the MMX forms read four", "SDM 2, PUNPCKLBW"},
    {"pages that XSAVEOPT leaves alone", "xsaveopt xsaveopt64", Oracle::kQemu, MaskKind::kUndefined,
     pages_without_store, "what the processor tracks as initial or unmodified is not stored",
     "SDM 1, 13.6 and 13.9: for the processor to decide"},
    {"pointers in an area", kAreas, Oracle::kQemu, MaskKind::kQemuWrong, pointers_of_an_area,
     "QEMU writes zeros for the instruction and data pointers and leaves the opcode out", "SDM 1, 10.5.1"},
    {"reserved bytes of an area", kAreas, Oracle::kQemu, MaskKind::kUndefined, reserved_bytes_of_an_area,
     "QEMU leaves the reserved bytes of an area alone", "SDM 1, table 10-2"},
    {"pointers in an environment", "fnstenv fnsave", Oracle::kQemu, MaskKind::kQemuWrong, pointers_of_an_environment,
     "QEMU's pointers are others than those FXRSTOR loads, and its reserved halves are zeros", "SDM 1, 8.1.10"},
    {"MXCSR_MASK in an area, AMD", kAreas, Oracle::kNative, MaskKind::kVendor, misaligned_mask_of_an_area,
     "MXCSR has the misaligned exception mask, bit 17", "APM 1, 4.2.2", Host::kAmd},
};

}  // namespace

std::span<const MaskRow> area_masks() { return kRows; }

}  // namespace bhvm::oracle
