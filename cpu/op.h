// Op: one decoded guest operation, and how operations are dispatched.
//
// A guest instruction becomes one op, or a few (an address computed beforehand, then the operation). Ops stand one
// behind the other in a block; each carries the address of its handler, but for those that share one with the ops
// before them (cpu/joined_ops.h), and a handler ends by calling the next op's handler as a tail call. With clang's
// preserve_none convention the CPU, the op and the budget stay in host registers throughout. Compilers without
// guaranteed tail calls run the same handlers from a loop: a handler returns the op to go on with.
//
// A handler is written with the macros below and has four names in scope: `cpu`, `op`, `budget`, and `fast`, which is
// cpu.fast in a register: whoever changes that inside a block takes it anew.
#pragma once

#include <cstddef>

#include "base/types.h"

#if BHVM_TAIL_CALLS && defined(__clang__) && __has_attribute(musttail) && __has_attribute(preserve_none)
#define BHVM_DISPATCH_BY_TAIL_CALL 1
#else
#define BHVM_DISPATCH_BY_TAIL_CALL 0
#endif

namespace bhvm {

struct Cpu;
struct Op;
struct Block;
struct FastEntry;
struct InPageOp;

/// cpu.fast, and with it the mask that makes tags (data_tag()): in a register it takes a third of the bytes in each
/// handler.
struct FastData {
  FastEntry* entries;
  u64 page_mask = kPageMask;

  FastData(FastEntry* fast) : entries(fast) {}
};

#if BHVM_DISPATCH_BY_TAIL_CALL
// The order is that of preserve_none's registers: R12 to R15 and RDI. As bases of addresses the last two take the
// fewest bytes in the host's instructions.
using Handler = void(__attribute__((preserve_none)) *)(FastData fast, i64 budget, Cpu& cpu, const Op* op);
/// Defines or declares a handler.
#define BHVM_HANDLER(...)                                                                                      \
  __attribute__((preserve_none)) void __VA_ARGS__([[maybe_unused]] FastData fast, [[maybe_unused]] i64 budget, \
                                                  [[maybe_unused]] Cpu& cpu, [[maybe_unused]] const Op* op)
/// Goes on with the op at `target` (a const Op*), in the way that `Onward` says: ByJump, or the template parameter of
/// this name.
#define BHVM_CONTINUE(target)                                                                              \
  do {                                                                                                     \
    const Op* const bhvm_next = (target);                                                                  \
    if constexpr (Onward::kStraight != nullptr) {                                                          \
      [[clang::always_inline]] [[clang::musttail]] return Onward::kStraight(fast, budget, cpu, bhvm_next); \
    }                                                                                                      \
    const Handler bhvm_handler = bhvm_next->handler;                                                       \
    BHVM_RECORD(bhvm_handler, Onward::kTaken);                                                             \
    [[clang::musttail]] return bhvm_handler(fast, budget, cpu, bhvm_next);                                 \
  } while (0)
/// Hands this op to another handler.
#define BHVM_BECOME(other) [[clang::musttail]] return other(fast, budget, cpu, op)
/// The same, with a copy of that handler here: one shared by many would be predicted worse (docs/PERFORMANCE.md).
#define BHVM_BECOME_INLINE(other) [[clang::always_inline]] [[clang::musttail]] return other(fast, budget, cpu, op)
/// Leaves the dispatch and returns to Cpu::run().
#define BHVM_LEAVE return
#else
using Handler = const Op* (*)(FastData& fast, i64& budget, Cpu& cpu, const Op* op);
#define BHVM_HANDLER(...)                                                                                         \
  const Op* __VA_ARGS__([[maybe_unused]] FastData& fast, [[maybe_unused]] i64& budget, [[maybe_unused]] Cpu& cpu, \
                        [[maybe_unused]] const Op* op)
#define BHVM_CONTINUE(target)                       \
  do {                                              \
    const Op* const bhvm_next = (target);           \
    if constexpr (Onward::kStraight != nullptr) {   \
      BHVM_BECOME_AT(bhvm_next, Onward::kStraight); \
    }                                               \
    return bhvm_next;                               \
  } while (0)
#define BHVM_BECOME_AT(target, other) return other(fast, budget, cpu, target)
#define BHVM_BECOME(other) return other(fast, budget, cpu, op)
#define BHVM_BECOME_INLINE(other) BHVM_BECOME(other)
#define BHVM_LEAVE return nullptr
#endif

struct ByTakenJump;
/// How a handler goes on: by an indirect jump. Hot handlers take the way as a template parameter.
struct ByJump {
  using IfTaken = ByTakenJump;  // the way of a conditional jump that is taken
  static constexpr bool kTaken = false;
  static constexpr Handler kStraight = nullptr;  // the only handler that can be next, if there is one
};
struct ByTakenJump : ByJump {
  static constexpr bool kTaken = true;
};
/// What BHVM_CONTINUE finds in handlers without such a parameter.
using Onward = ByJump;

#if BHVM_RECORD_DISPATCH
/// Takes down where a dispatch went, and whether a conditional jump was taken there (cpu/dispatch_record.cpp).
void record_dispatch(Handler handler, bool taken);
/// Are ops to stay unjoined (cpu/joined_ops.h), so that it takes down each?
bool record_unjoined();
#define BHVM_RECORD(handler, taken) record_dispatch(handler, taken)
#define BHVM_JOINS !record_unjoined()
#else
#define BHVM_RECORD(handler, taken) static_cast<void>(0)
#define BHVM_JOINS true
#endif

/// Goes on with the next op of the block.
#define BHVM_NEXT BHVM_CONTINUE((next_op<Onward, OpType>(op)))

#define BHVM_LIKELY(x) __builtin_expect(static_cast<bool>(x), 1)
#define BHVM_UNLIKELY(x) __builtin_expect(static_cast<bool>(x), 0)
#define BHVM_INLINE [[gnu::always_inline]] inline
#define BHVM_COLD [[gnu::cold, gnu::noinline]]

/// Has the compiler compute a value here, as a whole: it would take it apart where it is used, and compute parts anew.
template <class T>
BHVM_INLINE void settle(T& value) {
  asm("" : "+r"(value));
}

/// Operand fields hold byte offsets into struct Cpu: general registers (also AH..BH), XMM registers, scratch.
///
/// This is what translators write. Those of what is frequent become smaller ones in a block (cpu/small_ops.h), so ops
/// are of several sizes there; each handler knows that of its own.
struct Op {
  /// In `scale`: the address is relative to SS, so a non-canonical one is #SS, not #GP.
  static constexpr u8 kStackSegment = 0x80;
  /// In `scale`: the op has a link.
  static constexpr u8 kLinked = 0x40;

  Handler handler = nullptr;
  union {
    i64 imm = 0;        // immediate
    const Block* link;  // of jumps: the block where it leads, which is `unlinked_block` at first
  };
  i32 disp = 0;  // displacement; for jumps the target as an offset from the page's start
  u16 dst = 0;
  u16 src = 0;
  u16 base = 0;  // address = [base] + ([index] << scale) + disp
  u16 index = 0;
  u16 page_offset = 0;  // of the instruction's first byte
  u8 scale = 0;         // 0 to 3, with kStackSegment, kLinked
  u8 rest = 0;          // instructions of the block behind this op's own
};
static_assert(sizeof(Op) == 32);

/// The kind of the op of a handler that has no template parameter of this name.
using OpType = Op;

/// An op as the kind that it is.
template <class Kind>
const Kind* as(const Op* op) {
  return reinterpret_cast<const Kind*>(op);
}
/// What stands behind an op of this kind.
template <class Kind>
const Op* behind(const Op* op) {
  return reinterpret_cast<const Op*>(as<Kind>(op) + 1);
}
/// The same in a row of joined ops (cpu/joined_ops.h): but for the first one these have no handler, and begin where it
/// would be.
template <class Kind>
const Op* behind_in_row(const Op* op) {
  return reinterpret_cast<const Op*>(reinterpret_cast<const u8*>(op) + sizeof(Kind) - sizeof(Handler));
}
/// The nth of a row of ops of the same kind.
template <class Kind>
const Kind* nth_in_row(const Kind* op, unsigned n) {
  return reinterpret_cast<const Kind*>(reinterpret_cast<const u8*>(op) + n * (sizeof(Kind) - sizeof(Handler)));
}
template <class Onward, class Kind>
const Op* next_op(const Op* op) {
  return Onward::kStraight != nullptr ? behind_in_row<Kind>(op) : behind<Kind>(op);
}

/// What a call or an indirect jump notes behind its op. A block alone is advice; with an address it is relied on while
/// the number stands. It begins with 0 when the block is built, where an op has its handler.
struct TransferData {
  u64 to = 0;             // the linear address at which the op's link was the block ...
  u32 to_generation = 0;  // ... in the fetch table of this number (softmmu/fast_tlb.h)
  u32 behind_generation = 0;
  u64 behind_at = 0;              // of a call: the same of the return address, whose place in the page it is always ...
  const Block* behind = nullptr;  // ... and the block there; of a jump: where it went before it went to the link
};
static_assert(sizeof(TransferData) <= sizeof(Op));
struct IndirectCallData : TransferData {
  const Block* older_target = nullptr;  // where it went before it went to the link
};
static_assert(sizeof(IndirectCallData) <= 2 * sizeof(Op));

/// What a small op has no room for (cpu/small_ops.h), and nobody needs while all goes well. Those of a block stand at
/// its end, in the order of their ops.
struct OpDetails {
  u32 page_offset : 12;   // as Op::page_offset; of a conditional jump the target
  u32 at : 10;            // where the op is, in slots
  u32 linked : 1;         // as Op::kLinked: for these, larger ops have details, too
  u32 stack_segment : 1;  // as Op::kStackSegment
  u32 in_page : 1;        // an InPageOp
  u32 rest : 7;           // as Op::rest
};
static_assert(sizeof(OpDetails) == 4);

/// What a block of one instruction that crosses into another page knows of that one. It stands where data of an op do.
struct SecondPage {
  u8 bytes[16] = {};   // those that the instruction was decoded from: CodeCache::holds_end_of()
  u64 page_base = 0;   // the linear address of the first page when the page behind it was seen to hold them ...
  u32 generation = 0;  // ... under the fetch table of this number
};
static_assert(sizeof(SecondPage) <= sizeof(Op));

/// A run of ops decoded from one physical page. Lives in the code cache; ops follow the header in memory.
struct Block {
  /// The unit of what stands behind the header, in bytes.
  static constexpr std::size_t kSlot = 8;
  /// As `start`: no page offset.
  static constexpr u16 kNowhere = 0xFFFF;

  u16 count = 0;           // instructions: what the budget pays at entry
  u16 mode = 0;            // the mode key it was decoded under (cpu/mode.h)
  u16 start = 0;           // page offset of the first byte; of a dead block kNowhere, so that nobody finds it
  u16 end = 0;             // page offset behind the last byte (4096 at most); of a dead block of its first byte
  u16 slots = 0;           // of all that follows: ops, data, details
  u8 details = 0;          // how many
  u8 data_slots : 4 = 0;   // behind the ops: the last op's TransferData, a SecondPage
  u8 second_size : 4 = 0;  // of a straddling block: how many bytes it took from the second page, else 0
  u32 page_number = 0;     // of the physical page
  u32 next_in_page = 0;    // lists of the code cache: places in its arena, 0 at the end
  u32 next_in_bucket = 0;

  PhysicalAddress page() const { return {u64{page_number} << kPageShift}; }
  u8* at_slot(std::size_t slot) { return reinterpret_cast<u8*>(this + 1) + slot * kSlot; }
  const u8* at_slot(std::size_t slot) const { return reinterpret_cast<const u8*>(this + 1) + slot * kSlot; }
  const Op* ops() const { return reinterpret_cast<const Op*>(at_slot(0)); }
  /// The block whose first op this is.
  static const Block* of_first(const Op* op) { return reinterpret_cast<const Block*>(op) - 1; }
  const OpDetails* details_begin() const { return details_end() - details; }
  const OpDetails* details_end() const { return reinterpret_cast<const OpDetails*>(at_slot(slots)); }

  /// Invalidated: its first op leaves at once.
  bool dead() const { return start == kNowhere; }
  /// One instruction that crosses into another page: its first op checks the bytes there.
  bool straddles() const { return second_size != 0; }
  /// Behind all other data.
  SecondPage& second_page() { return *reinterpret_cast<SecondPage*>(at_slot(data_end() - sizeof(Op) / kSlot)); }
  const SecondPage& second_page() const { return const_cast<Block*>(this)->second_page(); }
  /// The slot behind the data, where details begin.
  std::size_t data_end() const { return slots - (details * sizeof(OpDetails) + kSlot - 1) / kSlot; }
  u16 first_byte() const { return dead() ? end : start; }
};
static_assert(sizeof(Block) == 24);

}  // namespace bhvm
