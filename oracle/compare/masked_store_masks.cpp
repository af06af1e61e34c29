// MASKMOVQ and MASKMOVDQU: of the bytes at RDI they store those whose mask byte has its highest bit set.
#include <cstring>

#include "oracle/compare/x87_view.h"

namespace bhvm::oracle {
namespace {

/// Where the bytes are, and which of them are stored. The instructions around leave the mask alone.
struct MaskedStore {
  u64 linear;
  u64 last;   // of the address space that the offset wraps in
  u64 first;  // linear address of offset 0
  unsigned bytes;
  u16 selected;  // a bit a byte

  u64 byte(unsigned i) const { return first + ((linear - first + i) & last); }

  template <class Holds>
  bool any_selected(Holds holds) const {
    for (unsigned i = 0; i < bytes; ++i) {
      if ((selected >> i & 1) != 0 && holds(byte(i))) return true;
    }
    return false;
  }
};

u8 mask_byte(const MaskContext& c, const ZydisDecodedOperand& mask, unsigned i) {
  constexpr unsigned kXmmArea = 160, kXmmBytes = 16;
  const auto id = static_cast<unsigned>(ZydisRegisterGetId(mask.reg.value));
  if (ZydisRegisterGetClass(mask.reg.value) == ZYDIS_REGCLASS_XMM) return c.input.fx[kXmmArea + kXmmBytes * id + i];
  return static_cast<u8>(x87::Registers(c.input.fx).significand[id] >> (8 * i));
}

/// `registers` is the state in which the instruction was executed.
MaskedStore masked_store(const MaskContext& c, const Outcome& registers) {
  constexpr unsigned kRdi = 7;
  const DecodedInstruction& insn = *c.instruction;
  MaskedStore store{};
  const unsigned width = insn.z.address_width;
  store.last = width == 64 ? ~u64{0} : width == 32 ? 0xFFFFFFFF : 0xFFFF;
  const ZydisRegister segment = insn.operands[2].mem.segment;
  if (insn.z.machine_mode == ZYDIS_MACHINE_MODE_LONG_64) {
    if (segment == ZYDIS_REGISTER_FS) store.first = c.input.fs_base;
    if (segment == ZYDIS_REGISTER_GS) store.first = c.input.gs_base;
  }
  store.linear = store.first + (registers.gpr[kRdi] & store.last);
  store.bytes = insn.z.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ ? 8 : 16;
  for (unsigned i = 0; i < store.bytes; ++i) {
    store.selected = static_cast<u16>(store.selected | (mask_byte(c, insn.operands[1], i) >> 7) << i);
  }
  return store;
}

bool canonical(u64 linear) { return static_cast<i64>(linear << 16) >> 16 == static_cast<i64>(linear); }

/// The host looks at whole halves, the upper one first: it may fault for a byte that is not stored, and another one's
/// fault may be the first.
u64 fault_of_unselected_byte(const MaskContext& c, const Difference& d) {
  if (c.theirs.rip != address_of(c, *c.instruction)) return 0;
  const bool address_fault = c.theirs.vector == kGeneralProtection || c.theirs.vector == kStackFault;
  if (c.theirs.vector != kPageFault && !address_fault) return 0;
  if (is_fault(c.ours.vector) && c.ours.rip == c.theirs.rip) {
    return d.field == Field::kCr2 || d.field == Field::kErrorCode || d.field == Field::kVector ? ~u64{0} : 0;
  }
  const u64 page = c.theirs.cr2 / kPageBytes;
  const bool selected = masked_store(c, c.theirs).any_selected([&](u64 byte) {
    return address_fault ? !canonical(byte) : byte / kPageBytes == page;
  });
  return selected ? 0 : ~u64{0};
}

/// Of a misaligned address with AC set.
u64 alignment_is_checked(const MaskContext& c, const Difference&) {
  return c.theirs.vector == kAlignmentCheck && c.ours.vector != kAlignmentCheck ? ~u64{0} : 0;
}

/// Bytes that QEMU has stored before it meets the fault of another one.
u64 bytes_before_a_fault(const MaskContext& c, const Difference& d) {
  if (d.field != Field::kMemory || faulting_instruction(c) != c.instruction) return 0;
  const MaskedStore store = masked_store(c, c.ours);
  u64 bits = 0;
  for (unsigned i = 0; i < store.bytes; ++i) {
    const u64 at = store.byte(i) - (kRegion + u64{8} * d.index);
    if ((store.selected >> i & 1) != 0 && at < 8) bits |= u64{0xFF} << (8 * at);
  }
  return bits;
}

u64 no_wrap(const MaskContext& c, const Difference& d) {
  constexpr u64 kSpace = u64{1} << 32;
  const bool wraps = c.instruction->z.machine_mode != ZYDIS_MACHINE_MODE_LONG_64 && d.theirs == d.ours + kSpace;
  return d.field == Field::kCr2 && c.ours.vector == kPageFault && wraps ? ~u64{0} : 0;
}

constexpr std::string_view kMaskedStores = "maskmovq maskmovdqu";

constexpr MaskRow kRows[] = {
    {"masked bytes, host", kMaskedStores, Oracle::kNative, MaskKind::kUndefined, fault_of_unselected_byte,
     "bytes that the mask does not select may fault, too", "SDM 2, MASKMOVQ and MASKMOVDQU: implementation dependent"},
    {"masked bytes", kMaskedStores, Oracle::kQemu, MaskKind::kUndefined, bytes_before_a_fault,
     "bytes may be stored before another one faults", "SDM 2, MASKMOVQ and MASKMOVDQU; SDM 3, 9.1.1"},
    {"masked store beyond 4 GiB", kMaskedStores, Oracle::kQemu, MaskKind::kQemuWrong, no_wrap,
     "QEMU lets the bytes of a masked store run beyond 4 GiB in 32-bit code", "SDM 1, 3.3.7"},
    {"alignment of masked stores", kMaskedStores, Oracle::kNative, MaskKind::kUndefined, alignment_is_checked,
     "whether a store of single bytes is checked as one of 8 or 16", "SDM 3, table 6-7: does not list them"},
};

}  // namespace

std::span<const MaskRow> masked_store_masks() { return kRows; }

}  // namespace bhvm::oracle
