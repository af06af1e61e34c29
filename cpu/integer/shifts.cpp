// SHL SHR SAR ROL ROR RCL RCR SHLD SHRD: handlers and translation.
#include "base/planted_fault.h"
#include "cpu/integer/forms.h"
#include "cpu/integer/steps.h"
#include "cpu/integer/translate.h"

namespace bhvm::integer {
namespace {

template <class Shift, class T, bool with_flags>
constexpr Handler reg_imm = plain<ShiftRegImm<Shift, T, with_flags>>;
template <class Shift, class T, bool with_flags>
constexpr Handler reg_cl = plain<ShiftRegCl<Shift, T, with_flags>>;

/// Count 0 changes nothing, but a 32-bit register is still written.
template <class T>
BHVM_HANDLER(reg_unchanged) {
  write_gpr<T>(cpu, op->dst, operand<T>(cpu, op->dst));
  BHVM_NEXT;
}

/// `src` is the count's register, or the zero slot with the count in `imm`.
template <class Shift, class T, Through through = Through::kTlb>
BHVM_HANDLER(mem_any) {
  const unsigned count = static_cast<unsigned>((operand<u8>(cpu, op->src) | static_cast<u64>(op->imm)) & kCountMask<T>);
  const u64 linear = address_of(cpu, op);
  Update<T, through> update;
  BHVM_ACCESS(update.load(cpu, fast, linear), mem_any<Shift, T, Through::kSlow>);
  const T r = count == 0 ? update.value : Shift::template apply<T, true>(update.value, count, cpu.flags);
  update.store(cpu, linear, r);
  BHVM_NEXT;
}

template <class T>
constexpr unsigned masked_count(i64 count) {
  return static_cast<unsigned>(static_cast<u64>(count) & kCountMask<T>);
}

template <class Shift>
bool translate_shift(BlockBuilder& block, const Instruction& insn) {
  static constexpr ByWidth kImm[2] = {
      {reg_imm<Shift, u8, true>, reg_imm<Shift, u16, true>, reg_imm<Shift, u32, true>, reg_imm<Shift, u64, true>},
      {reg_imm<Shift, u8, false>, reg_imm<Shift, u16, false>, reg_imm<Shift, u32, false>, reg_imm<Shift, u64, false>}};
  static constexpr ByWidth kCl[2] = {
      {reg_cl<Shift, u8, true>, reg_cl<Shift, u16, true>, reg_cl<Shift, u32, true>, reg_cl<Shift, u64, true>},
      {reg_cl<Shift, u8, false>, reg_cl<Shift, u16, false>, reg_cl<Shift, u32, false>, reg_cl<Shift, u64, false>}};
  static constexpr ByWidth kUnchanged = {reg_unchanged<u8>, reg_unchanged<u16>, reg_unchanged<u32>, reg_unchanged<u64>};
  static constexpr ByWidth kMem = {mem_any<Shift, u8>, mem_any<Shift, u16>, mem_any<Shift, u32>, mem_any<Shift, u64>};
  // RCL and RCR by a multiple of the width plus one leave the flags, so they are never without them.
  constexpr bool kAlwaysFlags = Shift::kReads != 0;
  const unsigned bits = insn.width(0);
  const unsigned width = width_index(bits);
  const bool by_cl = insn.is_register(1);
  const unsigned count = by_cl ? 0 : static_cast<unsigned>(immediate(insn, 1)) & (bits == 64 ? 63 : 31);
  if (insn.is_memory(0)) {
    const Address address = block.address(insn, insn.operand(0));
    Op& op = block.emit(kMem[width], address);
    op.src = by_cl ? register_of(insn, 1) : BlockBuilder::offset_of(ZYDIS_REGISTER_NONE);
    op.imm = count;
    block.flags({.reads = kAllFlags, .writes = Shift::kWrites});
    return true;
  }
  if (by_cl) {
    Op& op = block.emit(kCl[0][width], false);
    op.dst = register_of(insn, 0);
    op.src = register_of(insn, 1);
    block.flags(
        {.reads = kAllFlags, .writes = Shift::kWrites, .without_flags = kAlwaysFlags ? nullptr : kCl[1][width]});
    return true;
  }
  Op& op = block.emit(count == 0 ? kUnchanged[width] : kImm[0][width], false);
  op.dst = register_of(insn, 0);
  op.imm = count;
  if (count != 0) {
    block.flags({.reads = Shift::kReads,
                 .writes = kAlwaysFlags ? u16{0} : Shift::kWrites,
                 .without_flags = kAlwaysFlags ? nullptr : kImm[1][width]});
  }
  return true;
}

// Double shifts. A 16-bit one by more than 16 is undefined; here the source is followed by the destination again, as
// processors do.

struct Shld {
  template <class T>
  static T apply(T a, T b, unsigned count, LazyFlags& f) {
    T r;
    bool cf;
    if constexpr (sizeof(T) == 2) {
      const u64 wide = (static_cast<u64>(a) << 32) | (static_cast<u64>(b) << 16) | a;
      r = static_cast<T>((wide << count) >> 32);
      cf = ((wide >> (48 - count)) & 1) != 0;
    } else {
      r = static_cast<T>((a << count) | (b >> (kBits<T> - count)));
      cf = ((a >> (kBits<T> - count)) & 1) != 0;
    }
    f.set_logic<T>(r);
    f.set_cf_of(cf, top_bit<T>(a) != top_bit<T>(r));
    return r;
  }
};

struct Shrd {
  template <class T>
  static T apply(T a, T b, unsigned count, LazyFlags& f) {
    T r;
    bool cf;
    if constexpr (sizeof(T) == 2) {
      const u64 wide = (static_cast<u64>(a) << 32) | (static_cast<u64>(b) << 16) | a;
      r = static_cast<T>(wide >> count);
      cf = ((wide >> (count - 1)) & 1) != 0;
    } else {
      r = static_cast<T>((a >> count) | (b << (kBits<T> - count)));
      cf = ((a >> (count - 1)) & 1) != 0;
    }
    f.set_logic<T>(r);
    f.set_cf_of(cf, top_bit<T>(a) != top_bit<T>(r));
    return r;
  }
};

/// The count: CL when imm is negative, else imm, already masked.
template <class T>
BHVM_INLINE unsigned double_count(Cpu& cpu, const Op* op) {
  const u64 count = op->imm < 0 ? cpu.s.gpr[kRcx] : static_cast<u64>(op->imm);
  return static_cast<unsigned>(count & kCountMask<T>);
}

template <class Shift, class T>
BHVM_HANDLER(double_reg) {
  const unsigned count = double_count<T>(cpu, op);
  const T a = operand<T>(cpu, op->dst);
  write_gpr<T>(cpu, op->dst, count == 0 ? a : Shift::template apply<T>(a, operand<T>(cpu, op->src), count, cpu.flags));
  BHVM_NEXT;
}

template <class Shift, class T, Through through = Through::kTlb>
BHVM_HANDLER(double_mem) {
  const unsigned count = double_count<T>(cpu, op);
  const u64 linear = address_of(cpu, op);
  Update<T, through> update;
  BHVM_ACCESS(update.load(cpu, fast, linear), double_mem<Shift, T, Through::kSlow>);
  const T r =
      count == 0 ? update.value : Shift::template apply<T>(update.value, operand<T>(cpu, op->src), count, cpu.flags);
  update.store(cpu, linear, r);
  BHVM_NEXT;
}

template <class Shift>
bool translate_double(BlockBuilder& block, const Instruction& insn) {
  static constexpr ByWidth kReg = {nullptr, double_reg<Shift, u16>, double_reg<Shift, u32>, double_reg<Shift, u64>};
  static constexpr ByWidth kMem = {nullptr, double_mem<Shift, u16>, double_mem<Shift, u32>, double_mem<Shift, u64>};
  const unsigned width = width_index(insn.width(0));
  const i64 count = insn.is_immediate(2) ? static_cast<i64>(insn.operand(2).imm.value.u & 63) : -1;
  if (insn.is_memory(0)) {
    const Address address = block.address(insn, insn.operand(0));
    Op& op = block.emit(kMem[width], address);
    op.src = register_of(insn, 1);
    op.imm = count;
  } else {
    Op& op = block.emit(kReg[width], false);
    op.dst = register_of(insn, 0);
    op.src = register_of(insn, 1);
    op.imm = count;
  }
  block.flags({.reads = kAllFlags, .writes = kAllFlags});
  return true;
}

}  // namespace

void register_shifts(TranslatorTable& table) {
  table.add(ZYDIS_MNEMONIC_SHL, translate_shift<Shl>);
  table.add(ZYDIS_MNEMONIC_SHR, translate_shift<Shr>);
  table.add(ZYDIS_MNEMONIC_SAR, translate_shift<Sar>);
  table.add(ZYDIS_MNEMONIC_ROL, translate_shift<Rol>);
  table.add(ZYDIS_MNEMONIC_ROR, translate_shift<Ror>);
  table.add(ZYDIS_MNEMONIC_RCL, translate_shift<Rcl>);
  table.add(ZYDIS_MNEMONIC_RCR, translate_shift<Rcr>);
  table.add(ZYDIS_MNEMONIC_SHLD, translate_double<Shld>);
  table.add(ZYDIS_MNEMONIC_SHRD, translate_double<Shrd>);
}

}  // namespace bhvm::integer
