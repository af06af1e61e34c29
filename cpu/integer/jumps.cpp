// JMP Jcc JrCXZ LOOPcc, near CALL and RET.
//
// A conditional jump does not end a block: taken, it gives back what the budget paid for the rest and goes through its
// link; not taken, the next op follows. A comparison right before it is fused with it.
#include <cstring>
#include <utility>

#include "cpu/integer/forms.h"
#include "cpu/integer/jump_handlers.h"
#include "cpu/integer/translate.h"
#include "cpu/system/translate.h"
#include "cpu/undefined.h"

namespace bhvm::integer {
namespace {

/// Three instances by kind; [0]: 64-bit code, [1]: other code.
struct DirectForms {
  Handler in_page, across[2], alone;
  Handler choose(JumpKind kind, const Instruction& insn) const {
    if (kind == JumpKind::kInPage) return in_page;
    return kind == JumpKind::kAcross ? across[insn.code64() ? 0 : 1] : alone;
  }
};

/// Offset of a relative target from the page's start; false when the page arithmetic does not hold it.
bool relative_target(BlockBuilder& block, const Instruction& insn, i32& target) {
  block.unlike_others();
  const i64 value = static_cast<i64>(insn.page_offset) + insn.length() + insn.operand(0).imm.value.s;
  target = static_cast<i32>(value);
  return target == value;
}

/// A branch with a 16-bit operand size (which 64-bit code does not have on Intel processors) is not supported.
bool narrow(const Instruction& insn) { return !insn.code64() && insn.z.operand_width == 16; }
BHVM_HANDLER(stop_narrow_branch) {
  cpu.unsupported("the guest ran a near branch with a 16-bit operand size, which bhvm does not have");
  BHVM_FAULT;
}
bool emit_narrow(BlockBuilder& block) {
  block.emit(stop_narrow_branch);
  block.end();
  return true;
}

/// The block at `target`, where the newest call that has not returned went on before or the jump cache knows one;
/// nullptr when they don't. It is noted if that may be the call's return.
const Block* return_target(const Cpu& cpu, u64 target) {
  TransferData& call = *cpu.returns[cpu.return_top];
  const Block* block = call.behind;
  if (!leads_to(cpu, target, block)) {
    block = jump_cache_at(cpu, target);
    if (!leads_to(cpu, target, block)) return nullptr;
  }
  const bool place_in_page = ((target ^ call.behind_at) & kPageOffsetMask) == 0;
  if (place_in_page) {
    call.behind = block;
    call.behind_at = target;
    call.behind_generation = cpu.fetch_generation->note();
  }
  return block;
}

template <class OpType>
BHVM_HANDLER(return_to_other) {
  u64 target;
  const bool known = load_by<Through::kTlb>(cpu, fast, cpu.s.gpr[kRsp], target);
  const Block* const block = known ? return_target(cpu, target) : nullptr;
  if (block == nullptr) BHVM_BECOME((ret<Stack64, false, Through::kSlow, ByJump, OpType>));
  cpu.return_top = (cpu.return_top - 1) % kReturnDepth;
  Stack64::move(cpu, as<OpType>(op)->imm);
  BHVM_ENTER_CACHED(target, block);
}

// Unconditional.

constexpr DirectForms kJump = {jump<JumpKind::kInPage, true>,
                               {jump<JumpKind::kAcross, true>, jump<JumpKind::kAcross, false>},
                               jump<JumpKind::kAlone, true>};

/// What handlers of indirect jumps and of calls find behind their op; those that run alone or outside 64-bit code do
/// not look.
void emit_transfer_data(BlockBuilder& block, const Instruction& insn, bool indirect_call) {
  if (!insn.code64() || (insn.mode & mode::kSingle) != 0) return;
  TransferData data;
  data.behind = &unlinked_block;
  data.behind_at = insn.page_offset + insn.length();
  std::memcpy(static_cast<void*>(&block.emit_data()), &data, sizeof data);
  if (!indirect_call) return;
  const Block* const older_target = &unlinked_block;
  static_assert(offsetof(IndirectCallData, older_target) == sizeof(Op));
  std::memcpy(static_cast<void*>(&block.emit_data()), &older_target, sizeof older_target);
}

Op& emit_indirect(BlockBuilder& block, const Instruction& insn, const Handler (&forms)[2][2][2]) {
  const bool alone = (insn.mode & mode::kSingle) != 0;
  const bool memory = insn.is_memory(0);
  const Handler handler = forms[insn.code64() ? 0 : 1][memory ? 1 : 0][alone ? 1 : 0];
  if (memory) {
    const Address address = block.address(insn, insn.operand(0));
    return block.emit(handler, address);
  }
  Op& op = block.emit(handler);
  op.src = register_of(insn, 0);
  return op;
}

constexpr Handler kJumpIndirect[2][2][2] = {{{jump_indirect<true, false, false>, jump_indirect<true, false, true>},
                                             {jump_indirect<true, true, false>, jump_indirect<true, true, true>}},
                                            {{jump_indirect<false, false, false>, jump_indirect<false, false, true>},
                                             {jump_indirect<false, true, false>, jump_indirect<false, true, true>}}};

bool translate_jmp(BlockBuilder& block, const Instruction& insn) {
  if (insn.z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) return translate_far_jump(block, insn);
  if (narrow(insn)) return emit_narrow(block);
  if (insn.is_immediate(0)) {
    i32 target;
    if (!relative_target(block, insn, target)) return false;
    Op& op = block.emit(kJump.choose(jump_kind(insn.mode, target), insn));
    make_linked(op);
    op.disp = target;
  } else {
    make_linked(emit_indirect(block, insn, kJumpIndirect));
    emit_transfer_data(block, insn, false);
  }
  block.end();
  return true;
}

// Conditional.

template <Condition condition>
constexpr DirectForms kJumpIf = {
    jump_if<condition, JumpKind::kInPage, true>,
    {jump_if<condition, JumpKind::kAcross, true>, jump_if<condition, JumpKind::kAcross, false>},
    jump_if<condition, JumpKind::kAlone, true>};

/// [test or cmp][width][immediate][flags behind]
using FusedForms = std::array<std::array<std::array<std::array<Handler, 2>, 2>, 4>, 2>;

template <Condition condition, JumpKind kind, class Fuse, class T>
constexpr std::array<std::array<Handler, 2>, 2> fused_width() {
  return {{{fused<condition, Fuse, T, false, true, kind>, fused<condition, Fuse, T, false, false, kind>},
           {fused<condition, Fuse, T, true, true, kind>, fused<condition, Fuse, T, true, false, kind>}}};
}
template <Condition condition, JumpKind kind, class Fuse>
constexpr std::array<std::array<std::array<Handler, 2>, 2>, 4> fused_widths() {
  return {{fused_width<condition, kind, Fuse, u8>(), fused_width<condition, kind, Fuse, u16>(),
           fused_width<condition, kind, Fuse, u32>(), fused_width<condition, kind, Fuse, u64>()}};
}
template <Condition condition, JumpKind kind>
constexpr FusedForms kFused = {{fused_widths<condition, kind, FuseCmp>(), fused_widths<condition, kind, FuseTest>()}};

/// Fuses with the comparison before, if there is one of the right form.
bool fuse(BlockBuilder& block, const FusedForms& forms, i32 target) {
  const Op* before = block.previous_single_op();
  if (before == nullptr) return false;
  FusableCompare compare;
  if (!fusable_compare(before->handler, compare)) return false;
  const std::array<Handler, 2>& handlers = forms[compare.is_test ? 1 : 0][compare.width][compare.immediate ? 1 : 0];
  const i64 imm = before->imm;
  if (compare.immediate && imm != static_cast<i32>(imm)) return false;
  Op& op = block.emit_fused(handlers[0]);
  if (compare.immediate) {
    op.base = static_cast<u16>(imm);
    op.index = static_cast<u16>(static_cast<u64>(imm) >> 16);
  }
  make_linked(op);
  op.disp = target;
  block.flags({.writes = kAllFlags, .without_flags = handlers[1]});
  return true;
}

template <Condition condition>
bool translate_jump_if(BlockBuilder& block, const Instruction& insn) {
  if (narrow(insn)) return emit_narrow(block);
  i32 target;
  if (!relative_target(block, insn, target)) return false;
  const JumpKind kind = jump_kind(insn.mode, target);
  if (kind == JumpKind::kInPage && fuse(block, kFused<condition, JumpKind::kInPage>, target)) return true;
  const bool across64 = kind == JumpKind::kAcross && insn.code64();
  if (across64 && fuse(block, kFused<condition, JumpKind::kAcross>, target)) return true;
  Op& op = block.emit(kJumpIf<condition>.choose(kind, insn));
  make_linked(op);
  op.disp = target;
  return true;
}

// JRCXZ, LOOP, LOOPE, LOOPNE: `src` is the counter's width in bytes by address size.

struct CounterZero {
  static constexpr bool kDecrements = false;
  static bool test(const Cpu&, u64 count) { return count == 0; }
};
struct Loop {
  static constexpr bool kDecrements = true;
  static bool test(const Cpu&, u64 count) { return count != 0; }
};
struct LoopE {
  static constexpr bool kDecrements = true;
  static bool test(const Cpu& cpu, u64 count) { return count != 0 && cpu.flags.zf(); }
};
struct LoopNe {
  static constexpr bool kDecrements = true;
  static bool test(const Cpu& cpu, u64 count) { return count != 0 && !cpu.flags.zf(); }
};

template <class Rule>
bool count_down(Cpu& cpu, unsigned bytes) {
  u64& rcx = cpu.s.gpr[kRcx];
  const u64 mask = bytes == 8 ? ~u64{0} : bytes == 4 ? 0xFFFFFFFF : 0xFFFF;
  const u64 count = (rcx - (Rule::kDecrements ? 1 : 0)) & mask;
  if (Rule::kDecrements) rcx = bytes == 2 ? (rcx & ~mask) | count : count;
  return Rule::test(cpu, count);
}

template <class Rule, JumpKind kind, bool wide>
BHVM_HANDLER(jump_counted) {
  if (count_down<Rule>(cpu, op->src)) {
    budget += op->rest;
    BHVM_JUMP_DIRECT(kind, wide);
  }
  BHVM_NEXT;
}

template <class Rule>
bool translate_counted(BlockBuilder& block, const Instruction& insn) {
  static constexpr DirectForms kForms = {
      jump_counted<Rule, JumpKind::kInPage, true>,
      {jump_counted<Rule, JumpKind::kAcross, true>, jump_counted<Rule, JumpKind::kAcross, false>},
      jump_counted<Rule, JumpKind::kAlone, true>};
  if (narrow(insn)) return emit_narrow(block);
  i32 target;
  if (!relative_target(block, insn, target)) return false;
  Op& op = block.emit(kForms.choose(jump_kind(insn.mode, target), insn));
  op.src = static_cast<u16>(insn.z.address_width / 8);
  make_linked(op);
  op.disp = target;
  return true;
}

// CALL and RET.

template <class Stack>
struct CallForms {
  static constexpr Handler kDirect[3] = {call<Stack, JumpKind::kInPage>, call<Stack, JumpKind::kAcross>,
                                         call<Stack, JumpKind::kAlone>};
  static constexpr Handler kIndirect[2][2] = {{call_indirect<Stack, false, false>, call_indirect<Stack, false, true>},
                                              {call_indirect<Stack, true, false>, call_indirect<Stack, true, true>}};
  static constexpr Handler kRet[2] = {ret<Stack, false>, ret<Stack, true>};
};

template <class Stack>
bool translate_call_on(BlockBuilder& block, const Instruction& insn) {
  const bool alone = (insn.mode & mode::kSingle) != 0;
  const bool memory = insn.is_memory(0);
  Op* op = nullptr;
  if (insn.is_immediate(0)) {
    i32 target;
    if (!relative_target(block, insn, target)) return false;
    op = &block.emit(CallForms<Stack>::kDirect[static_cast<unsigned>(jump_kind(insn.mode, target))]);
    op->disp = target;
  } else if (memory) {
    const Address address = block.address(insn, insn.operand(0));
    op = &block.emit(CallForms<Stack>::kIndirect[1][alone ? 1 : 0], address);
  } else {
    op = &block.emit(CallForms<Stack>::kIndirect[0][alone ? 1 : 0]);
    op->src = register_of(insn, 0);
  }
  op->dst = static_cast<u16>(insn.page_offset + insn.length());
  if (!memory) op->scale = Op::kStackSegment;
  make_linked(*op);
  emit_transfer_data(block, insn, !insn.is_immediate(0));
  block.end();
  return true;
}

bool translate_call(BlockBuilder& block, const Instruction& insn) {
  if (insn.z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) return translate_far_call(block, insn);
  if (narrow(insn)) return emit_narrow(block);
  switch (stack_shape(insn.mode)) {
    case 0:
      return translate_call_on<Stack64>(block, insn);
    case 1:
      return translate_call_on<Stack32<false>>(block, insn);
    default:
      return translate_call_on<Stack32<true>>(block, insn);
  }
}

bool translate_ret(BlockBuilder& block, const Instruction& insn) {
  static constexpr const Handler* kForms[3] = {CallForms<Stack64>::kRet, CallForms<Stack32<false>>::kRet,
                                               CallForms<Stack32<true>>::kRet};
  if (insn.z.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) return translate_far_return(block, insn);
  if (narrow(insn)) return emit_narrow(block);
  Op& op = block.emit(kForms[stack_shape(insn.mode)][(insn.mode & mode::kSingle) != 0 ? 1 : 0]);
  op.imm = insn.code64() ? 8 : 4;
  if (insn.z.operand_count_visible > 0) op.imm += static_cast<i64>(insn.operand(0).imm.value.u & 0xFFFF);
  op.scale = Op::kStackSegment;
  block.end();
  return true;
}

constexpr ZydisMnemonic kJumps[kConditions] = {
    ZYDIS_MNEMONIC_JO, ZYDIS_MNEMONIC_JNO, ZYDIS_MNEMONIC_JB,  ZYDIS_MNEMONIC_JNB,
    ZYDIS_MNEMONIC_JZ, ZYDIS_MNEMONIC_JNZ, ZYDIS_MNEMONIC_JBE, ZYDIS_MNEMONIC_JNBE,
    ZYDIS_MNEMONIC_JS, ZYDIS_MNEMONIC_JNS, ZYDIS_MNEMONIC_JP,  ZYDIS_MNEMONIC_JNP,
    ZYDIS_MNEMONIC_JL, ZYDIS_MNEMONIC_JNL, ZYDIS_MNEMONIC_JLE, ZYDIS_MNEMONIC_JNLE};

template <std::size_t... i>
void add_all(TranslatorTable& table, std::index_sequence<i...>) {
  (table.add(kJumps[i], translate_jump_if<static_cast<Condition>(i)>), ...);
}

}  // namespace

BHVM_HANDLER(return_unnoted) { BHVM_BECOME(return_to_other<Op>); }
BHVM_HANDLER(return_unnoted_small) { BHVM_BECOME(return_to_other<ReturnOp>); }

void register_jumps(TranslatorTable& table) {
  add_all(table, std::make_index_sequence<kConditions>());
  table.add(ZYDIS_MNEMONIC_JMP, translate_jmp);
  table.add(ZYDIS_MNEMONIC_CALL, translate_call);
  table.add(ZYDIS_MNEMONIC_RET, translate_ret);
  table.add(ZYDIS_MNEMONIC_JCXZ, translate_counted<CounterZero>);
  table.add(ZYDIS_MNEMONIC_JECXZ, translate_counted<CounterZero>);
  table.add(ZYDIS_MNEMONIC_JRCXZ, translate_counted<CounterZero>);
  table.add(ZYDIS_MNEMONIC_LOOP, translate_counted<Loop>);
  table.add(ZYDIS_MNEMONIC_LOOPE, translate_counted<LoopE>);
  table.add(ZYDIS_MNEMONIC_LOOPNE, translate_counted<LoopNe>);
}

}  // namespace bhvm::integer
