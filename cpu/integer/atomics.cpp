// XCHG XADD CMPXCHG CMPXCHG8B CMPXCHG16B. One CPU, and no instruction is ever cut in the middle: LOCK changes nothing.
#include "base/planted_fault.h"
#include "cpu/integer/alu.h"
#include "cpu/integer/forms.h"
#include "cpu/integer/translate.h"

namespace bhvm::integer {
namespace {

template <class T>
BHVM_HANDLER(xchg_reg) {
  const T a = operand<T>(cpu, op->dst);
  const T b = operand<T>(cpu, op->src);
  write_gpr<T>(cpu, op->dst, b);
  write_gpr<T>(cpu, op->src, a);
  BHVM_NEXT;
}
template <class T, Through through = Through::kTlb>
BHVM_HANDLER(xchg_mem) {
  const u64 linear = address_of(cpu, op);
  Update<T, through> update;
  BHVM_ACCESS(update.load(cpu, fast, linear), xchg_mem<T, Through::kSlow>);
  update.store(cpu, linear, operand<T>(cpu, op->src));
  write_gpr<T>(cpu, op->src, update.value);
  BHVM_NEXT;
}

template <class T>
BHVM_HANDLER(xadd_reg) {
  const T a = operand<T>(cpu, op->dst);
  const T sum = Add::apply<T, true>(a, operand<T>(cpu, op->src), cpu.flags);
  write_gpr<T>(cpu, op->src, a);
  write_gpr<T>(cpu, op->dst, sum);
  BHVM_NEXT;
}
template <class T, Through through = Through::kTlb>
BHVM_HANDLER(xadd_mem) {
  const u64 linear = address_of(cpu, op);
  Update<T, through> update;
  BHVM_ACCESS(update.load(cpu, fast, linear), xadd_mem<T, Through::kSlow>);
  update.store(cpu, linear, Add::apply<T, true>(update.value, operand<T>(cpu, op->src), cpu.flags));
  write_gpr<T>(cpu, op->src, update.value);
  BHVM_NEXT;
}

template <class T>
BHVM_HANDLER(cmpxchg_reg) {
  const T accumulator = static_cast<T>(cpu.s.gpr[kRax]);
  const T old = operand<T>(cpu, op->dst);
  Cmp::apply<T, true>(accumulator, old, cpu.flags);
  if (planted(PlantedFault::kCmpxchgByteFlags) && sizeof(T) == 1) Cmp::apply<T, true>(old, accumulator, cpu.flags);
  if (old == accumulator) {
    write_gpr<T>(cpu, op->dst, operand<T>(cpu, op->src));
  } else {
    write_gpr<T>(cpu, static_cast<u16>(op->imm), old);
  }
  BHVM_NEXT;
}
/// The destination is written in either case (SDM 2, CMPXCHG), so it must be writable in either case.
template <class T, Through through = Through::kTlb>
BHVM_HANDLER(cmpxchg_mem) {
  const u64 linear = address_of(cpu, op);
  Update<T, through> update;
  BHVM_ACCESS(update.load(cpu, fast, linear), cmpxchg_mem<T, Through::kSlow>);
  const T accumulator = static_cast<T>(cpu.s.gpr[kRax]);
  const bool equal = update.value == accumulator;
  update.store(cpu, linear, equal ? operand<T>(cpu, op->src) : update.value);
  Cmp::apply<T, true>(accumulator, update.value, cpu.flags);
  if (!equal) write_gpr<T>(cpu, static_cast<u16>(op->imm), update.value);
  BHVM_NEXT;
}

/// Two operands, the first one register or memory; `imm` is the accumulator's place.
template <template <class> class Forms>
bool translate_pair(BlockBuilder& block, const Instruction& insn) {
  const unsigned width = width_index(insn.width(0));
  const bool second = !insn.is_memory(0) && insn.is_memory(1);  // XCHG r, m
  const unsigned memory = second ? 1 : 0;
  if (insn.is_memory(memory)) {
    const Address address = block.address(insn, insn.operand(memory));
    Op& op = block.emit(Forms<void>::kMem[width], address);
    op.src = register_of(insn, 1 - memory);
    op.imm = gpr(kRax);
  } else {
    Op& op = block.emit(Forms<void>::kReg[width], false);
    op.dst = register_of(insn, 0);
    op.src = register_of(insn, 1);
    op.imm = gpr(kRax);
  }
  block.flags({.writes = Forms<void>::kFlags});
  return true;
}

template <class>
struct Xchg {
  static constexpr u16 kFlags = 0;
  static constexpr ByWidth kReg = {xchg_reg<u8>, xchg_reg<u16>, xchg_reg<u32>, xchg_reg<u64>};
  static constexpr ByWidth kMem = {xchg_mem<u8>, xchg_mem<u16>, xchg_mem<u32>, xchg_mem<u64>};
};
template <class>
struct Xadd {
  static constexpr u16 kFlags = kAllFlags;
  static constexpr ByWidth kReg = {xadd_reg<u8>, xadd_reg<u16>, xadd_reg<u32>, xadd_reg<u64>};
  static constexpr ByWidth kMem = {xadd_mem<u8>, xadd_mem<u16>, xadd_mem<u32>, xadd_mem<u64>};
};
template <class>
struct Cmpxchg {
  static constexpr u16 kFlags = kAllFlags;
  static constexpr ByWidth kReg = {cmpxchg_reg<u8>, cmpxchg_reg<u16>, cmpxchg_reg<u32>, cmpxchg_reg<u64>};
  static constexpr ByWidth kMem = {cmpxchg_mem<u8>, cmpxchg_mem<u16>, cmpxchg_mem<u32>, cmpxchg_mem<u64>};
};

/// CMPXCHG8B (T = u32) and CMPXCHG16B (T = u64): a pair of T in memory against RDX:RAX, replaced by RCX:RBX.
template <class T, Through through = Through::kTlb>
BHVM_HANDLER(cmpxchg_pair) {
  struct Pair {
    T low, high;
  };
  const u64 linear = address_of(cpu, op);
  if (sizeof(T) == 8 && (linear & 15) != 0) {
    cpu.raise(vector::kGeneralProtection);
    BHVM_FAULT;
  }
  Update<Pair, through> update;
  BHVM_ACCESS(update.load(cpu, fast, linear), cmpxchg_pair<T, Through::kSlow>);
  std::array<u64, 16>& r = cpu.s.gpr;
  const Pair old = update.value;
  const bool equal = old.low == static_cast<T>(r[kRax]) && old.high == static_cast<T>(r[kRdx]);
  update.store(cpu, linear, equal ? Pair{static_cast<T>(r[kRbx]), static_cast<T>(r[kRcx])} : old);
  if (!equal) {
    r[kRax] = old.low;
    r[kRdx] = old.high;
  }
  const u64 others = cpu.flags.value() & ~rflags::kZf;
  cpu.flags.set(others | (equal ? rflags::kZf : 0));
  BHVM_NEXT;
}

template <Handler handler>
bool translate_cmpxchg_pair(BlockBuilder& block, const Instruction& insn) {
  const Address address = block.address(insn, insn.operand(0));
  block.emit(handler, address);
  block.flags({.reads = kAllFlags, .writes = static_cast<u16>(rflags::kZf)});
  return true;
}

}  // namespace

void register_atomics(TranslatorTable& table) {
  table.add(ZYDIS_MNEMONIC_XCHG, translate_pair<Xchg>);
  table.add(ZYDIS_MNEMONIC_XADD, translate_pair<Xadd>);
  table.add(ZYDIS_MNEMONIC_CMPXCHG, translate_pair<Cmpxchg>);
  table.add(ZYDIS_MNEMONIC_CMPXCHG8B, translate_cmpxchg_pair<cmpxchg_pair<u32>>);
  table.add(ZYDIS_MNEMONIC_CMPXCHG16B, translate_cmpxchg_pair<cmpxchg_pair<u64>>);
}

}  // namespace bhvm::integer
