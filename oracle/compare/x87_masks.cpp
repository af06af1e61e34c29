// x87: pointers, exceptions, the stack, results.
#include <cmath>
#include <numbers>

#include "oracle/compare/x87_view.h"

namespace bhvm::oracle {
namespace {

using namespace x87;

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

/// The host's linear addresses have 57 bits, and so has its FIP.
u64 host_narrows_instruction_pointer(const MaskContext&, const Difference& d) {
  constexpr unsigned kUnused = 64 - 57;
  const u64 narrowed = static_cast<u64>(static_cast<i64>(d.ours << kUnused) >> kUnused);
  return d.field == Field::kX87Instruction && d.theirs == narrowed ? ~u64{0} : 0;
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
  const bool environment =
      c.instruction->z.mnemonic == ZYDIS_MNEMONIC_FLDENV || c.instruction->z.mnemonic == ZYDIS_MNEMONIC_FRSTOR;
  const bool same = c.theirs.vector == c.ours.vector && c.theirs.rip == c.ours.rip;
  if (!same) return environment && c.ours.vector == kPageFault ? ~u64{0} : 0;
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
    const auto small = [&](unsigned i) { return (fx_word<u16>(c.ours.fx, 40 + 16 * i) & 0x7FFF) <= 1; };
    const bool tiny = small(0) || small(1);
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
  const ZydisMnemonic mnemonic = c.instruction->z.mnemonic;
  const bool compares = mnemonic == ZYDIS_MNEMONIC_FCOM || mnemonic == ZYDIS_MNEMONIC_FCOMP;
  if (d.field == Field::kX87Status) {
    const u64 order = compares && memory_operand(*c.instruction) != nullptr ? kC0 | kC3 : 0;
    return kInexact | kOverflowBit | kUnderflow | kC1 | kErrorSummary | kBusy | order;
  }
  if (d.field != Field::kX87Significand && d.field != Field::kX87Exponent) return 0;
  const unsigned at = 32 + 16 * d.index;
  const u64 apart = units_apart(fx_word<u64>(c.ours.fx, at), fx_word<u16>(c.ours.fx, at + 8),
                                fx_word<u64>(c.theirs.fx, at), fx_word<u16>(c.theirs.fx, at + 8));
  const unsigned bits = (control & 0x300) == 0 ? 24 : 53;
  if (apart >> (64 - bits + 2) == 0) return ~u64{0};
  // A difference of close operands, of which one was rounded.
  const auto value = [at](const u8(&fx)[512]) { return value_of(fx_word<u64>(fx, at), fx_word<u16>(fx, at + 8)); };
  const bool in_memory = d.index == 0 && memory_operand(*c.instruction) != nullptr;
  const double error = std::abs(value(c.input.fx)) * precision_of(control);
  return in_memory && std::abs(value(c.ours.fx) - value(c.theirs.fx)) <= error ? ~u64{0} : 0;
}

/// Sines and their kin of an angle that was rounded to double precision first, computed in double precision.
u64 double_precision(const MaskContext& c, const Difference& d) {
  if (d.field == Field::kX87Status) return kUnderflow | kInexact | kC1;
  if (d.field != Field::kX87Significand && d.field != Field::kX87Exponent) return 0;
  const double angle = value_of(fx_word<u64>(c.input.fx, 32), fx_word<u16>(c.input.fx, 40));
  const unsigned at = 32 + 16 * d.index;
  const double ours = value_of(fx_word<u64>(c.ours.fx, at), fx_word<u16>(c.ours.fx, at + 8));
  const double theirs = value_of(fx_word<u64>(c.theirs.fx, at), fx_word<u16>(c.theirs.fx, at + 8));
  const double error = (1 + std::abs(angle)) * precision_of(fx_word<u16>(c.input.fx, 0));
  // A tangent is as steep as it likes: the angles that the two are tangents of.
  const bool tangent = c.instruction->z.mnemonic == ZYDIS_MNEMONIC_FPTAN;
  const double apart = tangent ? std::remainder(std::atan(ours) - std::atan(theirs), std::numbers::pi) : ours - theirs;
  return std::abs(apart) <= error ? ~u64{0} : 0;
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

constexpr std::string_view kCodesUndefined =
    "fadd faddp fiadd fsub fsubp fisub fsubr fsubrp fisubr fmul fmulp fimul fdiv fdivp fidiv fdivr fdivrp fidivr "
    "fscale "
    "fst fstp fstpnce fist fistp fisttp fbstp fld fld1 fldl2t fldl2e fldpi fldlg2 fldln2 fldz fild fbld fxtract fxch "
    "fcmovb fcmove fcmovbe fcmovu fcmovnb fcmovne fcmovnbe fcmovnu fincstp fdecstp ffree ffreep fnop fabs fchs fsqrt "
    "frndint f2xm1 fyl2x fyl2xp1 fpatan fldcw fnclex fnstenv fnstcw fnstsw";
constexpr std::string_view kX87 = "f*";
constexpr std::string_view kStores = "fst fstp fist fistp fisttp fbstp";
constexpr std::string_view kArithmetic =
    "fadd faddp fiadd fsub fsubp fisub fsubr fsubrp fisubr fmul fmulp fimul fdiv fdivp fidiv fdivr fdivrp fidivr "
    "fscale "
    "fst fstp";
constexpr std::string_view kTranscendental = "fsin fcos fsincos fptan fpatan f2xm1 fyl2x fyl2xp1";
constexpr std::string_view kPushes = "fld fld1 fldl2t fldl2e fldpi fldlg2 fldln2 fldz fild fbld fptan fsincos fxtract";

constexpr MaskRow kRows[] = {
    {"FIP, FDP, FOP", "*", Oracle::kQemu, MaskKind::kQemuWrong, qemu_saves_no_pointers,
     "QEMU's FXSAVE writes zeros for the instruction and data pointers and leaves the opcode out", "SDM 1, 10.5.1"},
    {"FDP, host", "*", Oracle::kNative, MaskKind::kVaries, host_keeps_data_pointer,
     "the host writes FDP only for an exception and says so in CPUID.7.0:EBX[6]; bhvm does not claim that",
     "SDM 1, 8.1.8"},
    {"FIP, host", "fxrstor64 xrstor64", Oracle::kNative, MaskKind::kVaries, host_narrows_instruction_pointer,
     "the host keeps as many bits of FIP as its linear addresses have", "observed; SDM 1, 8.1.8", Host::kIntel},
    {"no #MF", "*", Oracle::kQemu, MaskKind::kQemuWrong, no_math_fault,
     "QEMU looks for pending x87 exceptions in FWAIT only", "SDM 3, 6.15, interrupt 16"},
    {"#MF or the operand's fault", "*", Oracle::kNative, MaskKind::kUndefined, math_fault_or_address_fault,
     "faults of one class come in an order of the processor's own", "SDM 3, table 6-2"},
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
    {"condition codes", kCodesUndefined, Oracle::kQemu, MaskKind::kUndefined, status_bits<kC0 | kC2 | kC3>,
     "C0, C2 and C3 are undefined after them", "SDM 2, by instruction"},
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
     exception_or_address_fault, "faults of one class come in an order of the processor's own", "SDM 3, table 6-2",
     Host::kIntel},
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
    {"denormal logarithms", "fyl2x fyl2xp1 fpatan", Oracle::kQemu, MaskKind::kQemuWrong, denormal_logarithm,
     "QEMU normalises denormal operands by one place too few", "SDM 2, FYL2X"},
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
};

}  // namespace

std::span<const MaskRow> x87_masks() { return kRows; }

}  // namespace bhvm::oracle
