// System instructions: whatever needs the whole state and is no hot path.
//
// Such an instruction is a function `bool fn(Cpu&, const Op&)`. It ends its block. When it is called, `cpu.s` is
// complete: s.rip is the NEXT instruction, cpu.instruction_rip its own, s.rflags has all flags, s.instructions counts
// those retired before. It may change anything (after which it calls update_mode(), forget_fetch_page() or a flush as
// needed) and may talk to `cpu.port`, setting cpu.touched_board. It returns true when it has executed, or
// `cpu.raise(...)`; then nothing it did may be visible and s.rip is taken back.
#pragma once

#include "cpu/control.h"
#include "cpu/handler.h"

namespace bhvm {

using SystemFunction = bool (*)(Cpu& cpu, const Op& op);

/// Before and after the function; both out of line (cpu/run.cpp). The state is complete after end_system_op(), so the
/// dispatch may be left; it returns true when there is no need to, since nothing but the next instruction is due.
void begin_system_op(Cpu& cpu, const Op* op, i64 budget);
bool end_system_op(Cpu& cpu, bool done);

/// The handler of a system instruction, emitted by BlockBuilder::emit_system(). Op::disp is the instruction's length,
/// the memory operand's linear address is in cpu.scratch_address; all other operand fields are the function's own.
template <SystemFunction function>
BHVM_HANDLER(system_op) {
  begin_system_op(cpu, op, budget);
  if (end_system_op(cpu, function(cpu, *op))) {
    const u64 next = cpu.s.rip;
    const Block* const block = jump_cache_at(cpu, next);
    if (leads_to(cpu, next, block) && budget >= static_cast<i64>(block->count)) {
      fast = cpu.fast;
      BHVM_ENTER_CACHED(next, block);
    }
  }
  BHVM_LEAVE;
}

}  // namespace bhvm
