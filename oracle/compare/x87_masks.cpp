// x87, MMX and the save areas.
#include <array>
#include <cstring>
#include <optional>

#include "oracle/compare/explain.h"

namespace bhvm::oracle {
namespace {

constexpr u64 kInvalid = 1 << 0, kDenormal = 1 << 1;
constexpr u64 kExceptions = 0x3F;
constexpr u64 kStackFaultBit = 1 << 6;
constexpr u64 kC0 = 1 << 8, kC1 = 1 << 9, kC2 = 1 << 10, kC3 = 1 << 14;
constexpr u64 kTop = 7 << 11;

template <class T>
T fx_word(const u8 (&fx)[512], unsigned offset) {
  T value;
  std::memcpy(&value, fx + offset, sizeof(T));
  return value;
}

/// The x87 state of an FXSAVE64 image, registers in physical order.
struct Registers {
  u16 control;
  u16 status;
  u8 tags;
  std::array<u64, 8> significand{};
  std::array<u16, 8> exponent{};

  explicit Registers(const u8 (&fx)[512]) : control(fx_word<u16>(fx, 0)), status(fx_word<u16>(fx, 2)), tags(fx[4]) {
    for (unsigned i = 0; i < 8; ++i) {
      significand[physical(i)] = fx_word<u64>(fx, 32 + 16 * i);
      exponent[physical(i)] = fx_word<u16>(fx, 40 + 16 * i);
    }
  }
  unsigned top() const { return status >> 11 & 7; }
  unsigned physical(unsigned i) const { return (top() + i) & 7; }
  bool empty(unsigned i) const { return (tags >> physical(i) & 1) == 0; }
  u64 unmasked() const { return status & ~control & kExceptions; }
  /// Neither a number nor a NaN nor an infinity: an exponent without an integer bit.
  bool unsupported(unsigned i) const {
    return (exponent[physical(i)] & 0x7FFF) != 0 && significand[physical(i)] >> 63 == 0;
  }
};

bool is_stack_field(Field field) {
  return field == Field::kX87Status || field == Field::kX87Tag || field == Field::kX87Significand ||
         field == Field::kX87Exponent;
}

bool is_of(const DecodedInstruction& insn, ZydisRegisterClass registers) {
  for (unsigned i = 0; i < insn.z.operand_count; ++i) {
    const ZydisDecodedOperand& operand = insn.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(operand.reg.value) == registers) {
      return true;
    }
  }
  return false;
}

bool stores_to_memory(const DecodedInstruction& insn) {
  const ZydisDecodedOperand* memory = memory_operand(insn);
  return memory != nullptr && (memory->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
}

/// Does one of the stack registers that the instruction reads satisfy `condition(i)`?
template <class Condition>
bool any_source(const DecodedInstruction& insn, Condition condition) {
  for (unsigned i = 0; i < insn.z.operand_count; ++i) {
    const ZydisDecodedOperand& operand = insn.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0 &&
        ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_X87 &&
        condition(static_cast<unsigned>(ZydisRegisterGetId(operand.reg.value)))) {
      return true;
    }
  }
  return false;
}

/// What an x87 instruction answers: the stack, a store, the flags of FCOMI. A store that one machine makes and the
/// other does not may also end in a fault: then everything differs.
u64 whole_result(const MaskContext& c, const Difference& d) {
  if (is_stack_field(d.field)) return ~u64{0};
  if (d.field == Field::kRflags) return kZero | kParity | kCarry;
  return stores_to_memory(*c.instruction) ? ~u64{0} : 0;
}

// ---- pointers ----

u64 qemu_saves_no_pointers(const MaskContext&, const Difference& d) {
  const bool pointer = d.field == Field::kX87Opcode || d.field == Field::kX87Instruction || d.field == Field::kX87Data;
  return pointer && d.theirs == 0 ? ~u64{0} : 0;
}

/// The host keeps the data pointer that the case started with.
u64 host_keeps_data_pointer(const MaskContext& c, const Difference& d) {
  return d.field == Field::kX87Data && d.theirs == fx_word<u64>(c.input.fx, 16) ? ~u64{0} : 0;
}

// ---- #MF ----

u64 no_math_fault(const MaskContext& c, const Difference&) {
  return c.ours.vector == kX87Error && c.theirs.vector != kX87Error ? ~u64{0} : 0;
}

u64 math_fault_or_address_fault(const MaskContext& c, const Difference& d) {
  const bool both = c.theirs.vector == kX87Error && is_fault(c.ours.vector) && c.ours.rip == c.theirs.rip &&
                    Registers(c.ours.fx).unmasked() != 0;
  return both && (d.field == Field::kVector || d.field == Field::kErrorCode || d.field == Field::kCr2) ? ~u64{0} : 0;
}

// ---- MMX ----

/// Their state is ours with TOP = 0 and all registers valid.
bool only_entered_mmx(const MaskContext& c) {
  const Registers ours(c.ours.fx);
  const Registers theirs(c.theirs.fx);
  return theirs.top() == 0 && theirs.tags == 0xFF && ((ours.status ^ theirs.status) & ~kTop) == 0 &&
         ours.significand == theirs.significand;
}

u64 enters_mmx_before_fault(const MaskContext& c, const Difference& d) {
  if (!is_stack_field(d.field) || !is_fault(c.ours.vector)) return 0;
  const DecodedInstruction* insn = faulting_instruction(c);
  return insn != nullptr && is_of(*insn, ZYDIS_REGCLASS_MMX) && only_entered_mmx(c) ? ~u64{0} : 0;
}

u64 mmx_keeps_exponent(const MaskContext& c, const Difference& d) {
  if (d.field != Field::kX87Exponent || d.ours != 0xFFFF) return 0;
  const Registers before(c.input.fx);
  const Registers theirs(c.theirs.fx);
  const unsigned physical = theirs.physical(d.index);
  return d.theirs == before.exponent[physical] && is_of(*c.instruction, ZYDIS_REGCLASS_MMX) ? ~u64{0} : 0;
}

u64 rex_extends_mmx(const MaskContext& c, const Difference& d) {
  const auto& rex = c.instruction->z.raw.rex;
  if ((rex.R == 0 && rex.B == 0) || !is_of(*c.instruction, ZYDIS_REGCLASS_MMX)) return 0;
  const bool result = d.field == Field::kX87Significand || d.field == Field::kXmm || d.field == Field::kGpr ||
                      d.field == Field::kMemory || d.field == Field::kMxcsr;
  return result ? ~u64{0} : 0;
}

// ---- stack faults, unmasked exceptions, condition codes ----

u64 no_stack_underflow(const MaskContext& c, const Difference& d) {
  const Registers before(c.input.fx);
  const u64 after = fx_word<u16>(c.ours.fx, 2);
  if ((after & kStackFaultBit) == 0 || (after & kInvalid) == 0) return 0;
  return any_source(*c.instruction, [&](unsigned i) { return before.empty(i); }) ? whole_result(c, d) : 0;
}

u64 no_stack_overflow(const MaskContext& c, const Difference& d) {
  const u64 after = fx_word<u16>(c.ours.fx, 2);
  const bool fault = (after & kStackFaultBit) != 0 && (after & kInvalid) != 0;
  return fault && !Registers(c.input.fx).empty(7) ? whole_result(c, d) : 0;
}

u64 no_unmasked_response(const MaskContext& c, const Difference& d) {
  const Registers before(c.input.fx);
  return before.unmasked() == 0 && Registers(c.ours.fx).unmasked() != 0 ? whole_result(c, d) : 0;
}

u64 unsupported_operand(const MaskContext& c, const Difference& d) {
  const Registers before(c.input.fx);
  return any_source(*c.instruction, [&](unsigned i) { return before.unsupported(i); }) ? whole_result(c, d) : 0;
}

template <u64 kBits>
u64 status_bits(const MaskContext&, const Difference& d) {
  return d.field == Field::kX87Status ? kBits : 0;
}

/// C1 stays what it was.
u64 rounding_direction(const MaskContext& c, const Difference& d) {
  if (d.field != Field::kX87Status) return 0;
  return (d.theirs & kC1) == (fx_word<u16>(c.input.fx, 2) & kC1) ? kC1 : 0;
}

u64 no_denormal_flag(const MaskContext&, const Difference& d) {
  return d.field == Field::kX87Status ? d.ours & kDenormal : 0;
}

u64 reserved_control_bits(const MaskContext&, const Difference& d) {
  constexpr u64 kReserved = 0xE0C0;
  return d.field == Field::kX87Control ? kReserved : 0;
}

// ---- areas ----

/// Which byte of an area is touched first is nobody's business: CR2 may be that of another one.
u64 another_byte_of_the_area(const MaskContext& c, const Difference& d) {
  if (d.field != Field::kCr2 || c.ours.vector != kPageFault || c.theirs.vector != kPageFault) return 0;
  const DecodedInstruction* insn = faulting_instruction(c);
  const ZydisDecodedOperand* area = insn == nullptr ? nullptr : memory_operand(*insn, 80);
  if (area == nullptr) return 0;
  const u64 distance = d.ours > d.theirs ? d.ours - d.theirs : d.theirs - d.ours;
  return distance < area->size / 8 ? ~u64{0} : 0;
}

/// Bytes 2 to 7 of the upper half of a register's 16 bytes, and FOP, FIP and FDP as QEMU writes them: the area is
/// aligned, so that the place in it is known but for a multiple of 16.
u64 reserved_bytes_of_an_area(const MaskContext&, const Difference& d) {
  constexpr u64 kReserved = ~u64{0xFFFF};
  const bool upper_half = d.index % 2 != 0;
  return d.field == Field::kMemory && upper_half && (d.ours & kReserved) == 0 ? kReserved : 0;
}

constexpr std::string_view kX87 = "f*";
constexpr std::string_view kPushes = "fld fld1 fldl2t fldl2e fldpi fldlg2 fldln2 fldz fild fbld fptan fsincos fxtract";

constexpr MaskRow kRows[] = {
    {"FIP, FDP, FOP", "*", Oracle::kQemu, MaskKind::kQemuWrong, qemu_saves_no_pointers,
     "QEMU's FXSAVE writes zeros for the instruction and data pointers and leaves the opcode out", "SDM 1, 10.5.1"},
    {"FDP, host", "*", Oracle::kNative, MaskKind::kVaries, host_keeps_data_pointer,
     "the host writes FDP only for an exception and says so in CPUID.7.0:EBX[6]; bhvm does not claim that",
     "SDM 1, 8.1.8"},
    {"no #MF", "*", Oracle::kQemu, MaskKind::kQemuWrong, no_math_fault,
     "QEMU looks for pending x87 exceptions in FWAIT only", "SDM 3, 6.15, interrupt 16"},
    {"#MF or the operand's fault", "*", Oracle::kNative, MaskKind::kUndefined, math_fault_or_address_fault,
     "faults of one class come in an order of the processor's own", "SDM 3, table 6-2"},
    {"MMX state before a fault", "*", Oracle::kQemu, MaskKind::kQemuWrong, enters_mmx_before_fault,
     "QEMU enters the MMX state before it looks at the operand", "SDM 3, 6.5: a fault leaves the state as it was"},
    {"MMX state before a fault, host", "*", Oracle::kNative, MaskKind::kHost, enters_mmx_before_fault,
     "the host, too, enters the MMX state before a store or a conversion faults",
     "observed; SDM 3, 6.5 says that a fault leaves the state as it was"},
    {"exponent of MMX registers", "p* mov* cvt*", Oracle::kQemu, MaskKind::kQemuWrong, mmx_keeps_exponent,
     "QEMU leaves bits 79:64 as they are when an MMX register is written", "SDM 1, 9.5.1"},
    {"REX and MMX registers", "p* mov* cvt* maskmovq", Oracle::kQemu, MaskKind::kQemuWrong, rex_extends_mmx,
     "QEMU takes REX.R and REX.B as a fourth bit of an MMX register's number", "SDM 2, 2.2.1.2"},
    {"stack underflow", kX87, Oracle::kQemu, MaskKind::kQemuWrong, no_stack_underflow,
     "QEMU does not see that a source register is empty", "SDM 1, 8.5.1.1"},
    {"stack overflow", kPushes, Oracle::kQemu, MaskKind::kQemuWrong, no_stack_overflow,
     "QEMU does not see that the register to push into is not empty", "SDM 1, 8.5.1.1"},
    {"unmasked x87 exceptions", kX87, Oracle::kQemu, MaskKind::kQemuWrong, no_unmasked_response,
     "QEMU gives the masked response to unmasked exceptions", "SDM 1, 8.5"},
    {"unsupported operands", kX87, Oracle::kQemu, MaskKind::kQemuWrong, unsupported_operand,
     "QEMU computes with unnormals, pseudo-NaNs and pseudo-infinities", "SDM 1, 8.2.2"},
    {"C1", kX87, Oracle::kQemu, MaskKind::kQemuWrong, rounding_direction,
     "QEMU leaves C1 alone where it tells the direction of rounding or is cleared", "SDM 1, 8.1.3.3"},
    {"DE", kX87, Oracle::kQemu, MaskKind::kQemuWrong, no_denormal_flag, "QEMU does not record all denormal operands",
     "SDM 1, 8.5.2"},
    {"reserved bits of FCW", "fldcw fldenv frstor fxrstor fxrstor64 xrstor xrstor64", Oracle::kQemu,
     MaskKind::kQemuWrong, reserved_control_bits, "QEMU keeps reserved bits of the control word", "SDM 1, 8.1.5"},
    {"condition codes", kX87, Oracle::kQemu, MaskKind::kUndefined, status_bits<kC0 | kC2 | kC3>, "undefined", "SDM 2"},
    {"CR2 in an area", "*", Oracle::kQemu, MaskKind::kUndefined, another_byte_of_the_area,
     "the order in which the bytes of an area are accessed is not told", "SDM 3, 9.1.1"},
    {"CR2 in an area, host", "*", Oracle::kNative, MaskKind::kUndefined, another_byte_of_the_area,
     "the order in which the bytes of an area are accessed is not told", "SDM 3, 9.1.1"},
    {"reserved bytes of an area", "fxsave fxsave64 xsave xsave64 xsaveopt xsaveopt64", Oracle::kQemu,
     MaskKind::kUndefined, reserved_bytes_of_an_area, "QEMU leaves the reserved bytes behind a register alone",
     "SDM 1, table 10-2"},
};

}  // namespace

std::span<const MaskRow> x87_masks() { return kRows; }

}  // namespace bhvm::oracle
