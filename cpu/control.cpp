#include "cpu/control.h"

#include <algorithm>

#include "base/check.h"
#include "base/planted_fault.h"
#include "cpu/string_rounds.h"

namespace bhvm {
namespace {

/// Brings what the dispatch keeps elsewhere back into the state; `retired` instructions of the run are done.
void synchronise(Cpu& cpu, i64 unspent) {
  cpu.s.instructions = cpu.limit - static_cast<u64>(unspent);
  cpu.s.fetch_linear = (cpu.page_base + (cpu.code64() ? 0 : cpu.s.segments[kCs].base)) & kPageMask;
  cpu.s.fetch_physical = u64{cpu.page_number} << kPageShift;
}

u64 rip_mask(const Cpu& cpu) { return cpu.code64() ? ~u64{0} : 0xFFFFFFFF; }

/// To `target`, an offset from the page's start.
void leave_to_link(Cpu& cpu, const Op* op, i64 budget, i32 target) {
  synchronise(cpu, budget + static_cast<i64>(link_of(op)->count));
  cpu.s.rip = (cpu.page_base + static_cast<u64>(i64{target})) & rip_mask(cpu);
  cpu.link = {.link = &const_cast<Op*>(op)->link};
  cpu.leave = Leave::kJump;
}

/// The same of a jump inside the page, which gets back `rest` when it is taken.
void leave_to_link_in_page(Cpu& cpu, const Op* op, i64 budget, i32 target, u32 rest) {
  InPageOp* const jump = const_cast<InPageOp*>(as<InPageOp>(op));
  synchronise(cpu, budget + static_cast<i64>(Block::of_first(jump->target)->count));
  cpu.s.rip = (cpu.page_base + static_cast<u64>(i64{target})) & rip_mask(cpu);
  cpu.link = {.in_page = jump, .rest = rest};
  cpu.leave = Leave::kJump;
}

/// Those of a small op.
const OpDetails& details_of(const Cpu& cpu, const Op* op) {
  const Block* const block = cpu.code->arena().block_of(op);
  const auto at = static_cast<std::size_t>(reinterpret_cast<const u8*>(op) - block->at_slot(0)) / Block::kSlot;
  const OpDetails* const found = std::find_if(block->details_begin(), block->details_end(),
                                              [&](const OpDetails& details) { return details.at == at; });
  BHVM_CHECK(found != block->details_end(), "an op that can fault has no details");
  return *found;
}

void leave_fault_at(Cpu& cpu, i64 budget, u64 page_offset, i64 rest, bool stack_segment) {
  synchronise(cpu, budget + rest + 1);
  cpu.s.rip = (cpu.page_base + page_offset) & rip_mask(cpu);
  const bool missed = planted(PlantedFault::kStackFaultVector);
  if (cpu.fault.non_canonical && stack_segment && !missed) cpu.fault.vector = vector::kStackFault;
  cpu.link = {};
  cpu.leave = Leave::kFault;
}

}  // namespace

BHVM_HANDLER(leave_linked) {
  leave_to_link(cpu, op, budget, op->disp);
  BHVM_LEAVE;
}
BHVM_HANDLER(leave_linked_jump) {
  leave_to_link_in_page(cpu, op, budget, as<JumpOp>(op)->disp, 0);
  BHVM_LEAVE;
}
BHVM_HANDLER(leave_linked_compare) {
  const OpDetails& details = details_of(cpu, op);
  leave_to_link_in_page(cpu, op, budget, static_cast<i32>(details.page_offset), details.rest);
  BHVM_LEAVE;
}

namespace {

/// `to` and `generation` are where the op notes that its link leads there. False, and void, when it does not.
bool note_link(Cpu& cpu, const Op* op, i64 budget, u64 target, u64& to, u32& generation) {
  generation = FetchGeneration::kNever;
  const Block* const block = link_of(op);
  if (budget < 0 || !fetch_leads_to(cpu, target, block)) return false;
  to = target;
  generation = cpu.fetch_generation->note();
  enter_page(cpu, cpu.fast, target, block);
  return true;
}

template <class Kind>
bool note_call(Cpu& cpu, const Op* op, i64 budget) {
  TransferData& data = data_behind<Kind>(op);
  return note_link(cpu, op, budget, direct_target(cpu, op, true), data.to, data.to_generation);
}

}  // namespace

BHVM_HANDLER(go_across_unnoted) {
  AcrossOp& across = const_cast<AcrossOp&>(*as<AcrossOp>(op));
  if (!note_link(cpu, op, budget, direct_target(cpu, op, true), across.to, across.to_generation)) {
    BHVM_BECOME(leave_linked);
  }
  BHVM_CONTINUE(link_of(op)->ops());
}
BHVM_HANDLER(call_unnoted) {
  if (!note_call<Op>(cpu, op, budget)) BHVM_BECOME(leave_linked);
  BHVM_CONTINUE(link_of(op)->ops());
}
BHVM_HANDLER(call_unnoted_small) {
  if (!note_call<CallOp>(cpu, op, budget)) BHVM_BECOME(leave_linked);
  BHVM_CONTINUE(link_of(op)->ops());
}

BHVM_HANDLER(leave_indirect) {
  synchronise(cpu, budget);
  cpu.link = {};
  cpu.leave = Leave::kJump;
  BHVM_LEAVE;
}

BHVM_HANDLER(leave_unlinked) {
  synchronise(cpu, budget);
  cpu.s.rip = (cpu.page_base + static_cast<u64>(static_cast<i64>(op->disp))) & rip_mask(cpu);
  cpu.link = {};
  cpu.leave = Leave::kJump;
  BHVM_LEAVE;
}

BHVM_HANDLER(leave_unlinked_masked) {
  synchronise(cpu, budget);
  cpu.s.rip = (cpu.page_base + static_cast<u64>(static_cast<i64>(op->disp))) & static_cast<u64>(op->imm);
  cpu.link = {};
  cpu.leave = Leave::kJump;
  BHVM_LEAVE;
}

BHVM_HANDLER(leave_dead_block) {
  const Block* const block = Block::of_first(op);
  synchronise(cpu, budget + block->count);
  cpu.s.rip = (cpu.page_base + block->first_byte()) & rip_mask(cpu);
  cpu.link = {};
  cpu.leave = Leave::kJump;
  BHVM_LEAVE;
}

namespace {

/// Is the page behind this one in the fetch TLB, with the bytes that the block was decoded from? If so, it is noted.
[[gnu::noinline]] bool second_page_holds(Cpu& cpu, Block* block) {
  const u64 next = (cpu.page_base + kPageSize) & rip_mask(cpu);
  const u64 physical = cpu.mmu.fetch_hit(next, cpu.user != 0);
  if (physical == ~u64{0} || !cpu.code->watch_end_of(block, {physical})) return false;
  block->second_page().page_base = cpu.page_base;
  block->second_page().generation = cpu.fetch_generation->note();
  return true;
}

}  // namespace

BHVM_HANDLER(check_second_page) {
  Block* const block = const_cast<Block*>(Block::of_first(op));
  const SecondPage& second = block->second_page();
  if (BHVM_UNLIKELY(!still_leads(cpu, cpu.page_base, second.page_base, second.generation))) {
    if (!second_page_holds(cpu, block)) BHVM_BECOME(leave_dead_block);
  }
  BHVM_NEXT;
}

BHVM_HANDLER(leave_for_another_round) {
  synchronise(cpu, budget + op->rest);
  cpu.s.rip = (cpu.page_base + op->page_offset) & rip_mask(cpu);
  cpu.link = {};
  cpu.leave = Leave::kJump;
  BHVM_LEAVE;
}

BHVM_HANDLER(leave_fault) {
  leave_fault_at(cpu, budget, op->page_offset, op->rest, (op->scale & Op::kStackSegment) != 0);
  BHVM_LEAVE;
}
BHVM_HANDLER(leave_fault_of_small) {
  const OpDetails& details = details_of(cpu, op);
  leave_fault_at(cpu, budget, details.page_offset, details.rest, details.stack_segment != 0);
  BHVM_LEAVE;
}

JumpKind jump_kind(u32 mode, i64 target) {
  if ((mode & mode::kSingle) != 0) return JumpKind::kAlone;
  return target >= 0 && target < static_cast<i64>(kPageSize) ? JumpKind::kInPage : JumpKind::kAcross;
}

template <>
BHVM_HANDLER(go_in_page_by<ByJump>) {
  BHVM_JUMP_IN_PAGE;
}

template <>
BHVM_HANDLER(go_across_by<ByJump>) {
  BHVM_JUMP_ACROSS(cpu.page_base + static_cast<u64>(static_cast<i64>(op->disp)));
}

namespace {

BHVM_HANDLER(go_across32) {
  BHVM_JUMP_ACROSS((cpu.page_base + static_cast<u64>(static_cast<i64>(op->disp))) & 0xFFFFFFFF);
}

}  // namespace

void emit_fall_through(BlockBuilder& block, u64 page_offset) {
  Handler handler = nullptr;
  switch (jump_kind(block.mode(), static_cast<i64>(page_offset))) {
    case JumpKind::kInPage:
      handler = go_in_page;
      break;
    case JumpKind::kAcross:
      handler = (block.mode() & mode::kCode64) != 0 ? go_across : go_across32;
      break;
    case JumpKind::kAlone:
      handler = leave_unlinked;
      break;
  }
  Op& op = block.emit(handler);
  make_linked(op);
  op.disp = static_cast<i32>(page_offset);
}

}  // namespace bhvm
