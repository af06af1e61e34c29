// SHL SHR SAR ROL ROR RCL RCR SHLD SHRD.
//
// Undefined flags are defined here once: AF is cleared by shifts, OF follows the one-bit rule for every count, CF of an
// 8- or 16-bit shift by more than its width is what the bits that fell out last say (0 for unsigned).
#include "base/planted_fault.h"
#include "cpu/integer/forms.h"
#include "cpu/integer/translate.h"

namespace bhvm::integer {
namespace {

template <class T>
inline constexpr unsigned kBits = 8 * sizeof(T);
template <class T>
inline constexpr u64 kCountMask = sizeof(T) == 8 ? 63 : 31;
template <class T>
BHVM_INLINE bool top_bit(T value) {
  return (value >> (kBits<T> - 1)) != 0;
}

// Each takes a count that is masked and not zero.

struct Shl {
  static constexpr u16 kReads = 0;
  static constexpr u16 kWrites = kAllFlags;
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, unsigned count, LazyFlags& f) {
    const u64 before_last = static_cast<u64>(a) << (count - 1);
    const T r = static_cast<T>(before_last << 1);
    if constexpr (with_flags) {
      const bool cf = top_bit<T>(static_cast<T>(before_last));
      f.set_logic<T>(r);
      f.set_cf_of(cf, cf != top_bit<T>(r));
      if (planted(PlantedFault::kShlWordOverflow) && sizeof(T) == 2 && count == 1 && !cf) f.set_cf_of(cf, false);
    }
    return r;
  }
};

struct Shr {
  static constexpr u16 kReads = 0;
  static constexpr u16 kWrites = kAllFlags;
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, unsigned count, LazyFlags& f) {
    const u64 before_last = static_cast<u64>(a) >> (count - 1);
    const T r = static_cast<T>(before_last >> 1);
    if constexpr (with_flags) {
      f.set_logic<T>(r);
      f.set_cf_of((before_last & 1) != 0, top_bit<T>(static_cast<T>(before_last)) != top_bit<T>(r));
    }
    return r;
  }
};

struct Sar {
  static constexpr u16 kReads = 0;
  static constexpr u16 kWrites = kAllFlags;
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, unsigned count, LazyFlags& f) {
    const i64 before_last = static_cast<i64>(static_cast<std::make_signed_t<T>>(a)) >> (count - 1);
    const T r = static_cast<T>(before_last >> 1);
    if constexpr (with_flags) {
      f.set_logic<T>(r);
      f.set_cf_of((before_last & 1) != 0, false);
    }
    return r;
  }
};

struct Rol {
  static constexpr u16 kReads = 0;
  static constexpr u16 kWrites = static_cast<u16>(rflags::kCf | rflags::kOf);
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, unsigned count, LazyFlags& f) {
    const T r = std::rotl(a, static_cast<int>(count % kBits<T>));
    if constexpr (with_flags) f.set_cf_of((r & 1) != 0, top_bit<T>(r) != ((r & 1) != 0));
    return r;
  }
};

struct Ror {
  static constexpr u16 kReads = 0;
  static constexpr u16 kWrites = static_cast<u16>(rflags::kCf | rflags::kOf);
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, unsigned count, LazyFlags& f) {
    const T r = std::rotr(a, static_cast<int>(count % kBits<T>));
    if constexpr (with_flags) f.set_cf_of(top_bit<T>(r), top_bit<T>(r) != top_bit<T>(static_cast<T>(r << 1)));
    return r;
  }
};

struct Rcl {
  static constexpr u16 kReads = static_cast<u16>(rflags::kCf | rflags::kOf);
  static constexpr u16 kWrites = static_cast<u16>(rflags::kCf | rflags::kOf);
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, unsigned count, LazyFlags& f) {
    const bool byte_wraps = planted(PlantedFault::kRclByteCount) && sizeof(T) == 1 && count == 9;
    const unsigned steps = byte_wraps ? 1 : count % (kBits<T> + 1);
    if (steps == 0) return a;
    // The rotated quantity is CF : a, one bit wider than the operand.
    const u128 wide = (static_cast<u128>(f.cf() ? 1 : 0) << kBits<T>) | a;
    const u128 turned = (wide << steps) | (wide >> (kBits<T> + 1 - steps));
    const T r = static_cast<T>(turned);
    const bool cf = ((turned >> kBits<T>)&1) != 0;
    f.set_cf_of(cf, top_bit<T>(r) != cf);
    return r;
  }
};

struct Rcr {
  static constexpr u16 kReads = static_cast<u16>(rflags::kCf | rflags::kOf);
  static constexpr u16 kWrites = static_cast<u16>(rflags::kCf | rflags::kOf);
  template <class T, bool with_flags>
  BHVM_INLINE static T apply(T a, unsigned count, LazyFlags& f) {
    const unsigned steps = count % (kBits<T> + 1);
    if (steps == 0) return a;
    const u128 wide = (static_cast<u128>(f.cf() ? 1 : 0) << kBits<T>) | a;
    const u128 turned = (wide >> steps) | (wide << (kBits<T> + 1 - steps));
    const T r = static_cast<T>(turned);
    f.set_cf_of(((turned >> kBits<T>)&1) != 0, top_bit<T>(r) != top_bit<T>(static_cast<T>(r << 1)));
    return r;
  }
};

template <class Shift, class T, bool with_flags>
BHVM_HANDLER(reg_imm) {
  write_gpr<T>(
      cpu, op->dst,
      Shift::template apply<T, with_flags>(operand<T>(cpu, op->dst), static_cast<unsigned>(op->imm), cpu.flags));
  BHVM_NEXT;
}

/// Count 0 changes nothing, but a 32-bit register is still written.
template <class T>
BHVM_HANDLER(reg_unchanged) {
  write_gpr<T>(cpu, op->dst, operand<T>(cpu, op->dst));
  BHVM_NEXT;
}

template <class Shift, class T, bool with_flags>
BHVM_HANDLER(reg_cl) {
  const unsigned count = static_cast<unsigned>(operand<u8>(cpu, op->src) & kCountMask<T>);
  const T a = operand<T>(cpu, op->dst);
  write_gpr<T>(cpu, op->dst, count == 0 ? a : Shift::template apply<T, with_flags>(a, count, cpu.flags));
  BHVM_NEXT;
}

/// `src` is the count's register, or the zero slot with the count in `imm`.
template <class Shift, class T, Through through = Through::kTlb>
BHVM_HANDLER(mem_any) {
  const unsigned count = static_cast<unsigned>((operand<u8>(cpu, op->src) | static_cast<u64>(op->imm)) & kCountMask<T>);
  const u64 linear = address_of(cpu, op);
  Update<T, through> update;
  BHVM_ACCESS(update.load(cpu, linear), mem_any<Shift, T, Through::kSlow>);
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
  BHVM_ACCESS(update.load(cpu, linear), double_mem<Shift, T, Through::kSlow>);
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
