#include "oracle/generate/draft.h"

#include <algorithm>
#include <cstring>

namespace bhvm::oracle {
namespace {

constexpr int kRbp = 5;

u64 mask_of(unsigned bits) { return bits == 64 ? ~u64{0} : (u64{1} << bits) - 1; }

bool canonical(u64 address) { return static_cast<u64>(static_cast<i64>(address << 16) >> 16) == address; }

bool is_high_byte(ZydisRegister reg) { return reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH; }

unsigned register_bits(ZydisRegister reg) { return ZydisRegisterGetWidth(ZYDIS_MACHINE_MODE_LONG_64, reg); }

u64 choose_target(Draft& draft, unsigned i) {
  const Access& a = draft.plan.accesses[i];
  if (draft.is_wanted[i]) return draft.wanted[i];
  const bool below_4g = a.address_bits != 64;
  if (a.stack || (a.hidden && a.base == kRbp)) {
    return stack_target(draft.dice, a.writes ? a.size : 0, a.reads ? a.size : 0, !draft.plan.code64);
  }
  AccessShape shape = shape_of_size(a.size);
  shape.writes = a.writes;
  shape.below_4g = below_4g;
  shape.kernel = draft.plan.kernel;
  return data_target(draft.dice, shape, draft.plan.place);
}

/// A segment base for an access to `target`, and what is left for base and index to make up.
u64 take_segment_base(Draft& draft, const Access& a, u64 target, u64 fixed) {
  u64& base = a.segment == 1 ? draft.c.fs_base : draft.c.gs_base;
  u64 chosen = base;
  if (a.base < 0 && a.index < 0)
    chosen = target - fixed;
  else if (a.address_bits == 32)
    chosen = target - (draft.dice.bits() >> 33);
  else if (draft.dice.coin())
    chosen = target - draft.dice.below(1 << 20);
  if (canonical(chosen) && !in_guest_program(chosen)) base = chosen;
  return target - base;
}

class Solver {
 public:
  Solver(Draft& draft, unsigned i) : draft_(draft), access_(draft.plan.accesses[i]), beyond_(draft.beyond[i]) {}

  void lead_to(u64 target) {
    const u64 mask = mask_of(access_.address_bits);
    u64 rest = target;
    const u64 fixed = fixed_part();
    if (access_.segment != 0) rest = take_segment_base(draft_, access_, target, fixed & mask);
    rest -= fixed;
    if (access_.base >= 0 && access_.base == access_.index) {
      set(access_.base, (rest & mask) / (access_.scale + 1));
    } else if (is_free(access_.base)) {
      choose_index();
      set(access_.base, rest - index_part());
    } else if (is_free(access_.index)) {
      if (access_.base >= 0) rest -= draft_.gpr(static_cast<unsigned>(access_.base));
      set(access_.index, (rest & mask) / access_.scale);
    }
  }

 private:
  u64 fixed_part() const {
    const u64 rip = access_.base == kInstructionPointer ? draft_.plan.next : 0;
    // Zydis gives RIP-relative displacements as they stand in the instruction.
    return static_cast<u64>(access_.displacement) + rip + beyond_;
  }
  bool is_free(int reg) const { return reg >= 0 && (draft_.taken >> reg & 1) == 0; }
  u64 index_part() const {
    return access_.index < 0 ? 0 : draft_.gpr(static_cast<unsigned>(access_.index)) * access_.scale;
  }
  void choose_index() {
    if (!is_free(access_.index) || draft_.dice.one_in(3)) return;  // a random one is as good in 64 bits
    draft_.gpr(static_cast<unsigned>(access_.index)) = draft_.dice.below(4096);
  }
  void set(int reg, u64 value) {
    const u64 mask = mask_of(access_.address_bits);
    u64& gpr = draft_.gpr(static_cast<unsigned>(reg));
    value &= mask;
    // What is above a 32-bit address must not matter.
    if (draft_.plan.code64 && access_.address_bits == 32 && draft_.dice.coin()) value |= draft_.dice.bits() << 32;
    if (access_.address_bits == 16) value |= gpr & 0xFFFF0000;
    gpr = value;
    draft_.taken |= u32{1} << reg;
  }

  Draft& draft_;
  const Access& access_;
  u64 beyond_;
};

}  // namespace

void Draft::set_register(ZydisRegister reg, u64 v) {
  const int number = gpr_number(reg);
  if (number < 0) return;
  const unsigned shift = is_high_byte(reg) ? 8 : 0;
  const u64 mask = mask_of(register_bits(reg)) << shift;
  u64& whole = gpr(static_cast<unsigned>(number));
  whole = (whole & ~mask) | (v << shift & mask);
}

u64 Draft::get_register(ZydisRegister reg) const {
  const int number = gpr_number(reg);
  if (number < 0) return 0;
  return c.gpr[number] >> (is_high_byte(reg) ? 8 : 0) & mask_of(register_bits(reg));
}

std::span<u8> Draft::vector_register(ZydisRegister reg) {
  switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_XMM:
      return {c.fx + fx::kXmm + 16 * (reg - ZYDIS_REGISTER_XMM0), 16};
    case ZYDIS_REGCLASS_MMX: {
      const unsigned top = c.fx[fx::kStatus + 1] >> 3 & 7;  // MMX registers are named by place, the image is by stack
      const unsigned at = (static_cast<unsigned>(reg - ZYDIS_REGISTER_MM0) - top) & 7;
      return {c.fx + fx::kRegisters + 16 * at, 8};
    }
    case ZYDIS_REGCLASS_X87:
      return {c.fx + fx::kRegisters + 16 * (reg - ZYDIS_REGISTER_ST0), 10};
    default:
      return {};
  }
}

void Draft::set_stack(unsigned offset, u64 v, unsigned bytes) {
  std::memcpy(stack.data() + offset, &v, bytes);
  stack_bytes = std::max(stack_bytes, offset + bytes);
}

bool Draft::can_patch(u64 linear, std::size_t bytes) const {
  return in_region(linear, bytes) && !is_code(kind_at(linear)) && !is_code(kind_at(linear + bytes - 1));
}

void Draft::patch(u64 linear, std::span<const u8> bytes) {
  if (!can_patch(linear, bytes.size())) return;
  for (std::size_t at = 0; at < bytes.size() && patches < kPatches; ++patches) {
    Patch& p = c.patches[patches];
    p.offset = static_cast<u32>(linear - kRegion + at);
    p.bytes = static_cast<u32>(std::min<std::size_t>(sizeof(p.data), bytes.size() - at));
    std::memcpy(p.data, bytes.data() + at, p.bytes);
    at += p.bytes;
  }
}

u64 effective_address(const Plan& plan, const Case& c, const Access& a, u64 beyond) {
  u64 address = static_cast<u64>(a.displacement) + beyond;
  if (a.base == kInstructionPointer) address += plan.next;
  if (a.base >= 0) address += c.gpr[a.base];
  if (a.index >= 0) address += c.gpr[a.index] * a.scale;
  address &= mask_of(a.address_bits);
  if (a.segment == 1) address += c.fs_base;
  if (a.segment == 2) address += c.gs_base;
  return address;
}

void solve_accesses(Draft& draft) {
  const Plan& plan = draft.plan;
  for (unsigned i = 0; i < plan.access_count; ++i) {
    // With a register that is already spoken for nothing is left to choose.
    Solver(draft, i).lead_to(choose_target(draft, i));
  }
  if (!plan.code64) {
    for (u64& gpr : draft.c.gpr) gpr &= 0xFFFFFFFF;
  }
  for (unsigned i = 0; i < plan.access_count; ++i) {
    draft.went[i] = effective_address(plan, draft.c, plan.accesses[i], draft.beyond[i]);
  }
}

}  // namespace bhvm::oracle
