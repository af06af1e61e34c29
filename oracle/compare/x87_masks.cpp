// x87, MMX and the save areas.
#include <array>
#include <cmath>
#include <cstring>
#include <optional>

#include "oracle/compare/explain.h"

namespace bhvm::oracle {
namespace {

constexpr u64 kInvalid = 1 << 0, kDenormal = 1 << 1;
constexpr u64 kExceptions = 0x3F;
constexpr u64 kOverflowBit = 1 << 3, kUnderflow = 1 << 4, kInexact = 1 << 5;
constexpr u64 kStackFaultBit = 1 << 6;
constexpr u64 kErrorSummary = 1 << 7, kBusy = 1 << 15;
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

/// Does one of the stack registers that the instruction needs satisfy `condition(i)`? FCMOV needs both, always.
template <class Condition>
bool any_source(const DecodedInstruction& insn, Condition condition) {
  for (unsigned i = 0; i < insn.z.operand_count; ++i) {
    const ZydisDecodedOperand& operand = insn.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && operand.actions != ZYDIS_OPERAND_ACTION_WRITE &&
        ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_X87 &&
        condition(static_cast<unsigned>(ZydisRegisterGetId(operand.reg.value)))) {
      return true;
    }
  }
  return false;
}

/// What an x87 instruction answers: the stack, a store, the flags of FCOMI. A store that one machine makes and the
/// other does not may also end in a fault, and flags may steer what follows: then everything differs.
u64 whole_result(const MaskContext& c, const Difference& d) {
  const bool last = c.instruction == &c.instructions.back();
  const bool sets_flags = (c.instruction->z.cpu_flags->modified & ZYDIS_CPUFLAG_ZF) != 0;
  if (stores_to_memory(*c.instruction) || (sets_flags && !last)) return ~u64{0};
  if (is_stack_field(d.field)) return ~u64{0};
  return d.field == Field::kRflags && sets_flags ? kZero | kParity | kCarry : 0;
}

// ---- pointers ----

u64 qemu_saves_no_pointers(const MaskContext&, const Difference& d) {
  const bool pointer = d.field == Field::kX87Opcode || d.field == Field::kX87Instruction;
  return pointer && d.theirs == 0 ? ~u64{0} : 0;
}
u64 qemu_saves_no_data_pointer(const MaskContext&, const Difference& d) {
  return d.field == Field::kX87Data && d.theirs == 0 ? ~u64{0} : 0;
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

/// An unmasked exception keeps a store from being made, and so from faulting: either may come first.
u64 exception_or_address_fault(const MaskContext& c, const Difference&) {
  const bool both = c.ours.vector == kGeneralProtection && faulting_instruction(c) == c.instruction &&
                    Registers(c.theirs.fx).unmasked() != 0 && stores_to_memory(*c.instruction);
  return both ? ~u64{0} : 0;
}

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

/// Overflow and underflow, masked.
u64 extreme_result(const MaskContext& c, const Difference& d) {
  return (fx_word<u16>(c.ours.fx, 2) & (kOverflowBit | kUnderflow)) != 0 ? whole_result(c, d) : 0;
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

/// OF, SF and AF, and what comes of them later.
u64 compare_keeps_flags(const MaskContext& c, const Difference& d) {
  constexpr u64 kCleared = kOverflowFlag | kSign | kAuxiliary;
  if (c.instruction != &c.instructions.back()) return ~u64{0};
  return d.field == Field::kRflags && (d.ours & kCleared) == 0 ? kCleared : 0;
}

u64 emms_keeps_top(const MaskContext& c, const Difference& d) {
  const Registers ours(c.ours.fx);
  const Registers theirs(c.theirs.fx);
  const bool same = ours.significand == theirs.significand && ours.top() == 0;
  return same && (d.field == Field::kX87Significand || d.field == Field::kX87Exponent) ? ~u64{0}
         : same && d.field == Field::kX87Status                                        ? kTop
                                                                                       : 0;
}

/// A store computes its flags before it meets the fault.
u64 flags_before_a_fault(const MaskContext& c, const Difference& d) {
  if (d.field != Field::kX87Status || !is_fault(c.ours.vector)) return 0;
  return faulting_instruction(c) == c.instruction && stores_to_memory(*c.instruction)
             ? (kExceptions | kErrorSummary | kBusy | kC1) & d.theirs
             : 0;
}

/// A load takes what comes before the fault; that of an environment leaves the pointers unread.
u64 loads_before_a_fault(const MaskContext& c, const Difference& d) {
  if (d.field == Field::kAccessed) return ~u64{0};
  if (!is_fault(c.ours.vector) || faulting_instruction(c) != c.instruction) return 0;
  if (c.theirs.vector != c.ours.vector) return ~u64{0};
  return is_stack_field(d.field) || d.field == Field::kX87Control || d.field == Field::kXmm || d.field == Field::kMxcsr
             ? ~u64{0}
             : 0;
}

/// #GP for reserved bits of MXCSR in memory.
u64 loads_reserved_mxcsr(const MaskContext& c, const Difference&) {
  constexpr u32 kWritable = 0xFFFF;
  const bool refused = c.ours.vector == kGeneralProtection && faulting_instruction(c) == c.instruction;
  return refused && (fx_word<u32>(c.theirs.fx, 24) & ~kWritable) != 0 ? ~u64{0} : 0;
}

u64 environment_leaves_masks(const MaskContext& c, const Difference& d) {
  return d.field == Field::kX87Control && d.theirs == fx_word<u16>(c.input.fx, 0) ? kExceptions & d.ours : 0;
}

u64 undocumented_store(const MaskContext& c, const Difference& d) {
  const Registers before(c.input.fx);
  return before.empty(0) && is_stack_field(d.field) ? ~u64{0} : 0;
}

/// A register that was empty, and now is not.
u64 store_leaves_tag(const MaskContext&, const Difference& d) { return d.field == Field::kX87Tag ? d.ours : 0; }

// ---- transcendentals, remainders ----

/// How far two numbers of one sign are apart, in units of the last place.
u64 units_apart(u64 a_significand, u16 a_exponent, u64 b_significand, u16 b_exponent) {
  if ((a_exponent ^ b_exponent) >> 15 != 0) return ~u64{0};
  constexpr u64 kFraction = ~u64{0} >> 1;
  const auto ordinal = [](u64 significand, u16 exponent) {
    return (i128{exponent & 0x7FFF} << 63) + static_cast<i128>(significand & kFraction);
  };
  const i128 apart = ordinal(a_significand, a_exponent) - ordinal(b_significand, b_exponent);
  const i128 magnitude = apart < 0 ? -apart : apart;
  return magnitude >> 63 != 0 ? ~u64{0} : static_cast<u64>(magnitude);
}

/// A result at most one unit of the last place away, and the direction of its rounding.
u64 last_place(const MaskContext& c, const Difference& d) {
  if (d.field == Field::kX87Status) {
    const bool tiny = (fx_word<u16>(c.ours.fx, 40) & 0x7FFF) <= 1;
    return c.oracle == Oracle::kQemu ? kC1 | kUnderflow | kInexact : tiny ? kC1 | kUnderflow : kC1;
  }
  if (d.field != Field::kX87Significand && d.field != Field::kX87Exponent) return 0;
  const unsigned at = 32 + 16 * d.index;
  const u64 apart = units_apart(fx_word<u64>(c.ours.fx, at), fx_word<u16>(c.ours.fx, at + 8),
                                fx_word<u64>(c.theirs.fx, at), fx_word<u16>(c.theirs.fx, at + 8));
  return apart <= 1 ? ~u64{0} : 0;
}

double value_of(u64 significand, u16 exponent) {
  constexpr int kBiasAndWidth = 16383 + 63;
  const double magnitude = std::ldexp(static_cast<double>(significand), (exponent & 0x7FFF) - kBiasAndWidth);
  return (exponent >> 15) != 0 ? -magnitude : magnitude;
}

/// How far QEMU's results may be off, relatively, by the precision control.
double precision_of(u16 control) { return (control & 0x300) == 0 ? 0x1p-21 : 0x1p-50; }

/// A result that is near, with less than full precision asked for.
u64 rounded_operand(const MaskContext& c, const Difference& d) {
  const u16 control = fx_word<u16>(c.input.fx, 0);
  if ((control & 0x300) == 0x300) return 0;
  if (d.field == Field::kX87Status) return kInexact | kOverflowBit | kUnderflow | kC1 | kErrorSummary | kBusy;
  if (d.field != Field::kX87Significand && d.field != Field::kX87Exponent) return 0;
  const unsigned at = 32 + 16 * d.index;
  const u64 apart = units_apart(fx_word<u64>(c.ours.fx, at), fx_word<u16>(c.ours.fx, at + 8),
                                fx_word<u64>(c.theirs.fx, at), fx_word<u16>(c.theirs.fx, at + 8));
  const unsigned bits = (control & 0x300) == 0 ? 24 : 53;
  return apart >> (64 - bits + 2) == 0 ? ~u64{0} : 0;
}

/// Sines and their kin of an angle that was rounded to double precision first, computed in double precision.
u64 double_precision(const MaskContext& c, const Difference& d) {
  if (d.field == Field::kX87Status) return kUnderflow | kInexact | kC1;
  if (d.field != Field::kX87Significand && d.field != Field::kX87Exponent) return 0;
  const double angle = value_of(fx_word<u64>(c.input.fx, 32), fx_word<u16>(c.input.fx, 40));
  const unsigned at = 32 + 16 * d.index;
  const double ours = value_of(fx_word<u64>(c.ours.fx, at), fx_word<u16>(c.ours.fx, at + 8));
  const double theirs = value_of(fx_word<u64>(c.theirs.fx, at), fx_word<u16>(c.theirs.fx, at + 8));
  const double slope = c.instruction->z.mnemonic == ZYDIS_MNEMONIC_FPTAN ? 1 + ours * ours : 1;
  const double precision = precision_of(fx_word<u16>(c.input.fx, 0));
  return std::abs(ours - theirs) <= slope * (1 + std::abs(angle)) * precision ? ~u64{0} : 0;
}

/// ST(0) outside [-1, 1] of F2XM1, outside [-(1 - sqrt(2) / 2), sqrt(2) - 1] of FYL2XP1.
u64 out_of_range(const MaskContext& c, const Difference& d) {
  const double x = value_of(fx_word<u64>(c.input.fx, 32), fx_word<u16>(c.input.fx, 40));
  constexpr double kHalfRoot = 0.70710678118654752;
  const bool power = c.instruction->z.mnemonic == ZYDIS_MNEMONIC_F2XM1;
  const bool outside = power ? std::abs(x) >= 1 : x < kHalfRoot - 1 || x > 2 * kHalfRoot - 1;
  return outside ? whole_result(c, d) : 0;
}

/// Both answer a NaN.
u64 another_nan(const MaskContext& c, const Difference& d) {
  if (d.field != Field::kX87Significand && d.field != Field::kX87Exponent) return 0;
  const unsigned at = 32 + 16 * d.index;
  const auto quiet_nan = [at](const u8(&fx)[512]) {
    return (fx_word<u16>(fx, at + 8) & 0x7FFF) == 0x7FFF && fx_word<u64>(fx, at) >> 62 == 3;
  };
  return quiet_nan(c.ours.fx) && quiet_nan(c.theirs.fx) ? ~u64{0} : 0;
}

u64 angle_out_of_range(const MaskContext& c, const Difference& d) {
  const unsigned exponent = fx_word<u16>(c.input.fx, 40) & 0x7FFF;
  return exponent == 0x7FFF || exponent == 16383 + 63 ? whole_result(c, d) : 0;
}

u64 denormal_logarithm(const MaskContext& c, const Difference& d) {
  const Registers before(c.input.fx);
  const auto denormal = [&](unsigned i) { return (before.exponent[before.physical(i)] & 0x7FFF) == 0; };
  const bool result = d.index == 0 && (d.field == Field::kX87Significand || d.field == Field::kX87Exponent);
  return result && (denormal(0) || denormal(1)) ? ~u64{0} : 0;
}

u64 remainder_result(const MaskContext&, const Difference& d) {
  if (d.field == Field::kX87Status) return kC0 | kC1 | kC2 | kC3 | kInexact | kUnderflow | kErrorSummary | kBusy;
  return d.index == 0 && (d.field == Field::kX87Significand || d.field == Field::kX87Exponent) ? ~u64{0} : 0;
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
  const std::optional<u64> base = at_the_instruction(memory->mem.base);
  const std::optional<u64> index = at_the_instruction(memory->mem.index);
  if (!base || !index) return std::nullopt;
  // Zydis 4.0 names R13D where there is no base.
  const bool no_base = memory->mem.base == ZYDIS_REGISTER_R13D && insn.z.raw.modrm.mod == 0;
  u64 address = no_base ? *index * memory->mem.scale + static_cast<u64>(insn.z.raw.disp.value)
                        : *base + *index * memory->mem.scale + static_cast<u64>(memory->mem.disp.value);
  if (insn.z.address_width == 32) address &= 0xFFFFFFFF;
  if (insn.z.address_width == 16) address &= 0xFFFF;
  if (code64 && memory->mem.segment == ZYDIS_REGISTER_FS) address += c.input.fs_base;
  if (code64 && memory->mem.segment == ZYDIS_REGISTER_GS) address += c.input.gs_base;
  return code64 ? address : address & 0xFFFFFFFF;
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

/// Which byte of an area is touched first is nobody's business: CR2 may be that of another one, and at the end of the
/// canonical addresses either fault may come.
u64 another_byte_of_the_area(const MaskContext& c, const Difference& d) {
  if (d.field != Field::kCr2 && d.field != Field::kVector && d.field != Field::kErrorCode) return 0;
  const DecodedInstruction* insn = faulting_instruction(c);
  const ZydisDecodedOperand* area = insn == nullptr ? nullptr : memory_operand(*insn, 80);
  if (area == nullptr || c.ours.rip != c.theirs.rip) return 0;
  const u64 bytes = area->size / 8;
  const auto near = [bytes](u64 a, u64 b) { return a - b < bytes || b - a < bytes; };
  const bool ours_faults = c.ours.vector == kPageFault;
  const bool theirs_faults = c.theirs.vector == kPageFault;
  if (ours_faults && theirs_faults) return d.field == Field::kCr2 && near(c.ours.cr2, c.theirs.cr2) ? ~u64{0} : 0;
  constexpr u64 kCanonicalEnd = u64{1} << 47;
  const u32 other = ours_faults ? c.theirs.vector : c.ours.vector;
  const u64 address = ours_faults ? c.ours.cr2 : c.theirs.cr2;
  const bool edge = (ours_faults || theirs_faults) && (other == kGeneralProtection || other == kStackFault);
  return edge && near(address, kCanonicalEnd) ? ~u64{0} : 0;
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

u64 limit_of_4_gib(const MaskContext& c, const Difference& d) {
  constexpr u64 kLastBytes = 0x100000000 - 16;
  const bool code64 = c.group.group.mode == Mode::kUser64 || c.group.group.mode == Mode::kKernel64;
  const bool either = c.ours.vector == kGeneralProtection && c.theirs.vector == kPageFault && !code64;
  if (!either || c.theirs.cr2 < kLastBytes || c.theirs.cr2 >> 32 != 0) return 0;
  return d.field == Field::kVector || d.field == Field::kErrorCode || d.field == Field::kCr2 ? ~u64{0} : 0;
}

/// MASKMOVQ: whether bytes that are not stored are looked at, and which byte is named in CR2.
u64 masked_bytes(const MaskContext& c, const Difference&) {
  const std::optional<u64> area = operand_address(c, *c.instruction);
  const auto faults = [&](const Outcome& outcome) {
    return area && (outcome.vector == kGeneralProtection || (outcome.vector == kPageFault && outcome.cr2 - *area < 8));
  };
  return faults(c.theirs) && (faults(c.ours) || c.ours.vector == kBreakpoint) ? ~u64{0} : 0;
}

constexpr std::string_view kX87 = "f*";
constexpr std::string_view kStores = "fst fstp fist fistp fisttp fbstp";
constexpr std::string_view kLongStores = "fstp fbstp fnstenv fnsave fxsave fxsave64 xsave xsave64 xsaveopt xsaveopt64";
constexpr std::string_view kArithmetic =
    "fadd faddp fiadd fsub fsubp fisub fsubr fsubrp fisubr fmul fmulp fimul fdiv fdivp fidiv fdivr fdivrp fidivr "
    "fscale "
    "fst fstp";
constexpr std::string_view kTranscendental = "fsin fcos fsincos fptan fpatan f2xm1 fyl2x fyl2xp1";
constexpr std::string_view kAreas = "fxsave fxsave64 xsave xsave64 xsaveopt xsaveopt64";
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
    {"MMX state before a fault", "*", Oracle::kQemu, MaskKind::kUndefined, enters_mmx_without_fault,
     "QEMU enters the MMX state before it looks at the operand", "SDM 3, 6.5: a fault leaves the state as it was"},
    {"MMX state before a fault, host", "*", Oracle::kNative, MaskKind::kHost, enters_mmx_before_fault,
     "the host, too, enters the MMX state before a store or a conversion faults",
     "observed; SDM 3, 6.5 says that a fault leaves the state as it was"},
    {"exponent of MMX registers", "p* mov* cvt*", Oracle::kQemu, MaskKind::kQemuWrong, mmx_keeps_exponent,
     "QEMU leaves bits 79:64 of an MMX register that is written as they are, or clears them", "SDM 1, 9.5.1"},
    {"REX and MMX registers", "p* mov* cvt* maskmovq", Oracle::kQemu, MaskKind::kQemuWrong, rex_extends_mmx,
     "QEMU takes REX.R and REX.B as a fourth bit of an MMX register's number", "SDM 2, 2.2.1.2"},
    {"stack underflow", kX87, Oracle::kQemu, MaskKind::kQemuWrong, no_stack_underflow,
     "QEMU does not see that a source register is empty", "SDM 1, 8.5.1.1"},
    {"stack overflow", kPushes, Oracle::kQemu, MaskKind::kQemuWrong, no_stack_overflow,
     "QEMU does not see that the register to push into is not empty", "SDM 1, 8.5.1.1"},
    {"unmasked x87 exceptions", kX87, Oracle::kQemu, MaskKind::kQemuWrong, no_unmasked_response,
     "QEMU gives the masked response to unmasked exceptions", "SDM 1, 8.5"},
    {"overflow and underflow", kArithmetic, Oracle::kQemu, MaskKind::kQemuWrong, extreme_result,
     "QEMU adjusts the exponent where overflow or underflow is masked", "SDM 1, 8.5.4 and 8.5.5"},
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
    {"FDP", "*", Oracle::kQemu, MaskKind::kVaries, qemu_saves_no_data_pointer,
     "QEMU's FXSAVE writes a zero; the host keeps an older one (see below), so that it is no judge", "SDM 1, 8.1.8"},
    {"flags of FCOMI", "fcomi fcomip fucomi fucomip", Oracle::kQemu, MaskKind::kQemuWrong, compare_keeps_flags,
     "QEMU keeps OF, SF and AF", "SDM 2, FCOMI: OF, SF and AF are set to 0"},
    {"TOP after EMMS", "emms", Oracle::kQemu, MaskKind::kQemuWrong, emms_keeps_top,
     "QEMU's EMMS does not set TOP to 0 as all MMX instructions do", "SDM 1, 9.5.1"},
    {"flags of a store that faults", kStores, Oracle::kQemu, MaskKind::kQemuWrong, flags_before_a_fault,
     "QEMU raises the exceptions of a store whose page fault comes first", "SDM 3, 6.5"},
    {"state of a load that faults", "fldenv frstor fxrstor fxrstor64 xrstor xrstor64", Oracle::kQemu,
     MaskKind::kQemuWrong, loads_before_a_fault,
     "QEMU loads word by word until one faults, and leaves the pointers of an environment unread", "SDM 3, 6.5"},
    {"ES and B", "fldcw fldenv frstor fxrstor fxrstor64 xrstor xrstor64 fnclex fnstenv", Oracle::kQemu,
     MaskKind::kQemuWrong, status_bits<kErrorSummary | kBusy>,
     "QEMU takes ES and B from memory instead of from flags and masks", "SDM 1, 8.1.3.3 and 8.1.3.5"},
    {"masks after FNSTENV", "fnstenv", Oracle::kQemu, MaskKind::kQemuWrong, environment_leaves_masks,
     "QEMU's FNSTENV does not mask all exceptions", "SDM 2, FNSTENV"},
    {"unmasked exception or the operand's fault", kStores, Oracle::kNative, MaskKind::kUndefined,
     exception_or_address_fault, "faults of one class come in an order of the processor's own", "SDM 3, table 6-2"},
    {"part of a store", kLongStores, Oracle::kNative, MaskKind::kUndefined, part_of_a_store,
     "some of the accesses of a long store may complete when another faults", "SDM 3, 9.1.1"},
    {"part of a store, QEMU", kLongStores, Oracle::kQemu, MaskKind::kUndefined, part_of_a_store,
     "some of the accesses of a long store may complete when another faults", "SDM 3, 9.1.1"},
    {"masked bytes, host", "maskmovq", Oracle::kNative, MaskKind::kUndefined, masked_bytes,
     "bytes that are not stored may fault, too", "SDM 2, MASKMOVQ"},
    {"masked bytes", "maskmovq", Oracle::kQemu, MaskKind::kUndefined, masked_bytes,
     "bytes that are not stored may fault, too", "SDM 2, MASKMOVQ"},
    {"tag of a stored register", "fst fstp fstpnce", Oracle::kQemu, MaskKind::kQemuWrong, store_leaves_tag,
     "QEMU's FST ST(i) leaves ST(i) empty", "SDM 1, 8.1.7"},
    {"FSTPNCE of an empty register", "fstpnce", Oracle::kQemu, MaskKind::kUndefined, undocumented_store,
     "not documented", "SDM 2, table A-8"},
    {"one of two NaNs", kX87, Oracle::kQemu, MaskKind::kQemuWrong, another_nan, "QEMU chooses another NaN of two",
     "SDM 1, table 4-7"},
    {"infinite and huge angles", "fsin fcos fsincos fptan", Oracle::kQemu, MaskKind::kQemuWrong, angle_out_of_range,
     "QEMU sets C2 for infinities and takes 2^63 and a little more for an angle", "SDM 2, FSIN"},
    {"reserved bits of MXCSR", "xrstor xrstor64 fxrstor fxrstor64", Oracle::kQemu, MaskKind::kQemuWrong,
     loads_reserved_mxcsr, "QEMU loads reserved bits of MXCSR", "SDM 2, XRSTOR"},
    {"precision control", kX87, Oracle::kQemu, MaskKind::kQemuWrong, rounded_operand,
     "QEMU rounds operands from memory and FRNDINT's result to the precision control", "SDM 1, 8.1.5.2"},
    {"end of 4 GiB, QEMU", "*", Oracle::kQemu, MaskKind::kUndefined, limit_of_4_gib,
     "with a limit of FFFFFFFFH an access across it may or may not be #GP", "SDM 3, 5.3"},
    {"width of PUNPCKL", "punpcklbw punpcklwd punpckldq", Oracle::kQemu, MaskKind::kQemuWrong, reads_too_much,
     "QEMU reads eight bytes where the MMX forms read four", "SDM 2, PUNPCKLBW"},
    {"denormal logarithms", "fyl2x fyl2xp1 fpatan", Oracle::kQemu, MaskKind::kQemuWrong, denormal_logarithm,
     "QEMU normalises denormal operands by one place too few", "SDM 2, FYL2X"},
    {"end of 4 GiB", "*", Oracle::kNative, MaskKind::kUndefined, limit_of_4_gib,
     "with a limit of FFFFFFFFH an access across it may or may not be #GP", "SDM 3, 5.3"},
    {"transcendentals, host", kTranscendental, Oracle::kNative, MaskKind::kUndefined, last_place,
     "their results are good to one unit in the last place; bhvm's are correctly rounded", "SDM 1, 8.3.10"},
    {"transcendentals", "fpatan f2xm1 fyl2x fyl2xp1", Oracle::kQemu, MaskKind::kUndefined, last_place,
     "their results are good to one unit in the last place; bhvm's are correctly rounded", "SDM 1, 8.3.10"},
    {"sine and its kin", "fsin fcos fsincos fptan", Oracle::kQemu, MaskKind::kUndefined, double_precision,
     "QEMU computes them in double precision", "SDM 1, 8.3.10"},
    {"out of range", "f2xm1 fyl2xp1", Oracle::kQemu, MaskKind::kUndefined, out_of_range,
     "the result is undefined for a source out of range", "SDM 2, F2XM1 and FYL2XP1"},
    {"remainders", "fprem fprem1", Oracle::kQemu, MaskKind::kQemuWrong, remainder_result,
     "QEMU rounds a remainder to the precision control and gets quotients wrong", "SDM 2, FPREM; SDM 1, 8.1.5.2"},
    {"pointers in an area", kAreas, Oracle::kQemu, MaskKind::kQemuWrong, pointers_of_an_area,
     "QEMU writes zeros for the instruction and data pointers and leaves the opcode out", "SDM 1, 10.5.1"},
    {"reserved bytes of an area", kAreas, Oracle::kQemu, MaskKind::kUndefined, reserved_bytes_of_an_area,
     "QEMU leaves the reserved bytes of an area alone", "SDM 1, table 10-2"},
    {"pointers in an environment", "fnstenv fnsave", Oracle::kQemu, MaskKind::kQemuWrong, pointers_of_an_environment,
     "QEMU's pointers are others than those FXRSTOR loads, and its reserved halves are zeros", "SDM 1, 8.1.10"},
};

}  // namespace

std::span<const MaskRow> x87_masks() { return kRows; }

}  // namespace bhvm::oracle
