// What AMD's processors do where the SDM leaves it open, or where AMD's manual (APM, publications 24592 to 24594,
// 26568, 26569) says otherwise. These rows hold on AMD's processors only.
#include <algorithm>

#include "oracle/compare/operand_address.h"
#include "oracle/compare/x87_view.h"

namespace bhvm::oracle {
namespace {

using namespace x87;

bool faulted_at(const Outcome& outcome, const MaskContext& c, const DecodedInstruction& insn) {
  return is_fault(outcome.vector) && outcome.rip == address_of(c, insn);
}

bool has_operand_size_prefix(const DecodedInstruction& insn) {
  return (insn.z.attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) != 0;
}

/// Eight bytes of the region as a case left them.
u64 memory_at(const MaskContext& c, const Outcome& outcome, u64 linear) {
  constexpr unsigned kBytes = 8;
  const u64 at = linear - kRegion;
  if (at > kRegionBytes - 2 * kBytes) return 0;
  const auto qword = static_cast<u16>(at / kBytes);
  const auto bits = static_cast<unsigned>(8 * (at % kBytes));
  const u64 low = word_of(outcome, c.pristine, Field::kMemory, qword) >> bits;
  if (bits == 0) return low;
  return low | word_of(outcome, c.pristine, Field::kMemory, static_cast<u16>(qword + 1)) << (64 - bits);
}

// ---- x87 and MXCSR ----

/// The signal frame is an XSAVE area.
u64 pointers_without_exception(const MaskContext& c, const Difference& d) {
  const bool pointer = d.field == Field::kX87Opcode || d.field == Field::kX87Instruction || d.field == Field::kX87Data;
  return pointer && d.theirs == 0 && Registers(c.theirs.fx).unmasked() == 0 ? ~u64{0} : 0;
}

/// Their linear addresses, too, have 57 bits.
u64 narrow_pointers(const MaskContext&, const Difference& d) {
  constexpr unsigned kUnused = 64 - 57;
  const u64 narrowed = static_cast<u64>(static_cast<i64>(d.ours << kUnused) >> kUnused);
  const bool pointer = d.field == Field::kX87Instruction || d.field == Field::kX87Data;
  return pointer && d.theirs == narrowed ? ~u64{0} : 0;
}

/// A store that an unmasked exception keeps from being made faults nevertheless.
u64 address_fault_before_exception(const MaskContext& c, const Difference&) {
  const bool stores = stores_to_memory(*c.instruction) && faulted_at(c.theirs, c, *c.instruction);
  const bool exception = Registers(c.theirs.fx).unmasked() == 0 && Registers(c.ours.fx).unmasked() != 0;
  return stores && exception ? ~u64{0} : 0;
}

/// A value of MXCSR with bit 17 set and no other reserved one.
u64 loads_misaligned_mask(const MaskContext& c, const Difference&) {
  constexpr u32 kWritable = 0xFFFF, kMisalignedMask = 1 << 17;
  const bool refused = c.ours.vector == kGeneralProtection && faulted_at(c.ours, c, *c.instruction);
  return refused && (fx_word<u32>(c.theirs.fx, 24) & ~kWritable) == kMisalignedMask ? ~u64{0} : 0;
}

// ---- SSE ----

template <class Word>
bool is_nan(Word bits) {
  constexpr unsigned kWidth = 8 * sizeof(Word), kFraction = kWidth == 32 ? 23 : 52;
  constexpr Word kSign = Word{1} << (kWidth - 1);
  return static_cast<Word>(bits & ~kSign) > static_cast<Word>(~kSign >> kFraction << kFraction);
}

/// Both answer a NaN: that of another product.
template <class Word>
u64 lanes_of_nans(const Difference& d) {
  constexpr unsigned kWidth = 8 * sizeof(Word);
  u64 bits = 0;
  for (unsigned at = 0; at < 64; at += kWidth) {
    const bool both = is_nan(static_cast<Word>(d.ours >> at)) && is_nan(static_cast<Word>(d.theirs >> at));
    if (both) bits |= u64{static_cast<Word>(~Word{0})} << at;
  }
  return bits;
}

u64 dot_product_of_nans(const MaskContext& c, const Difference& d) {
  const auto to = static_cast<unsigned>(ZydisRegisterGetId(c.instruction->operands[0].reg.value));
  if (d.field != Field::kXmm || d.index / 2 != to) return 0;
  return c.instruction->z.mnemonic == ZYDIS_MNEMONIC_DPPD ? lanes_of_nans<u64>(d) : lanes_of_nans<u32>(d);
}

// ---- memory ----

/// In 32-bit code an access runs across the end of its segment of 4 GiB.
u64 access_across_4_gib(const MaskContext& c, const Difference&) {
  constexpr u64 kSpace = u64{1} << 32;
  constexpr u64 kFrame = 64;  // what an instruction may have on the stack
  const bool theirs = c.theirs.vector == kGeneralProtection || c.theirs.vector == kStackFault;
  if (is_code64(c.group) || !theirs || c.theirs.error_code != 0 || c.ours.vector != kPageFault) return 0;
  const DecodedInstruction* insn = faulting_instruction(c);
  if (insn == nullptr || !faulted_at(c.theirs, c, *insn)) return 0;
  const ZydisDecodedOperand* memory = memory_operand(*insn, 16);
  const u64 bytes = memory == nullptr ? kFrame : std::max<u64>(memory->size / 8, kFrame);
  return ((c.ours.cr2 + bytes) & (kSpace - 1)) < 2 * bytes ? ~u64{0} : 0;
}

/// In 64-bit mode, under a 32-bit address size, an operand runs across the end of the 4 GiB that its offset can tell,
/// and the processor accesses it in pieces: what lies behind the end is looked for at the offset's beginning.
u64 pieces_across_4_gib(const MaskContext& c, const Difference&) {
  constexpr u64 kOffsets = u64{1} << 32;
  constexpr unsigned kOnePiece = 64;  // bits
  const DecodedInstruction& insn = *c.instruction;
  const ZydisDecodedOperand* memory = memory_operand(insn);
  const bool theirs = c.theirs.vector == kPageFault && faulted_at(c.theirs, c, insn);
  if (memory == nullptr || !theirs || !insn.code64() || insn.z.address_width != 32) return 0;
  const bool near = insn.z.meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR;
  const bool one_piece = insn.z.meta.isa_set == ZYDIS_ISA_SET_X87 ? memory->size <= kOnePiece : near;
  const u64 end = operand_offset_at_fault(c, c.theirs, insn, memory->mem) + memory->size / 8;
  if (one_piece || end <= kOffsets) return 0;
  return c.theirs.cr2 - segment_base(c.theirs, memory->mem.segment) < end - kOffsets ? ~u64{0} : 0;
}

/// FS or GS and an offset that is not canonical itself, or that of the operand's last byte is not: their sum is.
u64 offset_not_canonical(const MaskContext& c, const Difference&) {
  constexpr u64 kCanonicalEnd = u64{1} << 47;
  const auto canonical = [](u64 offset) { return offset + kCanonicalEnd < 2 * kCanonicalEnd; };
  const bool theirs = c.theirs.vector == kGeneralProtection && c.theirs.error_code == 0;
  if (!theirs || !is_code64(c.group)) return 0;
  for (const DecodedInstruction& insn : c.instructions) {
    if (!faulted_at(c.theirs, c, insn)) continue;
    for (unsigned i = 0; i < insn.z.operand_count; ++i) {
      const ZydisDecodedOperand& operand = insn.operands[i];
      const ZydisRegister segment = operand.mem.segment;
      if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY) continue;
      if (segment != ZYDIS_REGISTER_FS && segment != ZYDIS_REGISTER_GS) continue;
      const u64 offset = operand_offset_at_fault(c, c.theirs, insn, operand.mem);
      const u64 last = offset + std::max<u64>(operand.size / 8, 1) - 1;
      if (!canonical(offset) || !canonical(last)) return ~u64{0};
      // XLAT and BT m, r compute their offset otherwise.
      const bool page_fault = c.ours.vector == kPageFault && c.ours.rip == c.theirs.rip;
      if (page_fault && !canonical(c.ours.cr2 - segment_base(c.ours, segment))) return ~u64{0};
    }
  }
  return 0;
}

/// A misaligned access that begins at a canonical address and ends at another.
u64 canonical_before_alignment(const MaskContext& c, const Difference& d) {
  const bool theirs = c.theirs.vector == kGeneralProtection || c.theirs.vector == kStackFault;
  const bool both = c.ours.vector == kAlignmentCheck && theirs && c.ours.rip == c.theirs.rip;
  return both && d.field == Field::kVector ? ~u64{0} : 0;
}

// ---- integers ----

/// The flags of the rounds before the one that faulted.
u64 flags_of_completed_rounds(const MaskContext& c, const Difference& d) {
  constexpr u8 kRepne = 0xF2, kRepe = 0xF3;
  if (d.field != Field::kRflags || !faulted_at(c.ours, c, *c.instruction)) return 0;
  for (unsigned i = 0; i < c.instruction->z.raw.prefix_count; ++i) {
    const u8 prefix = c.instruction->z.raw.prefixes[i].value;
    if (prefix == kRepne || prefix == kRepe) return kStatusFlags;
  }
  return 0;
}

/// SHLD and SHRD of 16 bits by 17 to 31.
u64 double_shift_too_far(const MaskContext& c, const Difference& d) {
  constexpr unsigned kWidth = 16, kCounts = 31;
  const ZydisDecodedOperand& to = c.instruction->operands[0];
  const ZydisDecodedOperand& by = c.instruction->operands[2];
  const bool known = by.type == ZYDIS_OPERAND_TYPE_IMMEDIATE || c.instruction == c.instructions.data();
  const u64 count = (by.type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? by.imm.value.u : c.input.gpr[1]) & kCounts;
  if (to.size != kWidth || (known && count <= kWidth)) return 0;
  if (to.type == ZYDIS_OPERAND_TYPE_MEMORY) return d.field == Field::kMemory ? ~u64{0} : 0;
  const ZydisRegister wide = ZydisRegisterGetLargestEnclosing(c.instruction->z.machine_mode, to.reg.value);
  return d.field == Field::kGpr && ZydisRegisterGetId(wide) == d.index ? u64{0xFFFF} : 0;
}

/// In 64-bit mode, too, 66H makes a near branch one of 16 bits.
u64 near_branch_with_66(const MaskContext& c, const Difference&) {
  const bool near = c.instruction->z.meta.branch_type != ZYDIS_BRANCH_TYPE_FAR;
  return near && has_operand_size_prefix(*c.instruction) && c.instruction->code64() ? ~u64{0} : 0;
}

/// F3 REX.B 90.
u64 pause_with_rex(const MaskContext& c, const Difference& d) {
  if (c.instruction->z.raw.rex.B == 0) return 0;
  return d.field == Field::kGpr && (d.index == 0 || d.index == 8) ? ~u64{0} : 0;
}

/// 0F 0D, PREFETCHW and its kin, with a register.
u64 prefetch_of_a_register(const MaskContext& c, const Difference&) {
  constexpr u8 kPrefetch = 0x0D;
  const bool registers = c.instruction->z.opcode_map == ZYDIS_OPCODE_MAP_0F && c.instruction->z.opcode == kPrefetch &&
                         c.instruction->z.raw.modrm.mod == 3;
  return registers && c.theirs.vector == kInvalidOpcode && faulted_at(c.theirs, c, *c.instruction) ? ~u64{0} : 0;
}

/// #GP for what was popped, #SS for where it was to come from, or a fault of the outer level's stack pointer and SS,
/// which lie behind it.
u64 order_of_far_return(const MaskContext& c, const Difference&) {
  constexpr unsigned kRsp = 4;
  const bool far = c.instruction->z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
  const bool ours = c.ours.vector == kGeneralProtection || c.ours.vector == kStackFault;
  if (!far || !ours || c.ours.rip != c.theirs.rip) return 0;
  if (!faulted_at(c.theirs, c, *c.instruction)) return 0;
  const ZydisDecodedOperand& released = c.instruction->operands[0];
  const u64 bytes = released.type == ZYDIS_OPERAND_TYPE_IMMEDIATE ? released.imm.value.u : 0;
  const u64 element = c.instruction->z.operand_width / 8;
  const u64 outer = c.theirs.gpr[kRsp] + 2 * element + bytes;
  const bool page = c.theirs.vector == kPageFault && c.theirs.cr2 - outer < 2 * element;
  const bool alignment = c.theirs.vector == kAlignmentCheck && outer % element != 0;
  return page || alignment ? ~u64{0} : 0;
}

/// The upper half of an offset into a 32-bit segment is not dropped, but beyond the limit.
u64 far_return_beyond_limit(const MaskContext& c, const Difference&) {
  constexpr unsigned kRsp = 4;
  const bool theirs = c.theirs.vector == kGeneralProtection && faulted_at(c.theirs, c, *c.instruction);
  const bool wide = c.instruction->z.raw.rex.W != 0;
  if (!theirs || !wide || c.ours.cs != kUserCode32 || !is_code64(c.group)) return 0;
  return memory_at(c, c.theirs, c.theirs.gpr[kRsp]) >> 32 != 0 ? ~u64{0} : 0;
}

/// The return address of a CALL that faults for its target.
u64 call_stores_nothing(const MaskContext& c, const Difference& d) {
  const bool both = c.ours.vector == kGeneralProtection && c.theirs.vector == kGeneralProtection;
  return both && d.field == Field::kMemory && faulted_at(c.ours, c, *c.instruction) &&
                 faulted_at(c.theirs, c, *c.instruction)
             ? ~u64{0}
             : 0;
}

/// Both operands of CMPS cannot be read.
u64 order_of_compared_operands(const MaskContext& c, const Difference& d) {
  const bool which = d.field == Field::kCr2 || d.field == Field::kErrorCode || d.field == Field::kVector;
  return which && faulted_at(c.ours, c, *c.instruction) && faulted_at(c.theirs, c, *c.instruction) ? ~u64{0} : 0;
}

u64 alignment_of_16_bytes(const MaskContext& c, const Difference&) {
  constexpr unsigned kBits = 128;
  const bool theirs = c.theirs.vector == kAlignmentCheck && faulted_at(c.theirs, c, *c.instruction);
  const ZydisDecodedOperand* memory = memory_operand(*c.instruction, kBits);
  if (!theirs || memory == nullptr) return 0;
  const u64 offset = operand_offset_at_fault(c, c.theirs, *c.instruction, memory->mem);
  return (segment_base(c.theirs, memory->mem.segment) + offset) % (kBits / 8) != 0 ? ~u64{0} : 0;
}

/// MOVSXD with a 16-bit operand size: a page behind the two bytes is not there.
u64 movsxd_reads_32_bits(const MaskContext& c, const Difference&) {
  constexpr unsigned kBits = 16;
  const bool theirs = is_fault(c.theirs.vector) && faulted_at(c.theirs, c, *c.instruction);
  return theirs && c.instruction->operands[0].size == kBits ? ~u64{0} : 0;
}

/// F2 or F3 decides on ZF instead of the opcode: F2 makes it LOOPNE, F3 LOOPE. What follows differs with the way taken.
u64 prefix_decides_loop(const MaskContext& c, const Difference&) {
  constexpr u8 kRepne = 0xF2, kRepe = 0xF3;
  const bool loope = c.instruction->z.mnemonic == ZYDIS_MNEMONIC_LOOPE;
  for (unsigned i = 0; i < c.instruction->z.raw.prefix_count; ++i) {
    if (c.instruction->z.raw.prefixes[i].value == (loope ? kRepne : kRepe)) return ~u64{0};
  }
  return 0;
}

/// UD0 (0F FF) and UD1 (0F B9) have no ModRM byte that would have to be fetched.
u64 undefined_before_fetched(const MaskContext& c, const Difference&) {
  const bool theirs = c.theirs.vector == kInvalidOpcode && faulted_at(c.theirs, c, *c.instruction);
  return theirs && c.ours.vector == kPageFault && c.ours.rip == c.theirs.rip ? ~u64{0} : 0;
}

constexpr MaskRow kRows[] = {
    {"FIP, FDP, FOP, AMD", "*", Oracle::kNative, MaskKind::kVendor, pointers_without_exception,
     "zeros are saved for FIP, FDP and FOP while no unmasked exception is pending",
     "APM 5, FXSAVE; APM 4, XSAVE; CPUID.80000008H:EBX[2]", Host::kAmd},
    {"operand's fault before an unmasked exception, AMD", "fst fstp fist fistp fisttp fbstp", Oracle::kNative,
     MaskKind::kUndefined, address_fault_before_exception,
     "faults of one class come in an order of the processor's own", "SDM 3, table 6-2", Host::kAmd},
    {"width of FIP and FDP, AMD", "fxrstor64 xrstor64", Oracle::kNative, MaskKind::kVendor, narrow_pointers,
     "as many bits of FIP and FDP are kept as linear addresses have", "observed; SDM 1, 8.1.8", Host::kAmd},
    {"MXCSR.MM, AMD", "ldmxcsr fxrstor fxrstor64 xrstor xrstor64", Oracle::kNative, MaskKind::kVendor,
     loads_misaligned_mask, "MXCSR has the misaligned exception mask, bit 17", "APM 1, 4.2.2", Host::kAmd},
    {"DPPS and DPPD of NaNs, AMD", "dpps dppd", Oracle::kNative, MaskKind::kUndefined, dot_product_of_nans,
     "which of several NaNs the sums propagate follows from the order of the additions",
     "SDM 2, DPPS and DPPD: horizontal propagation of NaNs is implementation dependent", Host::kAmd},
    {"accesses across 4 GiB, AMD", "*", Oracle::kNative, MaskKind::kUndefined, access_across_4_gib,
     "an access across the end of a segment of 4 GiB is refused",
     "SDM 3, 5.3: with an effective limit of FFFFFFFFH it may or may not be", Host::kAmd},
    {"pieces across 4 GiB, AMD",
     "fld fbld fstp fbstp fldenv fnstenv frstor fnsave fxsave fxsave64 fxrstor fxrstor64 lss lfs lgs jmp call",
     Oracle::kNative, MaskKind::kUndefined, pieces_across_4_gib,
     "an operand that takes several accesses wraps between them under a 32-bit address size",
     "observed; SDM 1, 3.3.7 and 3.6.1 tell where an operand begins, not where the rest of it is", Host::kAmd},
    {"offsets that are not canonical, AMD", "*", Oracle::kNative, MaskKind::kVendor, offset_not_canonical,
     "#GP for an access through FS or GS by an offset that is not canonical, whatever the linear address",
     "observed; SDM 1, 3.3.7.1 speaks of the linear address", Host::kAmd},
    {"canonical check before #AC, AMD", "*", Oracle::kNative, MaskKind::kUndefined, canonical_before_alignment,
     "which fault of a misaligned access to both kinds of addresses comes first",
     "SDM 3, 6.9, table 6-2: faults of one class have no order", Host::kAmd},
    {"flags of REP CMPS and SCAS, AMD", "cmpsb cmpsw cmpsd cmpsq scasb scasw scasd scasq", Oracle::kNative,
     MaskKind::kVendor, flags_of_completed_rounds, "a fault leaves the flags of the last round that was completed",
     "observed; SDM 2, REP: the flags of before the instruction", Host::kAmd},
    {"SHLD and SHRD too far, AMD", "shld shrd", Oracle::kNative, MaskKind::kUndefined, double_shift_too_far,
     "a count beyond the operand's width leaves the destination undefined", "SDM 2, SHLD; APM 3, SHLD", Host::kAmd},
    {"near branches with 66H, AMD", "j* call ret loop loope loopne", Oracle::kNative, MaskKind::kVendor,
     near_branch_with_66, "66H makes a near branch one of 16 bits in 64-bit mode, too",
     "APM 3, 1.2.2 and Jcc; SDM 2, Jcc and JMP: 64-bit mode", Host::kAmd},
    {"PAUSE with REX.B, AMD", "pause", Oracle::kNative, MaskKind::kVendor, pause_with_rex, "it is XCHG R8, RAX",
     "observed; SDM 2, PAUSE", Host::kAmd},
    {"order of far returns, AMD", "ret", Oracle::kNative, MaskKind::kUndefined, order_of_far_return,
     "the outer level's stack pointer and SS are read before what was popped is looked at",
     "SDM 3, 6.9, table 6-2: faults of one class have no order", Host::kAmd},
    {"far returns to 32-bit code, AMD", "ret", Oracle::kNative, MaskKind::kVendor, far_return_beyond_limit,
     "#GP for a 64-bit offset beyond 4 GiB", "observed; SDM 2, RET, Operation: EIP", Host::kAmd},
    {"CALL to a non-canonical address, AMD", "call", Oracle::kNative, MaskKind::kVendor, call_stores_nothing,
     "nothing is stored by a CALL that faults for its target", "observed; SDM 2, CALL", Host::kAmd},
    {"order of CMPS, AMD", "cmpsb cmpsw cmpsd cmpsq", Oracle::kNative, MaskKind::kUndefined, order_of_compared_operands,
     "the operand at RSI is read first", "SDM 3, 6.9, table 6-2: faults of one class have no order", Host::kAmd},
    {"alignment of 16 bytes, AMD", "movups movupd movdqu lddqu pcmpestri pcmpestrm pcmpistri pcmpistrm",
     Oracle::kNative, MaskKind::kUndefined, alignment_of_16_bytes,
     "#AC for a misaligned operand of 16 bytes that needs no alignment otherwise",
     "SDM 2, MOVUPS: #AC may or may not be generated", Host::kAmd},
    {"MOVSXD of 16 bits, AMD", "movsxd", Oracle::kNative, MaskKind::kVendor, movsxd_reads_32_bits, "32 bits are read",
     "APM 3, MOVSXD; SDM 2, MOVSXD", Host::kAmd},
    {"REP before LOOPE and LOOPNE, AMD", "loope loopne", Oracle::kNative, MaskKind::kUndefined, prefix_decides_loop,
     "F2 makes it LOOPNE, F3 LOOPE, whatever the opcode",
     "observed; SDM 2, 2.1.1: REP before other instructions is reserved", Host::kAmd},
    {"UD1 at a page's end, AMD", "ud0 ud1", Oracle::kNative, MaskKind::kUndefined, undefined_before_fetched,
     "UD0 and UD1 have no ModRM byte: #UD comes before a page fault of fetching one",
     "SDM 2, UD: some processors decode UD0 without a ModRM byte; UD1 as observed", Host::kAmd},
    {"PREFETCH of a register, AMD", "nop", Oracle::kNative, MaskKind::kVendor, prefetch_of_a_register,
     "#UD, where it is a NOP to Intel's processors", "APM 3, PREFETCH, exceptions", Host::kAmd},
};

}  // namespace

std::span<const MaskRow> amd_masks() { return kRows; }

}  // namespace bhvm::oracle
