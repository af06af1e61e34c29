// BT BTS BTR BTC BSF BSR POPCNT CRC32.
//
// Undefined flags: BT and its kin leave all but CF; BSF and BSR set the others as a logical instruction on the source
// would. BSF and BSR of 0 leave the destination, as processors do.
#include <array>

#include "base/planted_fault.h"
#include "cpu/integer/forms.h"
#include "cpu/integer/translate.h"

namespace bhvm::integer {
namespace {

template <class T>
inline constexpr unsigned kBits = 8 * sizeof(T);

struct Bt {
  static constexpr bool kWrites = false;
  template <class T>
  BHVM_INLINE static T apply(T a, T) {
    return a;
  }
};
struct Bts {
  static constexpr bool kWrites = true;
  template <class T>
  BHVM_INLINE static T apply(T a, T bit) {
    return a | bit;
  }
};
struct Btr {
  static constexpr bool kWrites = true;
  template <class T>
  BHVM_INLINE static T apply(T a, T bit) {
    return static_cast<T>(a & ~bit);
  }
};
struct Btc {
  static constexpr bool kWrites = true;
  template <class T>
  BHVM_INLINE static T apply(T a, T bit) {
    return a ^ bit;
  }
};

/// `src` is the register with the bit number, or the zero slot with the number in `imm`.
template <class Operation, class T>
BHVM_HANDLER(bit_reg) {
  const unsigned number =
      static_cast<unsigned>((operand<T>(cpu, op->src) | static_cast<u64>(op->imm)) & (kBits<T> - 1));
  const T a = operand<T>(cpu, op->dst);
  const T bit = static_cast<T>(T{1} << number);
  if constexpr (Operation::kWrites) write_gpr<T>(cpu, op->dst, Operation::template apply<T>(a, bit));
  cpu.flags.set_cf((a & bit) != 0);
  BHVM_NEXT;
}

/// How far from the operand's address a register's bit number reaches: signed, in units of the operand.
template <class T>
BHVM_INLINE i64 bit_step(T number) {
  using S = std::make_signed_t<T>;
  if (planted(PlantedFault::kBtNegativeOffset) && sizeof(T) == 2) return static_cast<i64>(number) >> 4 << 1;
  return (static_cast<i64>(static_cast<S>(number)) >> std::countr_zero(kBits<T>)) * static_cast<i64>(sizeof(T));
}

/// cpu.scratch = base + index + step, for effective addresses that are cut to 32 or 16 bits or checked by a segment.
template <class T>
BHVM_HANDLER(bit_step_to_scratch) {
  cpu.scratch = address_of(cpu, op) + static_cast<u64>(bit_step<T>(operand<T>(cpu, op->src)));
  BHVM_NEXT;
}

/// `stepped`: the address has the step in it.
template <class Operation, class T, bool stepped, Through through = Through::kTlb>
BHVM_HANDLER(bit_mem) {
  const T index = static_cast<T>(operand<T>(cpu, op->src) | static_cast<u64>(op->imm));
  u64 linear = address_of(cpu, op);
  if constexpr (!stepped) linear += static_cast<u64>(bit_step<T>(operand<T>(cpu, op->src)));
  const T bit = static_cast<T>(T{1} << (index & (kBits<T> - 1)));
  T a;
  if constexpr (Operation::kWrites) {
    Update<T, through> update;
    BHVM_ACCESS(update.load(cpu, fast, linear), bit_mem<Operation, T, stepped, Through::kSlow>);
    a = update.value;
    update.store(cpu, linear, Operation::template apply<T>(a, bit));
  } else {
    BHVM_ACCESS(load_by<through>(cpu, fast, linear, a), bit_mem<Operation, T, stepped, Through::kSlow>);
  }
  cpu.flags.set_cf((a & bit) != 0);
  BHVM_NEXT;
}

/// The bit number is a part of the effective address: it goes in before that is cut and checked.
Address stepped_address(BlockBuilder& block, const Instruction& insn) {
  static constexpr ByWidth kStep = {nullptr, bit_step_to_scratch<u16>, bit_step_to_scratch<u32>,
                                    bit_step_to_scratch<u64>};
  ZydisDecodedOperand memory = insn.operand(0);
  ZydisDecodedOperandMem& m = memory.mem;
  Op& op = block.emit(kStep[width_index(insn.width(0))], false);
  op.src = register_of(insn, 1);
  op.index = BlockBuilder::offset_of(m.index);
  op.scale = static_cast<u8>(std::countr_zero(std::max(m.scale, u8{1})));
  if (m.base != ZYDIS_REGISTER_EIP) {
    op.base = BlockBuilder::offset_of(m.base);
    m.base = ZYDIS_REGISTER_NONE;
  }
  m.index = ZYDIS_REGISTER_NONE;
  m.scale = 1;
  return block.address_with_scratch_index(insn, memory);
}

template <class Operation>
bool translate_bit(BlockBuilder& block, const Instruction& insn) {
  static constexpr ByWidth kReg = {nullptr, bit_reg<Operation, u16>, bit_reg<Operation, u32>, bit_reg<Operation, u64>};
  static constexpr ByWidth kMem = {nullptr, bit_mem<Operation, u16, false>, bit_mem<Operation, u32, false>,
                                   bit_mem<Operation, u64, false>};
  static constexpr ByWidth kSteppedMem = {nullptr, bit_mem<Operation, u16, true>, bit_mem<Operation, u32, true>,
                                          bit_mem<Operation, u64, true>};
  const unsigned bits = insn.width(0);
  const bool memory = insn.is_memory(0);
  const bool stepped = memory && insn.is_register(1) && insn.z.address_width != 64;
  const Address address = stepped  ? stepped_address(block, insn)
                          : memory ? block.address(insn, insn.operand(0))
                                   : Address{};
  const ByWidth& forms = stepped ? kSteppedMem : kMem;
  Op& op = memory ? block.emit(forms[width_index(bits)], address) : block.emit(kReg[width_index(bits)], false);
  if (!memory) op.dst = register_of(insn, 0);
  if (insn.is_immediate(1)) {
    op.src = BlockBuilder::offset_of(ZYDIS_REGISTER_NONE);
    op.imm = immediate(insn, 1) & (bits - 1);
  } else {
    op.src = register_of(insn, 1);
  }
  block.flags({.writes = static_cast<u16>(rflags::kCf)});
  return true;
}

struct Bsf {
  template <class T>
  BHVM_INLINE static void apply(Cpu& cpu, const Op* op, T a) {
    if (a != 0) write_gpr<T>(cpu, op->dst, static_cast<T>(std::countr_zero(a)));
    cpu.flags.set_logic<T>(a);
  }
};
struct Bsr {
  template <class T>
  BHVM_INLINE static void apply(Cpu& cpu, const Op* op, T a) {
    if (a != 0) write_gpr<T>(cpu, op->dst, static_cast<T>(kBits<T> - 1 - static_cast<unsigned>(std::countl_zero(a))));
    cpu.flags.set_logic<T>(a);
  }
};
struct Popcnt {
  template <class T>
  BHVM_INLINE static void apply(Cpu& cpu, const Op* op, T a) {
    write_gpr<T>(cpu, op->dst, static_cast<T>(std::popcount(a)));
    cpu.flags.set(a == 0 ? rflags::kZf : 0);
  }
};

template <class Operation, class T>
BHVM_HANDLER(scan_reg) {
  Operation::template apply<T>(cpu, op, operand<T>(cpu, op->src));
  BHVM_NEXT;
}
template <class Operation, class T>
BHVM_HANDLER(scan_mem) {
  T a;
  if (!load<T>(cpu, address_of(cpu, op), a)) BHVM_FAULT;
  Operation::template apply<T>(cpu, op, a);
  BHVM_NEXT;
}

template <class Operation>
bool translate_scan(BlockBuilder& block, const Instruction& insn) {
  static constexpr ByWidth kReg = {nullptr, scan_reg<Operation, u16>, scan_reg<Operation, u32>,
                                   scan_reg<Operation, u64>};
  static constexpr ByWidth kMem = {nullptr, scan_mem<Operation, u16>, scan_mem<Operation, u32>,
                                   scan_mem<Operation, u64>};
  const unsigned width = width_index(insn.width(0));
  if (insn.is_memory(1)) {
    const Address address = block.address(insn, insn.operand(1));
    block.emit(kMem[width], address).dst = register_of(insn, 0);
  } else {
    Op& op = block.emit(kReg[width], false);
    op.dst = register_of(insn, 0);
    op.src = register_of(insn, 1);
  }
  block.flags({.writes = kAllFlags});
  return true;
}

// CRC32: the Castagnoli polynomial 11EDC6F41H, reflected (SDM 2, CRC32).

constexpr std::array<u32, 256> make_crc_table() {
  std::array<u32, 256> table{};
  for (u32 i = 0; i < 256; ++i) {
    u32 crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78 : 0);
    table[i] = crc;
  }
  return table;
}
constexpr std::array<u32, 256> kCrcTable = make_crc_table();

template <class T>
BHVM_INLINE u32 crc32(u32 crc, T value) {
  for (unsigned i = 0; i < sizeof(T); ++i) {
    crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<u32>(value >> (8 * i))) & 0xFF];
  }
  return crc;
}

template <class T>
BHVM_HANDLER(crc32_reg) {
  operand<u64>(cpu, op->dst) = crc32<T>(operand<u32>(cpu, op->dst), operand<T>(cpu, op->src));
  BHVM_NEXT;
}
template <class T>
BHVM_HANDLER(crc32_mem) {
  T value;
  if (!load<T>(cpu, address_of(cpu, op), value)) BHVM_FAULT;
  operand<u64>(cpu, op->dst) = crc32<T>(operand<u32>(cpu, op->dst), value);
  BHVM_NEXT;
}

bool translate_crc32(BlockBuilder& block, const Instruction& insn) {
  static constexpr ByWidth kReg = {crc32_reg<u8>, crc32_reg<u16>, crc32_reg<u32>, crc32_reg<u64>};
  static constexpr ByWidth kMem = {crc32_mem<u8>, crc32_mem<u16>, crc32_mem<u32>, crc32_mem<u64>};
  const unsigned width = width_index(insn.width(1));
  if (insn.is_memory(1)) {
    const Address address = block.address(insn, insn.operand(1));
    block.emit(kMem[width], address).dst = register_of(insn, 0);
  } else {
    Op& op = block.emit(kReg[width], false);
    op.dst = register_of(insn, 0);
    op.src = register_of(insn, 1);
  }
  return true;
}

}  // namespace

void register_bits(TranslatorTable& table) {
  table.add(ZYDIS_MNEMONIC_BT, translate_bit<Bt>);
  table.add(ZYDIS_MNEMONIC_BTS, translate_bit<Bts>);
  table.add(ZYDIS_MNEMONIC_BTR, translate_bit<Btr>);
  table.add(ZYDIS_MNEMONIC_BTC, translate_bit<Btc>);
  table.add(ZYDIS_MNEMONIC_BSF, translate_scan<Bsf>);
  table.add(ZYDIS_MNEMONIC_BSR, translate_scan<Bsr>);
  table.add(ZYDIS_MNEMONIC_POPCNT, translate_scan<Popcnt>);
  table.add(ZYDIS_MNEMONIC_CRC32, translate_crc32);
}

}  // namespace bhvm::integer
