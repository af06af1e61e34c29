// SSE to SSE4.2, AES-NI and PCLMULQDQ.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "oracle/compare/explain.h"

namespace bhvm::oracle {
namespace {

// ---- what an instruction is, and what it started from ----

bool is_xmm(const ZydisDecodedOperand& operand) {
  return operand.type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_XMM;
}

/// Half of an XMM register before the case. The instructions around the one in question leave these alone.
u64 xmm_before(const MaskContext& c, unsigned index) {
  constexpr unsigned kXmmArea = 160;
  u64 value;
  std::memcpy(&value, c.input.fx + kXmmArea + 8 * index, sizeof(value));
  return value;
}

u32 mxcsr_before(const MaskContext& c) {
  constexpr unsigned kMxcsr = 24;
  u32 value;
  std::memcpy(&value, c.input.fx + kMxcsr, sizeof(value));
  return value;
}

/// 32 for PS and SS, 64 for PD and SD.
unsigned lane_bits(const DecodedInstruction& insn) {
  const std::string_view mnemonic = ZydisMnemonicGetString(insn.z.mnemonic);
  return mnemonic.ends_with('d') ? 64 : 32;
}

struct Number {
  u64 bits;
  unsigned width;

  unsigned fraction_bits() const { return width == 32 ? 23 : 52; }
  u64 sign() const { return bits & u64{1} << (width - 1); }
  u64 magnitude() const { return bits & ~(u64{1} << (width - 1)); }
  u64 infinity() const { return width == 32 ? 0x7F800000 : 0x7FF0000000000000; }
  u64 quiet() const { return bits | u64{1} << (fraction_bits() - 1); }
  bool is_nan() const { return magnitude() > infinity(); }
  bool is_zero() const { return magnitude() == 0; }
  bool is_denormal() const { return !is_zero() && magnitude() < u64{1} << fraction_bits(); }
  bool is_normal() const { return magnitude() >= u64{1} << fraction_bits() && magnitude() < infinity(); }
};

/// The bits of those lanes of an XMM register's difference that `holds(ours, theirs, before)` explains, where `before`
/// is what the lane held in the case's beginning.
template <class Holds>
u64 lanes_where(const MaskContext& c, const Difference& d, unsigned width, Holds holds) {
  if (d.field != Field::kXmm) return 0;
  const u64 mask = width == 64 ? ~u64{0} : 0xFFFFFFFF;
  const u64 before = xmm_before(c, d.index);
  u64 bits = 0;
  for (unsigned shift = 0; shift < 64; shift += width) {
    const auto lane = [&](u64 value) { return Number{value >> shift & mask, width}; };
    if (holds(lane(d.ours), lane(d.theirs), lane(before))) bits |= mask << shift;
  }
  return bits;
}

// ---- QEMU: operands in memory ----

/// What a qword of the region held before the case, patches included.
u64 memory_before(const MaskContext& c, u16 qword) {
  const u64 start = u64{qword} * 8;
  std::array<u8, 8> bytes;
  std::memcpy(bytes.data(), c.pristine.data() + start, bytes.size());
  for (const Patch& patch : c.input.patches) {
    for (u64 i = 0; i < patch.bytes; ++i) {
      const u64 at = patch.offset + i;
      if (at >= start && at < start + bytes.size()) bytes[at - start] = patch.data[i];
    }
  }
  u64 value;
  std::memcpy(&value, bytes.data(), sizeof(value));
  return value;
}

/// Part of a store that faults has been made: bhvm's memory is as it was.
u64 store_in_pieces(const MaskContext& c, const Difference& d) {
  constexpr unsigned kBits = 128;
  if (d.field != Field::kMemory || c.ours.vector != kPageFault || c.theirs.vector != kPageFault) return 0;
  const DecodedInstruction* insn = faulting_instruction(c);
  const ZydisDecodedOperand* memory = insn == nullptr ? nullptr : memory_operand(*insn, kBits);
  if (memory == nullptr || (memory->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0) return 0;
  return word_of(c.ours, c.pristine, d.field, d.index) == memory_before(c, d.index) ? ~u64{0} : 0;
}

/// The upper 8 of the 16 bytes that QEMU reads reach into another page.
u64 reads_16_bytes_for_8(const MaskContext& c, const Difference& d) {
  if (memory_operand(*c.instruction) == nullptr) return 0;
  if (c.theirs.vector == kPageFault && c.theirs.rip == address_of(c, *c.instruction)) {
    const bool next_page =
        c.theirs.cr2 % kPageBytes == 0 && !(c.ours.vector == kPageFault && c.ours.rip == c.theirs.rip);
    return next_page ? ~u64{0} : 0;
  }
  // One page more has been accessed, behind one that was.
  const u64 more = d.theirs & ~d.ours;
  const bool one = d.field == Field::kAccessed && (more & (more - 1)) == 0 && more < u64{1} << kRegionPages;
  return one && (d.ours & more >> 1) != 0 ? more : 0;
}

// ---- QEMU: floating point ----

/// Two NaNs: the first operand is the result, made quiet; QEMU goes by the x87's rule.
u64 first_of_two_nans(const MaskContext& c, const Difference& d) {
  const ZydisDecodedOperand& to = c.instruction->operands[0];
  if (!is_xmm(to) || ZydisRegisterGetId(to.reg.value) != d.index / 2) return 0;
  return lanes_where(c, d, lane_bits(*c.instruction), [](Number ours, Number theirs, Number before) {
    return before.is_nan() && ours.bits == before.quiet() && theirs.is_nan();
  });
}

/// The same within a register: the operands of an addition are lanes of the registers, or products.
u64 one_of_several_nans(const MaskContext& c, const Difference& d) {
  const ZydisDecodedOperand& to = c.instruction->operands[0];
  if (!is_xmm(to) || ZydisRegisterGetId(to.reg.value) != d.index / 2) return 0;
  return lanes_where(c, d, lane_bits(*c.instruction), [](Number ours, Number theirs, Number) {
    return ours.is_nan() && theirs.is_nan() && ours.bits == ours.quiet();
  });
}

u64 denormal_minimum_under_daz(const MaskContext& c, const Difference& d) {
  constexpr u32 kDenormalsAreZeros = 1 << 6;
  if ((mxcsr_before(c) & kDenormalsAreZeros) == 0) return 0;
  return lanes_where(c, d, lane_bits(*c.instruction), [](Number ours, Number theirs, Number) {
    return ours.is_zero() && theirs.is_denormal() && ours.sign() == theirs.sign();
  });
}

/// A result that is tiny before it is rounded, and the smallest normal number after that: QEMU flushes it to zero.
bool rounds_to_smallest_normal(Number ours, Number theirs) {
  const bool smallest = ours.magnitude() == u64{1} << ours.fraction_bits();
  return smallest && theirs.is_zero() && ours.sign() == theirs.sign();
}

u64 flushed_before_rounding(const MaskContext& c, const Difference& d) {
  constexpr u32 kFlushToZero = 1 << 15;
  constexpr u64 kUnderflow = 1 << 4, kInexact = 1 << 5;
  const ZydisDecodedOperand& to = c.instruction->operands[0];
  if ((mxcsr_before(c) & kFlushToZero) == 0 || !is_xmm(to)) return 0;
  const unsigned width = lane_bits(*c.instruction);
  const auto in = [&](Field field, u16 index, const Outcome& o) { return word_of(o, c.pristine, field, index); };
  const auto id = static_cast<u16>(ZydisRegisterGetId(to.reg.value));
  u64 lanes[2];
  for (u16 half = 0; half < 2; ++half) {
    const auto index = static_cast<u16>(2 * id + half);
    const Difference whole{Field::kXmm, index, in(Field::kXmm, index, c.ours), in(Field::kXmm, index, c.theirs)};
    lanes[half] = lanes_where(
        c, whole, width, [](Number ours, Number theirs, Number) { return rounds_to_smallest_normal(ours, theirs); });
  }
  if (d.field == Field::kXmm && d.index / 2 == id) return lanes[d.index % 2];
  const bool flushed = (lanes[0] | lanes[1]) != 0;
  return d.field == Field::kMxcsr && flushed ? d.theirs & ~d.ours & (kUnderflow | kInexact) : 0;
}

// ---- approximations ----

double value_of(Number number) {
  float value;
  const u32 bits = static_cast<u32>(number.bits);
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

constexpr double kApproximation = 1.5 / 4096;  // |relative error| of RCPPS and RSQRTPS
constexpr double kSmallestNormal = std::numeric_limits<float>::min();

/// Two approximations of one number, or of QEMU one and the number itself.
u64 approximation(const MaskContext& c, const Difference& d) {
  const double tolerance = c.oracle == Oracle::kQemu ? kApproximation : 2 * kApproximation;
  return lanes_where(c, d, 32, [tolerance](Number ours, Number theirs, Number) {
    if (ours.sign() != theirs.sign()) return false;
    const double a = std::abs(value_of(ours));
    const double b = std::abs(value_of(theirs));
    if (ours.is_normal() && theirs.is_normal()) return std::abs(a - b) <= tolerance * b;
    // One side of the smallest normal number or the other: bhvm's tiny result is zero, QEMU's a denormal.
    const bool other_side = (!ours.is_normal() && theirs.is_normal()) || (ours.is_normal() && !theirs.is_normal());
    return other_side && std::max(a, b) <= kSmallestNormal * (1 + tolerance);
  });
}

/// A source that is denormal counts as zero, and a result that is tiny becomes zero, in every mode.
u64 approximation_of_denormals(const MaskContext& c, const Difference& d) {
  const bool square_root =
      c.instruction->z.mnemonic == ZYDIS_MNEMONIC_RSQRTPS || c.instruction->z.mnemonic == ZYDIS_MNEMONIC_RSQRTSS;
  // What only a denormal source has as its result.
  const double beyond = square_root ? 1 / std::sqrt(kSmallestNormal) : 1 / kSmallestNormal;
  return lanes_where(c, d, 32, [beyond](Number ours, Number theirs, Number) {
    if (ours.is_zero()) return theirs.is_denormal() && ours.sign() == theirs.sign();
    return ours.magnitude() == ours.infinity() && theirs.is_normal() && std::abs(value_of(theirs)) > beyond;
  });
}

u64 negative_denormal_root(const MaskContext& c, const Difference& d) {
  constexpr u64 kMinusInfinity = 0xFF800000, kIndefinite = 0xFFC00000;
  return lanes_where(c, d, 32, [](Number ours, Number theirs, Number) {
    return ours.bits == kMinusInfinity && theirs.bits == kIndefinite;
  });
}

// ---- conversions, strings, masked stores ----

/// The state that QEMU has is ours, but for TOP = 0 and all registers valid.
u64 memory_operand_enters_mmx(const MaskContext& c, const Difference& d) {
  if (c.instruction->operands[1].type != ZYDIS_OPERAND_TYPE_MEMORY) return 0;
  const bool stack = d.field == Field::kX87Status || d.field == Field::kX87Tag || d.field == Field::kX87Significand ||
                     d.field == Field::kX87Exponent;
  constexpr unsigned kStatus = 2, kTags = 4;
  constexpr u16 kTop = 7 << 11;
  u16 status;
  std::memcpy(&status, c.theirs.fx + kStatus, sizeof(status));
  const bool entered = (status & kTop) == 0 && c.theirs.fx[kTags] == 0xFF;
  const bool untouched = std::memcmp(c.ours.fx, c.input.fx, kTags + 1) == 0;
  return stack && entered && untouched ? ~u64{0} : 0;
}

u64 string_length(i64 value, unsigned elements) {
  const u64 magnitude = value < 0 ? u64{0} - static_cast<u64>(value) : static_cast<u64>(value);
  return std::min<u64>(magnitude, elements);
}

/// What PCMPESTRI leaves behind, as a later instruction's operand.
bool reads_flags_or_rcx(const DecodedInstruction& insn) {
  if (insn.z.cpu_flags != nullptr && insn.z.cpu_flags->tested != 0) return true;
  for (unsigned i = 0; i < insn.z.operand_count; ++i) {
    const ZydisDecodedOperand& operand = insn.operands[i];
    const bool read = (operand.actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
    if (!read || operand.type != ZYDIS_OPERAND_TYPE_REGISTER) continue;
    if (ZydisRegisterGetLargestEnclosing(insn.z.machine_mode, operand.reg.value) == ZYDIS_REGISTER_RCX) return true;
  }
  return false;
}

/// REX.W: the lengths are in RAX and RDX, of which QEMU takes the lower halves.
u64 string_lengths_of_32_bits(const MaskContext& c, const Difference& d) {
  if (c.instruction->z.raw.rex.W == 0) return 0;
  constexpr unsigned kRax = 0, kRcx = 1, kRdx = 2;
  const unsigned elements = (c.instruction->operands[2].imm.value.u & 1) != 0 ? 8 : 16;
  const auto differ = [&](unsigned gpr) {
    const u64 value = c.input.gpr[gpr];
    return string_length(static_cast<i64>(value), elements) != string_length(static_cast<i32>(value), elements);
  };
  // An instruction before it may have changed them.
  const bool first = c.instruction == c.instructions.data();
  if (first && !differ(kRax) && !differ(kRdx)) return 0;
  const DecodedInstruction* const end = c.instructions.data() + c.instructions.size();
  if (std::any_of(c.instruction + 1, end, reads_flags_or_rcx)) return ~u64{0};
  if (d.field == Field::kRflags) return kCarry | kZero | kSign | kOverflowFlag;
  const bool index = c.instruction->z.mnemonic == ZYDIS_MNEMONIC_PCMPESTRI;
  const bool result = index ? d.field == Field::kGpr && d.index == kRcx : d.field == Field::kXmm && d.index < 2;
  return result ? ~u64{0} : 0;
}

constexpr std::string_view kArithmetic =
    "addss addsd addps addpd subss subsd subps subpd mulss mulsd mulps mulpd divss divsd divps divpd addsubps addsubpd";
constexpr std::string_view kScaled =
    "addss addsd addps addpd subss subsd subps subpd mulss mulsd mulps mulpd divss divsd divps divpd addsubps addsubpd "
    "haddps haddpd hsubps hsubpd dpps dppd cvtsd2ss cvtpd2ps";
constexpr std::string_view kHorizontal = "haddps haddpd hsubps hsubpd dpps dppd";
constexpr std::string_view kMinMax = "minss minsd minps minpd maxss maxsd maxps maxpd";
constexpr std::string_view kApproximations = "rcpss rcpps rsqrtss rsqrtps";

constexpr MaskRow kRows[] = {
    {"16-byte store in pieces", "*", Oracle::kQemu, MaskKind::kQemuWrong, store_in_pieces,
     "QEMU writes the part of a 16-byte store before the page that faults", "SDM 3, 6.5: faults can be restarted"},
    {"CVTDQ2PD reads 16 bytes", "cvtdq2pd", Oracle::kQemu, MaskKind::kQemuWrong, reads_16_bytes_for_8,
     "QEMU reads 16 bytes of a memory operand that has 8", "SDM 2, CVTDQ2PD"},
    {"first of two NaNs", kArithmetic, Oracle::kQemu, MaskKind::kQemuWrong, first_of_two_nans,
     "QEMU takes the NaN with the larger significand, as the x87 does", "SDM 1, 4.8.3.5, table 4-7"},
    {"one of several NaNs", kHorizontal, Oracle::kQemu, MaskKind::kQemuWrong, one_of_several_nans,
     "QEMU takes the NaN with the larger significand, as the x87 does", "SDM 1, 4.8.3.5, table 4-7"},
    {"MIN and MAX under DAZ", kMinMax, Oracle::kQemu, MaskKind::kQemuWrong, denormal_minimum_under_daz,
     "QEMU returns a denormal operand that counts as zero", "SDM 1, 10.2.3.4"},
    {"flushed before it is rounded", kScaled, Oracle::kQemu, MaskKind::kQemuWrong, flushed_before_rounding,
     "QEMU looks for tiny results of FTZ before they are rounded", "SDM 1, 4.9.1.5 and 10.2.3.3"},
    {"approximations", kApproximations, Oracle::kQemu, MaskKind::kUndefined, approximation,
     "any value within the relative error of 1.5 * 2^-12", "SDM 2, RCPPS and RSQRTPS"},
    {"approximations, host", kApproximations, Oracle::kNative, MaskKind::kUndefined, approximation,
     "any value within the relative error of 1.5 * 2^-12", "SDM 2, RCPPS and RSQRTPS"},
    {"approximations of denormals", kApproximations, Oracle::kQemu, MaskKind::kQemuWrong, approximation_of_denormals,
     "QEMU computes with denormal sources and returns denormal results", "SDM 2, RCPPS and RSQRTPS"},
    {"RSQRT of a negative denormal", "rsqrtss rsqrtps", Oracle::kQemu, MaskKind::kQemuWrong, negative_denormal_root,
     "QEMU takes it for a negative number, not for -0", "SDM 2, RSQRTPS"},
    {"MMX state from a memory operand", "cvtpi2ps cvtpi2pd", Oracle::kQemu, MaskKind::kQemuWrong,
     memory_operand_enters_mmx, "QEMU enters the MMX state for an operand in memory, too",
     "SDM 2, CVTPI2PD; hardware does the same for CVTPI2PS"},
    {"PCMPESTRx with REX.W", "pcmpestri pcmpestrm", Oracle::kQemu, MaskKind::kQemuWrong, string_lengths_of_32_bits,
     "QEMU takes the lengths from EAX and EDX", "SDM 2, PCMPESTRI and PCMPESTRM"},
};

}  // namespace

std::span<const MaskRow> sse_masks() { return kRows; }

}  // namespace bhvm::oracle
