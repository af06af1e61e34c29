// Going from block to block, and out of the dispatch.
//
// A jump inside the page goes through its link alone: the page being executed is fixed until a transfer to another page
// or a flush (ARCHITECTURE.md, fetch page), so no translation is asked. A jump to another page also asks the fetch TLB,
// and takes the link only if the translation leads to the page the link's block was decoded from. Whatever does not fit
// leaves to Cpu::run(), which does it the long way and mends the link.
#pragma once

#include <type_traits>

#include "cpu/block_builder.h"
#include "cpu/code_cache.h"
#include "cpu/handler.h"

namespace bhvm {

/// Leaves towards a jump's target, when the budget has already paid for the block to which the op's link leads; the
/// link wants to lead there.
BHVM_HANDLER(leave_linked);
BHVM_HANDLER(leave_linked_jump);
BHVM_HANDLER(leave_linked_compare);
template <class Kind>
inline constexpr Handler leave_linked_of = leave_linked;
template <>
inline constexpr Handler leave_linked_of<JumpOp> = leave_linked_jump;
template <>
inline constexpr Handler leave_linked_of<CompareOp> = leave_linked_compare;
template <>
inline constexpr Handler leave_linked_of<CompareNumberOp> = leave_linked_compare;
/// Go where the link of a jump or a call to another page leads, which is not noted, if the budget paid for it and the
/// fetch TLB leads there too, and note it; else they leave.
BHVM_HANDLER(go_across_unnoted);
BHVM_HANDLER(call_unnoted);
BHVM_HANDLER(call_unnoted_small);
template <>
inline constexpr Handler leave_linked_of<AcrossOp> = go_across_unnoted;
template <class Kind>
inline constexpr Handler call_unnoted_of = call_unnoted;
template <>
inline constexpr Handler call_unnoted_of<CallOp> = call_unnoted_small;
/// Leaves towards cpu.s.rip, already set; the jump cache wants to know.
BHVM_HANDLER(leave_indirect);
/// First op of a block that was killed: leaves before anything of it has run.
BHVM_HANDLER(leave_dead_block);
/// First op of a straddling block: goes on when the fetch TLB knows the second page and the bytes there are the ones
/// that were decoded, and leaves before anything has run when not.
BHVM_HANDLER(check_second_page);
/// Leaves towards page_base + disp, without a link (blocks of one instruction, which run alone).
BHVM_HANDLER(leave_unlinked);
/// The same; the address is truncated to 32 bits (imm is the mask).
BHVM_HANDLER(leave_unlinked_masked);

/// Gives the op a link, which leads nowhere yet.
inline void make_linked(Op& op) {
  op.link = &unlinked_block;
  op.scale |= Op::kLinked;
}
/// Other kinds of op that have a link have it and their target where an Op has them.
static_assert(offsetof(Op, link) == offsetof(CallOp, link) && offsetof(Op, link) == offsetof(AcrossOp, link) &&
              offsetof(Op, disp) == offsetof(CallOp, disp) && offsetof(Op, disp) == offsetof(AcrossOp, disp));
BHVM_INLINE const Block* link_of(const Op* op) { return op->link; }

/// What a call or an indirect jump of this kind notes.
template <class Kind>
BHVM_INLINE TransferData& data_behind(const Op* op) {
  return *reinterpret_cast<TransferData*>(const_cast<Op*>(behind<Kind>(op)));
}

/// Does the link of an op of this kind say beforehand what it takes?
template <class Kind>
inline constexpr bool kInPageOp = std::is_base_of_v<InPageOp, Kind>;

/// Takes the link of a jump inside the page, but for what a conditional one gets back.
#define BHVM_JUMP_IN_PAGE                                                \
  do {                                                                   \
    const Op* bhvm_target;                                               \
    if constexpr (kInPageOp<OpType>) {                                   \
      bhvm_target = as<InPageOp>(op)->target;                            \
      budget += as<InPageOp>(op)->change;                                \
    } else {                                                             \
      bhvm_target = link_of(op)->ops();                                  \
      budget -= static_cast<i64>(link_of(op)->count);                    \
    }                                                                    \
    if (BHVM_UNLIKELY(budget < 0)) BHVM_BECOME(leave_linked_of<OpType>); \
    BHVM_CONTINUE(bhvm_target);                                          \
  } while (0)
/// What a conditional jump that is taken gets back for the rest of its block.
#define BHVM_GIVE_BACK_REST                                           \
  do {                                                                \
    if constexpr (!kInPageOp<OpType>) budget += as<OpType>(op)->rest; \
  } while (0)

/// Does the fetch TLB lead from the linear address `target` to the page of `block`?
BHVM_INLINE bool fetch_leads_to(const Cpu& cpu, u64 target, const Block* block) {
  u64 offset = fetch_tlb_index(target) * sizeof(FastFetchEntry);
  settle(offset);
  const auto& entry = *reinterpret_cast<const FastFetchEntry*>(reinterpret_cast<const u8*>(&cpu.fetch_tlb[0]) + offset);
  return entry.tag == fast_tag(target) && entry.page == block->page().value;
}

/// Did somebody note that the linear address `target` leads where it wants to go, under a number that still stands?
BHVM_INLINE bool still_leads(const Cpu& cpu, u64 target, u64 noted_target, u32 noted_generation) {
  return noted_target == target && cpu.fetch_generation->is(noted_generation);
}

/// Where a direct jump or call leads.
BHVM_INLINE u64 direct_target(const Cpu& cpu, const auto* op, bool wide) {
  const u64 target = cpu.page_base + static_cast<u64>(static_cast<i64>(op->disp));
  return wide ? target : target & 0xFFFFFFFF;
}

/// Moves on to another page, whose block is `block`.
BHVM_INLINE void enter_page(Cpu& cpu, FastData fast, u64 target, const Block* block) {
  cpu.page_base = target & fast.page_mask;
  cpu.page_number = block->page_number;
}

/// Does `op`'s link, `block`, lead where the linear address `target` does? Where that may be noted: is it?
template <class Kind>
BHVM_INLINE bool link_leads_to(const Cpu& cpu, const Op* op, u64 target, const Block* block) {
  if constexpr (std::is_same_v<Kind, AcrossOp>) {
    return still_leads(cpu, target, as<AcrossOp>(op)->to, as<AcrossOp>(op)->to_generation);
  } else {
    return fetch_leads_to(cpu, target, block);
  }
}

/// Takes the link of a jump to another page; `target` is its linear address.
#define BHVM_JUMP_ACROSS(target)                                                                 \
  do {                                                                                           \
    const Block* const bhvm_block = link_of(op);                                                 \
    const u64 bhvm_target = (target);                                                            \
    budget -= static_cast<i64>(bhvm_block->count);                                               \
    if (BHVM_UNLIKELY(budget < 0 || !link_leads_to<OpType>(cpu, op, bhvm_target, bhvm_block))) { \
      BHVM_BECOME(leave_linked_of<OpType>);                                                      \
    }                                                                                            \
    enter_page(cpu, fast, bhvm_target, bhvm_block);                                              \
    BHVM_CONTINUE(bhvm_block->ops());                                                            \
  } while (0)

/// What the jump cache has where the linear address `target` belongs: any block of the current mode.
BHVM_INLINE const Block* jump_cache_at(const Cpu& cpu, u64 target) {
  return reinterpret_cast<const Block*>(cpu.code_arena + cpu.jump_cache[jump_cache_index(target)]);
}

/// Is `block` what `target` leads to, by the fetch TLB? So `target` is canonical, too.
BHVM_INLINE bool leads_to(const Cpu& cpu, u64 target, const Block* block) {
  return block->start == (target & kPageOffsetMask) && fetch_leads_to(cpu, target, block);
}

/// Goes to `block`, to which the linear address `target` leads.
#define BHVM_ENTER_CACHED(target, block)             \
  do {                                               \
    const u64 bhvm_target = (target);                \
    const Block* const bhvm_block = (block);         \
    budget -= static_cast<i64>(bhvm_block->count);   \
    if (BHVM_UNLIKELY(budget < 0)) {                 \
      budget += static_cast<i64>(bhvm_block->count); \
      cpu.s.rip = bhvm_target;                       \
      BHVM_BECOME(leave_indirect);                   \
    }                                                \
    enter_page(cpu, fast, bhvm_target, bhvm_block);  \
    BHVM_CONTINUE(bhvm_block->ops());                \
  } while (0)

/// Goes to a linear address known only now, through the jump cache. The caller has checked that it is canonical.
#define BHVM_JUMP_INDIRECT(target)                                                                 \
  do {                                                                                             \
    const u64 bhvm_to = (target);                                                                  \
    const Block* const bhvm_cached = jump_cache_at(cpu, bhvm_to);                                  \
    if (BHVM_LIKELY(leads_to(cpu, bhvm_to, bhvm_cached))) BHVM_ENTER_CACHED(bhvm_to, bhvm_cached); \
    cpu.s.rip = bhvm_to;                                                                           \
    BHVM_BECOME(leave_indirect);                                                                   \
  } while (0)

/// Where a direct jump goes, and so which handler it takes.
enum class JumpKind : u8 {
  kInPage,
  kAcross,
  kAlone,  // in a block that runs alone: always leaves
};

/// Kind of a jump to `target`, an offset from the page's start, in a block of this mode.
JumpKind jump_kind(u32 mode, i64 target);

/// Goes on to the block behind this one, in this page or (in 64-bit code) in another.
template <class Onward, class OpType = Op>
BHVM_HANDLER(go_in_page_by) {
  BHVM_JUMP_IN_PAGE;
}
template <class Onward, class OpType = Op>
BHVM_HANDLER(go_across_by) {
  BHVM_JUMP_ACROSS(cpu.page_base + static_cast<u64>(i64{as<OpType>(op)->disp}));
}
template <>
BHVM_HANDLER(go_in_page_by<ByJump>);
template <>
BHVM_HANDLER(go_across_by<ByJump>);
inline constexpr Handler go_in_page = go_in_page_by<ByJump>;
inline constexpr Handler go_across = go_across_by<ByJump>;

/// Goes on behind the block's last instruction, at this page offset (at least the page's size: in the next page).
void emit_fall_through(BlockBuilder& block, u64 page_offset);

}  // namespace bhvm
