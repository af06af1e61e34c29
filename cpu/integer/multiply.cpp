// MUL IMUL DIV IDIV.
//
// Undefined flags: SF, ZF and PF of a multiplication follow the low half of the product and AF is cleared; a division
// leaves all flags as they were.
#include "base/planted_fault.h"
#include "cpu/integer/forms.h"
#include "cpu/integer/steps.h"
#include "cpu/integer/translate.h"

namespace bhvm::integer {
namespace {

template <class T>
struct Wide;
template <>
struct Wide<u8> {
  using Unsigned = u16;
  using Signed = i16;
};
template <>
struct Wide<u16> {
  using Unsigned = u32;
  using Signed = i32;
};
template <>
struct Wide<u32> {
  using Unsigned = u64;
  using Signed = i64;
};
template <>
struct Wide<u64> {
  using Unsigned = u128;
  using Signed = i128;
};
template <class T>
using WideUnsigned = typename Wide<T>::Unsigned;
template <class T>
using WideSigned = typename Wide<T>::Signed;

/// The double-width accumulator: AX, DX:AX, EDX:EAX, RDX:RAX.
template <class T>
BHVM_INLINE void write_accumulator(Cpu& cpu, WideUnsigned<T> value) {
  if constexpr (sizeof(T) == 1) {
    *reinterpret_cast<u16*>(&cpu.s.gpr[kRax]) = value;
  } else if constexpr (sizeof(T) == 2) {
    *reinterpret_cast<u16*>(&cpu.s.gpr[kRax]) = static_cast<u16>(value);
    *reinterpret_cast<u16*>(&cpu.s.gpr[kRdx]) = static_cast<u16>(value >> 16);
  } else {
    cpu.s.gpr[kRax] = static_cast<T>(value);
    cpu.s.gpr[kRdx] = static_cast<T>(value >> kBits<T>);
  }
}

template <class T>
BHVM_INLINE WideUnsigned<T> read_accumulator(const Cpu& cpu) {
  if constexpr (sizeof(T) == 1) {
    return static_cast<u16>(cpu.s.gpr[kRax]);
  } else {
    return static_cast<WideUnsigned<T>>((static_cast<WideUnsigned<T>>(static_cast<T>(cpu.s.gpr[kRdx])) << kBits<T>) |
                                        static_cast<T>(cpu.s.gpr[kRax]));
  }
}

struct Mul {
  template <class T>
  static bool apply(Cpu& cpu, T b) {
    const auto product =
        static_cast<WideUnsigned<T>>(static_cast<WideUnsigned<T>>(static_cast<T>(cpu.s.gpr[kRax])) * b);
    write_accumulator<T>(cpu, product);
    const bool wide = static_cast<T>(product >> kBits<T>) != 0;
    cpu.flags.set_logic<T>(static_cast<T>(product));
    cpu.flags.set_cf_of(wide, wide);
    return true;
  }
};

struct Imul {
  template <class T>
  static bool apply(Cpu& cpu, T b) {
    using S = std::make_signed_t<T>;
    const auto product =
        static_cast<WideSigned<T>>(static_cast<WideSigned<T>>(static_cast<S>(cpu.s.gpr[kRax])) * static_cast<S>(b));
    write_accumulator<T>(cpu, static_cast<WideUnsigned<T>>(product));
    const bool wide = static_cast<S>(product) != product;
    cpu.flags.set_logic<T>(static_cast<T>(product));
    cpu.flags.set_cf_of(wide, wide);
    return true;
  }
};

/// Quotient and remainder into AL and AH, or the accumulator and RDX.
template <class T>
BHVM_INLINE void write_quotient(Cpu& cpu, T quotient, T remainder) {
  if constexpr (sizeof(T) == 1) {
    *reinterpret_cast<u16*>(&cpu.s.gpr[kRax]) = static_cast<u16>(quotient | (remainder << 8));
  } else if constexpr (sizeof(T) == 2) {
    *reinterpret_cast<u16*>(&cpu.s.gpr[kRax]) = quotient;
    *reinterpret_cast<u16*>(&cpu.s.gpr[kRdx]) = remainder;
  } else {
    cpu.s.gpr[kRax] = quotient;
    cpu.s.gpr[kRdx] = remainder;
  }
}

struct Div {
  template <class T>
  static bool apply(Cpu& cpu, T b) {
    const WideUnsigned<T> a = read_accumulator<T>(cpu);
    if (planted(PlantedFault::kDivOverflowBoundary) && sizeof(T) == 2 && b != 0 && static_cast<T>(a >> kBits<T>) == b) {
      write_quotient<T>(cpu, static_cast<T>(a / b), static_cast<T>(a % b));
      return true;
    }
    if (b == 0 || static_cast<T>(a >> kBits<T>) >= b) return cpu.raise(vector::kDivideError);
    if (sizeof(T) == 8 && static_cast<u64>(a >> (kBits<T> - 1) >> 1) == 0) {  // the usual case: RDX is 0
      const T low = static_cast<T>(a);
      write_quotient<T>(cpu, static_cast<T>(low / b), static_cast<T>(low % b));
      return true;
    }
    write_quotient<T>(cpu, static_cast<T>(a / b), static_cast<T>(a % b));
    return true;
  }
};

struct Idiv {
  template <class T>
  static bool apply(Cpu& cpu, T b) {
    using S = std::make_signed_t<T>;
    const auto a = static_cast<WideSigned<T>>(read_accumulator<T>(cpu));
    const auto divisor = static_cast<WideSigned<T>>(static_cast<S>(b));
    if (divisor == 0) return cpu.raise(vector::kDivideError);
    // The most negative accumulator divided by -1 overflows the wide type itself.
    using WU = WideUnsigned<T>;
    const WU most_negative = static_cast<WU>(WU{1} << (2 * kBits<T> - 1));
    if (divisor == -1 && static_cast<WU>(a) == most_negative) return cpu.raise(vector::kDivideError);
    const auto quotient = static_cast<WideSigned<T>>(a / divisor);
    if (static_cast<S>(quotient) != quotient) return cpu.raise(vector::kDivideError);
    write_quotient<T>(cpu, static_cast<T>(quotient), static_cast<T>(a % divisor));
    return true;
  }
};

template <class Operation, class T>
BHVM_HANDLER(accumulator_reg) {
  if (!Operation::template apply<T>(cpu, operand<T>(cpu, op->src))) BHVM_FAULT;
  BHVM_NEXT;
}
template <class Operation, class T>
BHVM_HANDLER(accumulator_mem) {
  T b;
  if (!load<T>(cpu, address_of(cpu, op), b)) BHVM_FAULT;
  if (!Operation::template apply<T>(cpu, b)) BHVM_FAULT;
  BHVM_NEXT;
}

template <class Operation, bool writes_flags>
bool translate_accumulator(BlockBuilder& block, const Instruction& insn) {
  static constexpr ByWidth kReg = {accumulator_reg<Operation, u8>, accumulator_reg<Operation, u16>,
                                   accumulator_reg<Operation, u32>, accumulator_reg<Operation, u64>};
  static constexpr ByWidth kMem = {accumulator_mem<Operation, u8>, accumulator_mem<Operation, u16>,
                                   accumulator_mem<Operation, u32>, accumulator_mem<Operation, u64>};
  const unsigned width = width_index(insn.width(0));
  if (insn.is_memory(0)) {
    const Address address = block.address(insn, insn.operand(0));
    block.emit(kMem[width], address);
  } else {
    block.emit(kReg[width], !writes_flags).src = register_of(insn, 0);
  }
  block.flags({.writes = writes_flags ? kAllFlags : u16{0}});
  return true;
}

// IMUL r, r/m and IMUL r, r/m, imm.

template <class T, bool with_flags>
constexpr Handler imul_reg = plain<ImulRegReg<T, with_flags>>;
template <class T, bool with_flags>
constexpr Handler imul_mem = plain<ImulRegMem<T, with_flags>>;
template <class T, bool with_flags>
constexpr Handler imul_reg_imm = plain<ImulRegImm<T, with_flags>>;
template <class T, bool with_flags, Through through = Through::kTlb>
BHVM_HANDLER(imul_mem_imm) {
  T a;
  BHVM_ACCESS(load_by<through>(cpu, fast, address_of(cpu, op), a), imul_mem_imm<T, with_flags, Through::kSlow>);
  write_gpr<T>(cpu, op->dst, imul_truncated<T, with_flags>(a, static_cast<T>(op->imm), cpu.flags));
  BHVM_NEXT;
}

bool translate_imul(BlockBuilder& block, const Instruction& insn) {
  if (insn.z.operand_count_visible == 1) return translate_accumulator<Imul, true>(block, insn);
  static constexpr ByWidth kReg[2] = {{nullptr, imul_reg<u16, true>, imul_reg<u32, true>, imul_reg<u64, true>},
                                      {nullptr, imul_reg<u16, false>, imul_reg<u32, false>, imul_reg<u64, false>}};
  static constexpr ByWidth kMem[2] = {{nullptr, imul_mem<u16, true>, imul_mem<u32, true>, imul_mem<u64, true>},
                                      {nullptr, imul_mem<u16, false>, imul_mem<u32, false>, imul_mem<u64, false>}};
  static constexpr ByWidth kRegImm[2] = {
      {nullptr, imul_reg_imm<u16, true>, imul_reg_imm<u32, true>, imul_reg_imm<u64, true>},
      {nullptr, imul_reg_imm<u16, false>, imul_reg_imm<u32, false>, imul_reg_imm<u64, false>}};
  static constexpr ByWidth kMemImm[2] = {
      {nullptr, imul_mem_imm<u16, true>, imul_mem_imm<u32, true>, imul_mem_imm<u64, true>},
      {nullptr, imul_mem_imm<u16, false>, imul_mem_imm<u32, false>, imul_mem_imm<u64, false>}};
  const unsigned width = width_index(insn.width(0));
  const bool imm = insn.z.operand_count_visible == 3;
  const ByWidth* table = nullptr;
  if (insn.is_memory(1)) {
    const Address address = block.address(insn, insn.operand(1));
    table = imm ? kMemImm : kMem;
    block.emit(table[0][width], address).dst = register_of(insn, 0);
  } else {
    table = imm ? kRegImm : kReg;
    Op& op = block.emit(table[0][width], false);
    op.dst = register_of(insn, 0);
    op.src = register_of(insn, 1);
  }
  if (imm) block.immediate(insn, 2);
  block.flags({.writes = kAllFlags, .without_flags = table[1][width]});
  return true;
}

}  // namespace

void register_multiply(TranslatorTable& table) {
  table.add(ZYDIS_MNEMONIC_MUL, translate_accumulator<Mul, true>);
  table.add(ZYDIS_MNEMONIC_IMUL, translate_imul);
  table.add(ZYDIS_MNEMONIC_DIV, translate_accumulator<Div, false>);
  table.add(ZYDIS_MNEMONIC_IDIV, translate_accumulator<Idiv, false>);
}

}  // namespace bhvm::integer
