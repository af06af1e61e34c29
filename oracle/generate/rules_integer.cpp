// Division, shifts, comparisons with the accumulator, bit strings, string instructions, XLAT.
#include <bit>
#include <iterator>
#include <vector>

#include "oracle/generate/rules.h"

namespace bhvm::oracle {
namespace {

constexpr unsigned kRax = 0, kRcx = 1, kRdx = 2;

u64 low_mask(unsigned bits) { return bits >= 64 ? ~u64{0} : (u64{1} << bits) - 1; }

i128 sign_extended(u64 value, unsigned bits) {
  return static_cast<i128>(static_cast<i64>(value << (64 - bits)) >> (64 - bits));
}

void set_low(u64& gpr, u64 value, unsigned bits) { gpr = (gpr & ~low_mask(bits)) | (value & low_mask(bits)); }

/// Half-way between never overflowing and always: quotient, divisor and remainder are chosen, the dividend follows.
void divide(Draft& d) {
  const ZydisDecodedOperand& operand = d.insn().operand(0);
  const unsigned bits = operand.size;
  const bool is_signed = d.insn().z.mnemonic == ZYDIS_MNEMONIC_IDIV;
  const u64 divisor = integer_value(d.dice) & low_mask(bits);
  if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) d.set_value<u64>(0, divisor);
  if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) d.value_bytes = bits / 8;
  if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) d.set_register(operand.reg.value, divisor);
  if (divisor == 0 || d.dice.percent(15)) return;
  const u64 quotient = integer_value(d.dice) & low_mask(bits);
  u128 dividend = 0;
  if (is_signed) {
    const i128 by = sign_extended(divisor, bits);
    const i128 size = by < 0 ? -by : by;
    const i128 remainder = static_cast<i128>(static_cast<u128>(d.dice.bits()) % static_cast<u128>(size));
    const i128 product = sign_extended(quotient, bits) * by;
    const bool negative = product < 0 || (product == 0 && d.dice.coin());
    dividend = static_cast<u128>(negative ? product - remainder : product + remainder);
  } else {
    dividend = static_cast<u128>(quotient) * divisor + d.dice.bits() % divisor;
  }
  if (bits == 8) return set_low(d.gpr(kRax), static_cast<u64>(dividend), 16);
  set_low(d.gpr(kRax), static_cast<u64>(dividend), bits);
  set_low(d.gpr(kRdx), static_cast<u64>(dividend >> bits), bits);
}

/// In half of the cases the accumulator is what it is compared with.
void compare_exchange(Draft& d) {
  if (d.dice.coin()) return;
  const ZydisDecodedOperand& operand = d.insn().operand(0);
  if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) return d.set_register(operand.reg.value, d.gpr(kRax));
  d.set_value<u64>(0, d.gpr(kRax));
  d.value_bytes = operand.size / 8;
}

void compare_exchange_pair(Draft& d) {
  if (d.dice.one_in(8)) return;
  const bool equal = d.dice.coin();
  if (d.insn().z.mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B) {
    d.set_value<u32>(0, static_cast<u32>(d.gpr(kRax)));
    d.set_value<u32>(4, static_cast<u32>(d.gpr(kRdx) ^ (equal ? 0 : d.dice.bits())));
  } else {
    d.set_value<u64>(0, d.gpr(kRax) ^ (equal ? 0 : u64{1} << d.dice.below(64)));
    d.set_value<u64>(8, d.gpr(kRdx));
  }
}

void count_in_cl(Draft& d) {
  if (d.insn().z.operand_count_visible < 2) return;
  const ZydisDecodedOperand& count = d.insn().operand(d.insn().z.operand_count_visible - 1);
  if (count.type == ZYDIS_OPERAND_TYPE_REGISTER && count.reg.value == ZYDIS_REGISTER_CL)
    set_low(d.gpr(kRcx), shift_count(d.dice), 8);
}

/// A bit number in a register reaches far from a memory operand: the operand's address makes up for it.
void bit_number(Draft& d) {
  const ZydisDecodedOperand& number = d.insn().operand(1);
  if (number.type != ZYDIS_OPERAND_TYPE_REGISTER) return;
  const unsigned bits = number.size;
  const u32 r = d.dice.below(100);
  u64 value = integer_value(d.dice);
  if (r < 50) value = static_cast<u64>(d.dice.between(-200, 200));
  if (r >= 50 && r < 80) value = static_cast<u64>(d.dice.between(-40000, 40000));
  d.set_register(number.reg.value, value);
  const Access* access = d.plan.explicit_access();
  const int holder = gpr_number(number.reg.value);
  if (access == nullptr || holder == access->base || holder == access->index) return;
  const i64 bit = static_cast<i64>(sign_extended(value & low_mask(bits), bits));
  d.beyond[0] = static_cast<u64>((bit >> std::countr_zero(bits)) * static_cast<i64>(bits / 8));
}

void translate_table(Draft& d) {
  for (unsigned i = 0; i < d.plan.access_count; ++i) d.beyond[i] = d.gpr(kRax) & 0xFF;
}

/// The byte of the region's pristine contents at an address, or 0.
u8 pristine_at(const Draft& d, u64 linear) { return in_region(linear, 1) ? d.pristine.bytes[linear - kRegion] : u8{0}; }

u64 repeat_count(Dice& dice) {
  const u32 r = dice.below(100);
  if (r < 10) return 0;
  if (r < 50) return 1 + dice.below(8);
  if (r < 88) return 1 + dice.below(40);
  if (r < 92) return 50 + dice.below(400);
  return integer_value(dice) | 0x10000;
}

/// Counts, directions and places of string instructions; a count that is large starts near where it must fault.
void string_instruction(Draft& d) {
  const Instruction& insn = d.insn();
  const Plan& plan = d.plan;
  if (d.dice.coin()) d.c.rflags ^= 0x400;
  const bool down = (d.c.rflags & 0x400) != 0;
  const bool repeats = insn.has(ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE);
  u64 count = 1;
  if (repeats) {
    count = repeat_count(d.dice);
    u64 rcx = count;
    // Bits of RCX above the address size do not count.
    if (insn.z.address_width != 64) {
      count &= low_mask(insn.z.address_width);
      rcx = count | (d.dice.coin() ? d.dice.bits() << insn.z.address_width : 0);
    }
    d.gpr(kRcx) = rcx;
  }
  u64 previous = 0;
  for (unsigned i = 0; i < plan.access_count; ++i) {
    const Access& a = plan.accesses[i];
    AccessShape shape = shape_of_size(a.size);
    shape.writes = a.writes;
    shape.below_4g = a.address_bits != 64;
    shape.kernel = plan.kernel;
    u64 target = string_target(d.dice, count, std::max(a.size, 1U), down, shape);
    // The same place, or one that overlaps.
    const bool overlap = i != 0 && d.dice.percent(30) && count < 512;
    if (overlap) target = previous + (d.dice.coin() ? 0 : static_cast<u64>(d.dice.between(-20, 20)));
    d.want(i, target);
    previous = target;
  }
  const bool scans = plan.access_count == 1 && !plan.accesses[0].writes;
  if (scans && d.dice.coin()) {
    for (unsigned i = 0; i < plan.accesses[0].size; ++i) {
      set_low(d.gpr(kRax), d.gpr(kRax) << 8 | pristine_at(d, previous + plan.accesses[0].size - 1 - i), 64);
    }
  }
}

constexpr RuleRow kRows[] = {
    {ZYDIS_MNEMONIC_DIV, divide},
    {ZYDIS_MNEMONIC_IDIV, divide},
    {ZYDIS_MNEMONIC_CMPXCHG, compare_exchange},
    {ZYDIS_MNEMONIC_CMPXCHG8B, compare_exchange_pair},
    {ZYDIS_MNEMONIC_CMPXCHG16B, compare_exchange_pair},
    {ZYDIS_MNEMONIC_ROL, count_in_cl},
    {ZYDIS_MNEMONIC_ROR, count_in_cl},
    {ZYDIS_MNEMONIC_RCL, count_in_cl},
    {ZYDIS_MNEMONIC_RCR, count_in_cl},
    {ZYDIS_MNEMONIC_SHL, count_in_cl},
    {ZYDIS_MNEMONIC_SHR, count_in_cl},
    {ZYDIS_MNEMONIC_SAR, count_in_cl},
    {ZYDIS_MNEMONIC_SALC, count_in_cl},
    {ZYDIS_MNEMONIC_SHLD, count_in_cl},
    {ZYDIS_MNEMONIC_SHRD, count_in_cl},
    {ZYDIS_MNEMONIC_BT, bit_number},
    {ZYDIS_MNEMONIC_BTS, bit_number},
    {ZYDIS_MNEMONIC_BTR, bit_number},
    {ZYDIS_MNEMONIC_BTC, bit_number},
    {ZYDIS_MNEMONIC_XLAT, translate_table},
};

constexpr ZydisMnemonic kStrings[] = {
    ZYDIS_MNEMONIC_MOVSB, ZYDIS_MNEMONIC_MOVSW, ZYDIS_MNEMONIC_MOVSD, ZYDIS_MNEMONIC_MOVSQ, ZYDIS_MNEMONIC_STOSB,
    ZYDIS_MNEMONIC_STOSW, ZYDIS_MNEMONIC_STOSD, ZYDIS_MNEMONIC_STOSQ, ZYDIS_MNEMONIC_LODSB, ZYDIS_MNEMONIC_LODSW,
    ZYDIS_MNEMONIC_LODSD, ZYDIS_MNEMONIC_LODSQ, ZYDIS_MNEMONIC_CMPSB, ZYDIS_MNEMONIC_CMPSW, ZYDIS_MNEMONIC_CMPSD,
    ZYDIS_MNEMONIC_CMPSQ, ZYDIS_MNEMONIC_SCASB, ZYDIS_MNEMONIC_SCASW, ZYDIS_MNEMONIC_SCASD, ZYDIS_MNEMONIC_SCASQ,
    ZYDIS_MNEMONIC_INSB,  ZYDIS_MNEMONIC_INSW,  ZYDIS_MNEMONIC_INSD,  ZYDIS_MNEMONIC_OUTSB, ZYDIS_MNEMONIC_OUTSW,
    ZYDIS_MNEMONIC_OUTSD,
};

/// MOVSD and CMPSD are also SSE2 instructions.
void string_or_vector(Draft& d) {
  const ZydisInstructionCategory category = d.insn().z.meta.category;
  if (category == ZYDIS_CATEGORY_STRINGOP || category == ZYDIS_CATEGORY_IOSTRINGOP) string_instruction(d);
}

}  // namespace

std::span<const RuleRow> integer_rules() {
  static const auto rows = [] {
    std::vector<RuleRow> all(std::begin(kRows), std::end(kRows));
    for (const ZydisMnemonic mnemonic : kStrings) all.push_back({mnemonic, string_or_vector});
    return all;
  }();
  return rows;
}

}  // namespace bhvm::oracle
