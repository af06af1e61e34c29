#include "oracle/generate/inputs.h"

#include "oracle/generate/values.h"

namespace bhvm::oracle {
namespace {

constexpr unsigned kRsp = 4;

namespace rflag {
constexpr u64 kStatus = 0x8D5, kTf = 1 << 8, kIf = 1 << 9, kDf = 1 << 10, kNt = 1 << 14, kRf = 1 << 16, kAc = 1 << 18,
              kId = 1 << 21;
}

constexpr u64 pages_of(bool code) {
  u64 pages = 0;
  for (unsigned page = 0; page < kRegionPages; ++page) {
    const PageKind kind = kPageKinds[page];
    const bool is = kind == PageKind::kCode || kind == PageKind::kSupervisorCode || kind == PageKind::kWritableCode;
    if (kind != PageKind::kUnmapped && is == code) pages |= u64{1} << page;
  }
  return pages;
}
constexpr u64 kCodePages = pages_of(true);
constexpr u64 kOtherPages = pages_of(false);
/// Accessed bits of the three entries above the page table (oracle/guest/program.cpp).
constexpr u64 kUpperEntries = u64{7} << 32;

bool is_vector(ZydisRegister reg) {
  const ZydisRegisterClass c = ZydisRegisterGetClass(reg);
  return c == ZYDIS_REGCLASS_XMM || c == ZYDIS_REGCLASS_MMX || c == ZYDIS_REGCLASS_X87;
}

}  // namespace

void Inputs::fill(const Plan& plan, Case& c) {
  start(plan, c);
  if (!plan.main->form->accepted) return;
  Draft draft{plan, c, dice_, pristine_};
  choose_operands(draft);
  if (const Rule rule = rule_of(plan.insn()); rule != nullptr) rule(draft);
  solve_accesses(draft);
  if (const Access* access = plan.explicit_access(); access != nullptr && draft.value_bytes != 0)
    draft.patch(draft.went[access - plan.accesses.data()], std::span(draft.value).first(draft.value_bytes));
  const std::span<const u8> frame = std::span(draft.stack).first(draft.stack_bytes);
  if (draft.stack_is_exact && in_region(c.gpr[kRsp], frame.size()) && !draft.can_patch(c.gpr[kRsp], frame.size()))
    c.gpr[kRsp] = page_linear(18) + 8 * dice_.below(200);
  if (!frame.empty() && (draft.stack_is_exact || !dice_.one_in(16))) draft.patch(c.gpr[kRsp], frame);
}

void Inputs::start(const Plan& plan, Case& c) {
  c = Case{};
  const unsigned registers = plan.code64 ? 16 : 8;
  for (unsigned i = 0; i < registers; ++i) {
    const u64 value = integer_value(dice_);
    c.gpr[i] = plan.code64 ? value : value & 0xFFFFFFFF;
  }
  c.gpr[kRsp] = page_linear(18) + 8 * dice_.below(200);
  c.rip = plan.entry;
  c.rflags = flags(plan);
  if (plan.code64) {
    c.fs_base = dice_.one_in(4) ? 0 : dice_.bits() >> 17;
    c.gs_base = dice_.one_in(4) ? page_linear(7) : kernel_half_address(dice_);
  }
  const FxImage& image = pool_.pick(dice_);
  std::memcpy(c.fx, image.data(), fx::kUsed);
  choose_page_bits(c);
}

u64 Inputs::flags(const Plan& plan) {
  const u64 r = dice_.bits();
  u64 flags = 2 | (r & rflag::kStatus);
  if ((r >> 12 & 3) == 0) flags |= rflag::kDf;
  if ((r >> 14 & 7) == 0) flags |= rflag::kId;
  if (!plan.kernel) flags |= rflag::kIf;
  if (plan.odd_flags) {
    flags |= r & (rflag::kNt | rflag::kRf);
    if (plan.kernel) flags |= r & rflag::kAc;
    if (!plan.kernel && (r >> 17 & 3) == 0) flags &= ~rflag::kIf;
  }
  if (plan.single_step && (r >> 20 & 1) != 0) flags |= rflag::kTf;
  if (plan.alignment_check && (r >> 22 & 3) != 0) flags |= rflag::kAc;
  return flags;
}

void Inputs::choose_page_bits(Case& c) {
  const u64 r = dice_.bits();
  constexpr u64 kUsual = kCodePages | kUpperEntries;
  c.accessed = (r & 7) == 0 ? kUsual & dice_.bits() : kUsual;
  switch (r >> 8 & 3) {
    case 0:
      c.accessed |= kOtherPages;
      c.dirty = kOtherPages;
      break;
    case 1:
      c.accessed |= kOtherPages & dice_.bits();
      c.dirty = kOtherPages & dice_.bits();
      break;
    default:
      break;
  }
}

void Inputs::choose_operands(Draft& draft) {
  const Instruction& insn = draft.insn();
  if (insn.z.meta.isa_ext == ZYDIS_ISA_EXT_X87) choose_x87_stack(draft);
  bool vectors = false;
  for (unsigned i = 0; i < insn.z.operand_count_visible; ++i) {
    if (insn.is_register(i) && is_vector(insn.operand(i).reg.value)) vectors = true;
  }
  if (vectors)
    choose_vector_operands(draft);
  else
    choose_general_operands(draft);
}

/// ST0 and ST1 as most instructions want them: there, with values in a relation.
void Inputs::choose_x87_stack(Draft& draft) {
  if (dice_.one_in(4)) return;
  u8* registers = draft.c.fx + fx::kRegisters;
  fill_values(dice_, ValueKind::kFloat80, {registers, 10});
  fill_related(dice_, ValueKind::kFloat80, {registers, 10}, {registers + 16, 10});
  if (dice_.one_in(4)) return;
  const unsigned top = draft.c.fx[fx::kStatus + 1] >> 3 & 7;
  draft.c.fx[fx::kTags] = static_cast<u8>(draft.c.fx[fx::kTags] | 1U << top | 1U << ((top + 1) & 7));
}

/// The operands of a kind get values in a relation; memory gets what the last operand is due.
void Inputs::choose_vector_operands(Draft& draft) {
  const Instruction& insn = draft.insn();
  std::array<u8, 16> first{};
  std::size_t first_bytes = 0;
  for (unsigned i = 0; i < insn.z.operand_count_visible; ++i) {
    const ZydisDecodedOperand& operand = insn.operand(i);
    const ValueKind kind = value_kind(operand);
    std::span<u8> bytes;
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) {
      bytes = draft.vector_register(operand.reg.value);
    } else if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY && operand.size <= 128) {
      bytes = std::span(draft.value).first(operand.size / 8);
      draft.value_bytes = operand.size / 8;
    }
    if (bytes.empty() || (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && dice_.one_in(6))) continue;
    if (first_bytes == 0)
      fill_values(dice_, kind, bytes);
    else
      fill_related(dice_, kind, std::span(first).first(first_bytes), bytes);
    first_bytes = std::min(bytes.size(), first.size());
    std::memcpy(first.data(), bytes.data(), first_bytes);
  }
}

void Inputs::choose_general_operands(Draft& draft) {
  const Instruction& insn = draft.insn();
  const Access* access = draft.plan.explicit_access();
  if (access != nullptr && access->size <= 16 && access->size != 0) {
    draft.value_bytes = access->size;
    fill_values(dice_, access->kind, std::span(draft.value).first(access->size));
  }
  if (insn.z.operand_count_visible < 2 || !dice_.one_in(4)) return;
  const ZydisDecodedOperand& a = insn.operand(0);
  const ZydisDecodedOperand& b = insn.operand(1);
  if (a.type != ZYDIS_OPERAND_TYPE_REGISTER || gpr_number(a.reg.value) == kNoRegister) return;
  const u64 near = draft.get_register(a.reg.value) + static_cast<u64>(dice_.between(-1, 1));
  if (b.type == ZYDIS_OPERAND_TYPE_REGISTER) draft.set_register(b.reg.value, near);
  if (b.type == ZYDIS_OPERAND_TYPE_MEMORY && draft.value_bytes >= 1 && draft.value_bytes <= 8)
    std::memcpy(draft.value.data(), &near, draft.value_bytes);
}

}  // namespace bhvm::oracle
