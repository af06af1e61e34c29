// MOV MOVZX MOVSX MOVSXD LEA MOVBE BSWAP XLAT, sign extensions in RAX.
#include "cpu/integer/forms.h"
#include "cpu/integer/steps.h"
#include "cpu/integer/translate.h"
#include "cpu/undefined.h"

namespace bhvm::integer {
namespace {

template <class T>
constexpr Handler mov_reg_reg = plain<MovRegReg<T>>;
template <class T>
constexpr Handler mov_reg_imm = plain<MovRegImm<T>>;
template <class T, bool simple>
constexpr Handler mov_reg_mem = plain<MovRegMem<T, simple>>;
template <class T, bool simple>
constexpr Handler mov_mem_reg = plain<MovMemReg<T, simple>>;
template <class T>
constexpr Handler mov_mem_imm = plain<MovMemImm<T>>;

constexpr ByWidth kRegReg = {mov_reg_reg<u8>, mov_reg_reg<u16>, mov_reg_reg<u32>, mov_reg_reg<u64>};
constexpr ByWidth kRegImm = {mov_reg_imm<u8>, mov_reg_imm<u16>, mov_reg_imm<u32>, mov_reg_imm<u64>};
constexpr ByWidth kMemImm = {mov_mem_imm<u8>, mov_mem_imm<u16>, mov_mem_imm<u32>, mov_mem_imm<u64>};
constexpr ByWidth kRegMem[2] = {
    {mov_reg_mem<u8, false>, mov_reg_mem<u16, false>, mov_reg_mem<u32, false>, mov_reg_mem<u64, false>},
    {mov_reg_mem<u8, true>, mov_reg_mem<u16, true>, mov_reg_mem<u32, true>, mov_reg_mem<u64, true>}};
constexpr ByWidth kMemReg[2] = {
    {mov_mem_reg<u8, false>, mov_mem_reg<u16, false>, mov_mem_reg<u32, false>, mov_mem_reg<u64, false>},
    {mov_mem_reg<u8, true>, mov_mem_reg<u16, true>, mov_mem_reg<u32, true>, mov_mem_reg<u64, true>}};

bool is_general(ZydisRegister reg) {
  const ZydisRegisterClass c = ZydisRegisterGetClass(reg);
  return c == ZYDIS_REGCLASS_GPR8 || c == ZYDIS_REGCLASS_GPR16 || c == ZYDIS_REGCLASS_GPR32 ||
         c == ZYDIS_REGCLASS_GPR64;
}

bool translate_mov(BlockBuilder& block, const Instruction& insn) {
  for (unsigned i = 0; i < 2; ++i) {
    if (insn.is_register(i) && !is_general(insn.operand(i).reg.value)) return translate_mov_special(block, insn);
  }
  const unsigned width = width_index(insn.width(0));
  if (insn.is_memory(0)) {
    const Address address = block.address(insn, insn.operand(0));
    if (insn.is_immediate(1)) {
      block.emit(kMemImm[width], address);
      block.immediate(insn, 1);
    } else {
      block.emit(kMemReg[address.simple ? 1 : 0][width], address).src = register_of(insn, 1);
    }
    return true;
  }
  if (insn.is_memory(1)) {
    const Address address = block.address(insn, insn.operand(1));
    block.emit(kRegMem[address.simple ? 1 : 0][width], address).dst = register_of(insn, 0);
    return true;
  }
  Op& op = block.emit(insn.is_immediate(1) ? kRegImm[width] : kRegReg[width], false);
  op.dst = register_of(insn, 0);
  if (insn.is_immediate(1))
    block.immediate(insn, 1);
  else
    op.src = register_of(insn, 1);
  return true;
}

// Widening moves: From is the source's type (signed for sign extension), To the destination's.

struct Widening {
  Handler reg, mem;
};
template <class To, class From>
constexpr Widening widening() {
  return {plain<WidenReg<To, From>>, plain<WidenMem<To, From>>};
}

template <class F8, class F16, class F32>
bool translate_widen(BlockBuilder& block, const Instruction& insn) {
  // [destination width][source width]
  static constexpr Widening kTable[4][3] = {
      {},
      {widening<u16, F8>(), widening<u16, F16>(), {}},
      {widening<u32, F8>(), widening<u32, F16>(), widening<u32, F32>()},
      {widening<u64, F8>(), widening<u64, F16>(), widening<u64, F32>()},
  };
  unsigned from = width_index(insn.width(1));
  if (from > 2) return false;
  if (insn.width(0) == 16 && from == 2) from = 1;  // MOVSXD r16, r/m32 moves 16 bits
  const Widening& w = kTable[width_index(insn.width(0))][from];
  if (w.reg == nullptr) return false;
  if (insn.is_memory(1)) {
    const Address address = block.address(insn, insn.operand(1));
    block.emit(w.mem, address).dst = register_of(insn, 0);
  } else {
    Op& op = block.emit(w.reg, false);
    op.dst = register_of(insn, 0);
    op.src = register_of(insn, 1);
  }
  return true;
}

bool translate_lea(BlockBuilder& block, const Instruction& insn) {
  static constexpr ByWidth kLea = {nullptr, plain<Lea<u16>>, plain<Lea<u32>>, plain<Lea<u64>>};
  const Address address = block.address(insn, insn.operand(1));
  const bool simple = address.simple && insn.width(0) == 64;
  const Handler handler = simple ? plain<LeaBase> : kLea[width_index(insn.width(0))];
  block.emit(handler, address, false).dst = register_of(insn, 0);
  return true;
}

template <class T>
T swap_bytes(T value) {
  if constexpr (sizeof(T) == 2)
    return __builtin_bswap16(value);
  else if constexpr (sizeof(T) == 4)
    return __builtin_bswap32(value);
  else
    return __builtin_bswap64(value);
}

template <class T>
BHVM_HANDLER(movbe_load) {
  T value;
  if (!load<T>(cpu, address_of(cpu, op), value)) BHVM_FAULT;
  write_gpr<T>(cpu, op->dst, swap_bytes(value));
  BHVM_NEXT;
}
template <class T>
BHVM_HANDLER(movbe_store) {
  if (!store<T>(cpu, address_of(cpu, op), swap_bytes(operand<T>(cpu, op->src)))) BHVM_FAULT;
  BHVM_NEXT;
}

bool translate_movbe(BlockBuilder& block, const Instruction& insn) {
  static constexpr ByWidth kLoad = {nullptr, movbe_load<u16>, movbe_load<u32>, movbe_load<u64>};
  static constexpr ByWidth kStore = {nullptr, movbe_store<u16>, movbe_store<u32>, movbe_store<u64>};
  const unsigned width = width_index(insn.width(0));
  if (insn.is_memory(0)) {
    const Address address = block.address(insn, insn.operand(0));
    block.emit(kStore[width], address).src = register_of(insn, 1);
  } else {
    const Address address = block.address(insn, insn.operand(1));
    block.emit(kLoad[width], address).dst = register_of(insn, 0);
  }
  return true;
}

template <class T>
BHVM_HANDLER(bswap) {
  write_gpr<T>(cpu, op->dst, swap_bytes(operand<T>(cpu, op->dst)));
  BHVM_NEXT;
}
/// BSWAP of a 16-bit register is undefined (SDM 2); processors clear it.
BHVM_HANDLER(bswap16) {
  operand<u16>(cpu, op->dst) = 0;
  BHVM_NEXT;
}

bool translate_bswap(BlockBuilder& block, const Instruction& insn) {
  static constexpr ByWidth kSwap = {nullptr, bswap16, bswap<u32>, bswap<u64>};
  block.emit(kSwap[width_index(insn.width(0))], false).dst = register_of(insn, 0);
  return true;
}

// CBW CWDE CDQE: the accumulator widened in place. CWD CDQ CQO: its sign into RDX.

template <class To, class From>
bool translate_accumulator(BlockBuilder& block, const Instruction&) {
  Op& op = block.emit(plain<WidenReg<To, From>>, false);
  op.dst = gpr(kRax);
  op.src = gpr(kRax);
  return true;
}

template <class T>
BHVM_HANDLER(sign_to_rdx) {
  const bool negative = static_cast<std::make_signed_t<T>>(operand<T>(cpu, op->src)) < 0;
  write_gpr<T>(cpu, op->dst, negative ? static_cast<T>(~T{0}) : T{0});
  BHVM_NEXT;
}
template <Handler handler>
bool translate_sign(BlockBuilder& block, const Instruction&) {
  Op& op = block.emit(handler, false);
  op.dst = gpr(kRdx);
  op.src = gpr(kRax);
  return true;
}

BHVM_HANDLER(xlat) {
  u8 value;
  if (!load<u8>(cpu, address_of(cpu, op), value)) BHVM_FAULT;
  operand<u8>(cpu, op->dst) = value;
  BHVM_NEXT;
}

/// XLAT: AL = [RBX + zero-extended AL]; Zydis gives base RBX and index AL.
BHVM_HANDLER(xlat_index) {
  cpu.scratch = operand<u8>(cpu, op->src);
  BHVM_NEXT;
}
bool translate_xlat(BlockBuilder& block, const Instruction& insn) {
  for (unsigned i = 0; i < insn.z.operand_count; ++i) {
    if (!insn.is_memory(i)) continue;
    ZydisDecodedOperand memory = insn.operand(i);
    memory.mem.index = ZYDIS_REGISTER_NONE;
    memory.mem.scale = 0;
    // The address is base + AL: the base is wrapped at the address size together with AL, so AL is added as an index.
    block.emit(xlat_index, false).src = gpr(kRax);
    const Address address = block.address_with_scratch_index(insn, memory);
    block.emit(xlat, address).dst = gpr(kRax);
    return true;
  }
  return false;
}

}  // namespace

void register_moves(TranslatorTable& table) {
  table.add(ZYDIS_MNEMONIC_MOV, translate_mov);
  table.add(ZYDIS_MNEMONIC_MOVZX, translate_widen<u8, u16, u32>);
  table.add(ZYDIS_MNEMONIC_MOVSX, translate_widen<i8, i16, i32>);
  table.add(ZYDIS_MNEMONIC_MOVSXD, translate_widen<i8, i16, i32>);
  table.add(ZYDIS_MNEMONIC_LEA, translate_lea);
  table.add(ZYDIS_MNEMONIC_MOVBE, translate_movbe);
  table.add(ZYDIS_MNEMONIC_BSWAP, translate_bswap);
  table.add(ZYDIS_MNEMONIC_CBW, translate_accumulator<u16, i8>);
  table.add(ZYDIS_MNEMONIC_CWDE, translate_accumulator<u32, i16>);
  table.add(ZYDIS_MNEMONIC_CDQE, translate_accumulator<u64, i32>);
  table.add(ZYDIS_MNEMONIC_CWD, translate_sign<sign_to_rdx<u16>>);
  table.add(ZYDIS_MNEMONIC_CDQ, translate_sign<sign_to_rdx<u32>>);
  table.add(ZYDIS_MNEMONIC_CQO, translate_sign<sign_to_rdx<u64>>);
  table.add(ZYDIS_MNEMONIC_XLAT, translate_xlat);
}

}  // namespace bhvm::integer
