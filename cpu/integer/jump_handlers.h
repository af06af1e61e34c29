// The handlers of jumps, calls and returns: cpu/integer/jumps.cpp chooses among them, cpu/joined_handlers.h lets other
// ops run straight into them.
#pragma once

#include "cpu/control.h"
#include "cpu/integer/alu.h"
#include "cpu/integer/conditions.h"
#include "cpu/integer/stack_access.h"

namespace bhvm::integer {

// Unconditional.

/// Takes op's link, by the kind of jump.
#define BHVM_JUMP_DIRECT(kind, wide)                                \
  do {                                                              \
    if constexpr ((kind) == JumpKind::kInPage) {                    \
      BHVM_JUMP_IN_PAGE;                                            \
    } else if constexpr ((kind) == JumpKind::kAcross) {             \
      BHVM_JUMP_ACROSS(direct_target(cpu, as<OpType>(op), (wide))); \
    } else {                                                        \
      BHVM_BECOME(leave_unlinked);                                  \
    }                                                               \
  } while (0)

template <JumpKind kind, bool wide, class Onward = ByJump, class OpType = Op>
BHVM_HANDLER(jump) {
  BHVM_JUMP_DIRECT(kind, wide);
}

/// An indirect target: refused when it is not canonical, before anything changes.
template <bool wide>
BHVM_INLINE bool acceptable(Cpu& cpu, u64& target) {
  if constexpr (wide) {
    if (BHVM_UNLIKELY(!cpu.is_canonical(target))) return cpu.raise(vector::kGeneralProtection);
  } else {
    target &= 0xFFFFFFFF;
  }
  return true;
}

#define BHVM_GO_INDIRECT(target, alone) \
  do {                                  \
    if constexpr (alone) {              \
      cpu.s.rip = (target);             \
      BHVM_BECOME(leave_indirect);      \
    } else {                            \
      BHVM_JUMP_INDIRECT(target);       \
    }                                   \
  } while (0)

/// The hot instance of an indirect transfer: known to the jump cache (whose addresses are all canonical), all memory
/// through the fast TLB, 64-bit code. Anything else is handed to the kSlow twin before anything has changed.
template <bool wide, bool alone, Through through>
inline constexpr bool kHot = wide && !alone && through == Through::kTlb;

/// Notes that the link of `op` is the block at `target` now.
BHVM_INLINE void note_target(const Cpu& cpu, TransferData& data, u64 target) {
  data.to = target;
  data.to_generation = cpu.fetch_generation->note();
}

/// The block at `target`, where the indirect transfer `op` leads: one of the last two that it led to, which are known
/// before the target is, or what the jump cache has; nullptr when it is none of them.
BHVM_INLINE const Block* known_target(const Cpu& cpu, const Op* op, u64 target, TransferData& data,
                                      const Block*& older_target) {
  const Block* const newest = link_of(op);
  if (BHVM_LIKELY(still_leads(cpu, target, data.to, data.to_generation))) return newest;
  const Block* block = newest;
  if (!leads_to(cpu, target, newest)) {
    block = older_target;
    if (!leads_to(cpu, target, block)) {
      block = jump_cache_at(cpu, target);
      if (!leads_to(cpu, target, block)) return nullptr;
    }
    older_target = newest;
    const_cast<Op*>(op)->link = block;
  }
  note_target(cpu, data, target);
  return block;
}

template <bool wide, bool memory, bool alone, Through through = Through::kTlb, class Onward = ByJump>
BHVM_HANDLER(jump_indirect) {
  using T = std::conditional_t<wide, u64, u32>;
  T value;
  if constexpr (memory) {
    BHVM_ACCESS(load_by<through>(cpu, fast, address_of(cpu, op), value),
                jump_indirect<wide, memory, alone, Through::kSlow>);
  } else {
    value = operand<T>(cpu, op->src);
  }
  u64 target = value;
  if constexpr (kHot<wide, alone, through>) {
    TransferData& data = data_behind<Op>(op);
    const Block* const block = known_target(cpu, op, target, data, data.behind);
    if (BHVM_UNLIKELY(block == nullptr)) BHVM_BECOME((jump_indirect<wide, memory, alone, Through::kSlow>));
    BHVM_ENTER_CACHED(target, block);
  } else {
    if (!acceptable<wide>(cpu, target)) BHVM_FAULT;
    BHVM_GO_INDIRECT(target, alone);
  }
}

// Conditional.

template <Condition condition, JumpKind kind, bool wide, class NotTaken = ByJump, class OpType = Op>
BHVM_HANDLER(jump_if) {
  if (holds<condition>(cpu.flags)) {
    using Onward [[maybe_unused]] = typename NotTaken::IfTaken;
    BHVM_GIVE_BACK_REST;
    BHVM_JUMP_DIRECT(kind, wide);
  }
  using Onward [[maybe_unused]] = NotTaken;
  BHVM_NEXT;
}

// Fused comparison and conditional jump. The flags are stored on the way out; on the way on only if
// somebody behind reads them.

struct FuseCmp {
  template <Condition condition, class T>
  BHVM_INLINE static bool test(T a, T b) {
    return holds_after_compare<condition, T>(a, b);
  }
  using Alu = Cmp;
};
struct FuseTest {
  template <Condition condition, class T>
  BHVM_INLINE static bool test(T a, T b) {
    return holds_after_logic<condition, T>(a & b);
  }
  using Alu = Test;
};

template <Condition condition, class Fuse, class T, bool immediate_operand, bool flags_behind,
          JumpKind kind = JumpKind::kInPage, class NotTaken = ByJump, class OpType = Op>
BHVM_HANDLER(fused) {
  const auto* const compare = as<OpType>(op);
  const T a = operand<T>(cpu, compare->dst);
  T b;
  if constexpr (immediate_operand) {
    b = static_cast<T>(compared_number(compare));
  } else {
    b = operand<T>(cpu, compare->src);
  }
  if (Fuse::template test<condition, T>(a, b)) {
    using Onward [[maybe_unused]] = typename NotTaken::IfTaken;
    Fuse::Alu::template apply<T, true>(a, b, cpu.flags);
    BHVM_GIVE_BACK_REST;
    BHVM_JUMP_DIRECT(kind, true);
  }
  if constexpr (flags_behind) Fuse::Alu::template apply<T, true>(a, b, cpu.flags);
  using Onward [[maybe_unused]] = NotTaken;
  BHVM_NEXT;
}

// CALL and RET. `dst` is the return address as an offset from the page's start.

/// A call is on its way: its return asks here first.
BHVM_INLINE void expect_return(Cpu& cpu, TransferData& data) {
  cpu.return_top = (cpu.return_top + 1) % kReturnDepth;
  cpu.returns[cpu.return_top] = &data;
}

template <class Stack>
BHVM_INLINE bool store_return_address(Cpu& cpu, u16 return_offset) {
  using T = std::conditional_t<Stack::kWide, u64, u32>;
  return Stack::template write<T>(cpu, -static_cast<i64>(sizeof(T)), static_cast<T>(cpu.page_base + return_offset));
}
/// The same for the hot instances: false when the fast TLB does not know the page.
BHVM_INLINE bool store_return_address_fast(Cpu& cpu, FastData fast, u16 return_offset) {
  return store_by<Through::kTlb>(cpu, fast, cpu.s.gpr[kRsp] - 8, cpu.page_base + return_offset);
}

template <class Stack, JumpKind kind, Through through = Through::kTlb, class Onward = ByJump, class OpType = Op>
BHVM_HANDLER(call) {
  const u16 return_offset = as<OpType>(op)->dst;
  if constexpr (kHot<Stack::kWide, false, through>) {
    if (BHVM_UNLIKELY(!store_return_address_fast(cpu, fast, return_offset))) {
      BHVM_BECOME((call<Stack, kind, Through::kSlow, ByJump, OpType>));
    }
  } else {
    if (!store_return_address<Stack>(cpu, return_offset)) BHVM_FAULT;
  }
  if constexpr (Stack::kWide && kind != JumpKind::kAlone) expect_return(cpu, data_behind<OpType>(op));
  Stack::move(cpu, Stack::kWide ? -8 : -4);
  if constexpr (Stack::kWide && kind == JumpKind::kAcross) {
    const u64 target = direct_target(cpu, as<OpType>(op), true);
    const Block* const block = link_of(op);
    budget -= static_cast<i64>(block->count);
    const TransferData& data = data_behind<OpType>(op);
    if (BHVM_UNLIKELY(budget < 0 || !still_leads(cpu, target, data.to, data.to_generation))) {
      BHVM_BECOME(call_unnoted_of<OpType>);
    }
    enter_page(cpu, fast, target, block);
    BHVM_CONTINUE(block->ops());
  } else {
    BHVM_JUMP_DIRECT(kind, Stack::kWide);
  }
}

template <class Stack, bool memory, bool alone, Through through = Through::kTlb, class Onward = ByJump>
BHVM_HANDLER(call_indirect) {
  using T = std::conditional_t<Stack::kWide, u64, u32>;
  T value;
  if constexpr (memory) {
    BHVM_ACCESS(load_by<through>(cpu, fast, address_of(cpu, op), value),
                call_indirect<Stack, memory, alone, Through::kSlow>);
  } else {
    value = operand<T>(cpu, op->src);
  }
  u64 target = value;
  if constexpr (kHot<Stack::kWide, alone, through>) {
    auto& data = static_cast<IndirectCallData&>(data_behind<Op>(op));
    const Block* const block = known_target(cpu, op, target, data, data.older_target);
    if (BHVM_UNLIKELY(block == nullptr || !store_return_address_fast(cpu, fast, op->dst))) {
      BHVM_BECOME((call_indirect<Stack, memory, alone, Through::kSlow>));
    }
    expect_return(cpu, data);
    Stack::move(cpu, -static_cast<i64>(sizeof(T)));
    BHVM_ENTER_CACHED(target, block);
  } else {
    // As processors do it: the return address is in memory when a non-canonical target faults, but RSP has not moved.
    if (!store_return_address<Stack>(cpu, op->dst)) {
      if constexpr (memory) blame_stack(cpu);
      BHVM_FAULT;
    }
    if (!acceptable<Stack::kWide>(cpu, target)) BHVM_FAULT;
    if constexpr (Stack::kWide && !alone) expect_return(cpu, data_behind<Op>(op));
    Stack::move(cpu, -static_cast<i64>(sizeof(T)));
    BHVM_GO_INDIRECT(target, alone);
  }
}

/// A return that is not noted: as `ret`, whose return address is in the fast TLB.
BHVM_HANDLER(return_unnoted);
BHVM_HANDLER(return_unnoted_small);
template <class Kind>
inline constexpr Handler return_unnoted_of = return_unnoted;
template <>
inline constexpr Handler return_unnoted_of<ReturnOp> = return_unnoted_small;

/// `imm`: bytes that RSP moves by: the return address, and what is released behind it.
template <class Stack, bool alone, Through through = Through::kTlb, class Onward = ByJump, class OpType = Op>
BHVM_HANDLER(ret) {
  using T = std::conditional_t<Stack::kWide, u64, u32>;
  T value;
  u64 linear;
  if (!Stack::place(cpu, 0, sizeof(T), false, linear)) BHVM_FAULT;
  BHVM_ACCESS(load_by<through>(cpu, fast, linear, value), ret<Stack, alone, Through::kSlow, ByJump, OpType>);
  u64 target = value;
  if constexpr (kHot<Stack::kWide, alone, through>) {
    const TransferData& call = *cpu.returns[cpu.return_top];
    const Block* const block = call.behind;
    if (BHVM_UNLIKELY(!still_leads(cpu, target, call.behind_at, call.behind_generation))) {
      BHVM_BECOME(return_unnoted_of<OpType>);
    }
    cpu.return_top = (cpu.return_top - 1) % kReturnDepth;
    Stack::move(cpu, as<OpType>(op)->imm);
    BHVM_ENTER_CACHED(target, block);
  } else {
    if (!acceptable<Stack::kWide>(cpu, target)) BHVM_FAULT;
    if constexpr (Stack::kWide && !alone) cpu.return_top = (cpu.return_top - 1) % kReturnDepth;
    Stack::move(cpu, as<OpType>(op)->imm);
    BHVM_GO_INDIRECT(target, alone);
  }
}

}  // namespace bhvm::integer
