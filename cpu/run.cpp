// The run loop: everything between two blocks.
#include <algorithm>

#include "cpu/code_cache.h"
#include "cpu/control.h"
#include "cpu/cpu.h"
#include "cpu/mode.h"
#include "cpu/sse/host_fp.h"
#include "cpu/system/debug.h"
#include "cpu/system/interrupts.h"
#include "cpu/system_op.h"

namespace bhvm {
namespace {

/// A straddling block has just been checked: its first op is left out.
void dispatch(Cpu& cpu, const Block* block, i64 budget) {
  const Op* op = block->ops() + (block->straddles() ? 1 : 0);
  BHVM_RECORD(nullptr, false);  // it follows no handler
  BHVM_RECORD(op->handler, false);
#if BHVM_DISPATCH_BY_TAIL_CALL
  op->handler(cpu.fast, budget, cpu, op);
#else
  FastData fast = cpu.fast;
  while (op != nullptr) op = op->handler(fast, budget, cpu, op);
#endif
}

/// The linear address of the next instruction.
u64 linear_rip(const Cpu& cpu) {
  return cpu.code64() ? cpu.s.rip : (cpu.s.rip + cpu.s.segments[kCs].base) & 0xFFFFFFFF;
}

/// Outside 64-bit code: must every instruction be checked against CS, one by one?
bool odd_code_segment(const Cpu& cpu) {
  if (cpu.code64()) return false;
  const SegmentState& cs = cpu.s.segments[kCs];
  return cs.base != 0 || cs.limit != 0xFFFFFFFF;
}

/// Code or stack segments of 16 bits: false with the reason.
bool supported_segments(Cpu& cpu) {
  if (cpu.code64()) return true;
  const u16 cs = cpu.s.segments[kCs].attributes;
  const u16 ss = cpu.s.segments[kSs].attributes;
  if ((cs & descriptor::kBig) == 0)
    return cpu.unsupported("the guest entered a 16-bit code segment, which bhvm does not have");
  if ((ss & descriptor::kPresent) != 0 && (ss & descriptor::kBig) == 0) {
    return cpu.unsupported("the guest uses a 16-bit stack segment, which bhvm does not have");
  }
  return true;
}

/// Makes s.fetch_physical the page of `linear`. False with a fault.
bool enter_fetch_page(Cpu& cpu, u64 linear) {
  const u64 page = linear & kPageMask;
  if (BHVM_LIKELY(cpu.s.fetch_linear == page)) return true;
  if (cpu.code64() && !cpu.is_canonical(linear)) return cpu.raise(vector::kGeneralProtection);
  u64 physical = cpu.mmu.fetch_hit(linear, cpu.user != 0);
  if (physical == ~u64{0}) {
    const Translation t = cpu.mmu.translate_fetch({linear}, cpu.user != 0);
    if (!t.ok) return cpu.raise_page_fault(linear, t.error_code);
    physical = t.page.value;
  }
  cpu.s.fetch_linear = page;
  cpu.s.fetch_physical = physical;
  return true;
}

/// The physical page behind the one being executed, for an instruction that runs into it. False with a fault.
bool translate_second_page(Cpu& cpu, u64 linear, PhysicalAddress& second) {
  u64 next = (linear & kPageMask) + kPageSize;
  if (!cpu.code64()) next &= 0xFFFFFFFF;
  if (cpu.code64() && !cpu.is_canonical(next)) return cpu.raise(vector::kGeneralProtection);
  u64 physical = cpu.mmu.fetch_hit(next, cpu.user != 0);
  if (physical == ~u64{0}) {
    const Translation t = cpu.mmu.translate_fetch({next}, cpu.user != 0);
    if (!t.ok) return cpu.raise_page_fault(next, t.error_code);
    physical = t.page.value;
  }
  second = {physical};
  return true;
}

/// A block decoded now, if it is not there. The libraries that this takes may use floating point, and what they leave
/// in the host's MXCSR is none of the guest's.
const Block* decoded_block(Cpu& cpu, PhysicalAddress address, u32 mode, const PhysicalAddress* second) {
  leave_guest_fp(cpu);
  const Block* block = cpu.code->block_at(address, mode, second);
  enter_guest_fp(cpu);
  return block;
}

/// The block at the next instruction, decoded under `mode`; nullptr with a fault.
const Block* next_block(Cpu& cpu, u64 linear, u32 mode) {
  const PhysicalAddress address{cpu.s.fetch_physical | (linear & kPageOffsetMask)};
  cpu.code->prefetch(address, mode);
  const Block* block = cpu.jump_cache_used && mode == cpu.mode ? jump_cache_at(cpu, linear) : nullptr;
  if (block == nullptr || block->page().value != address.page().value || block->start != address.page_offset()) {
    block = cpu.code->find(address, mode);
  }
  if (block == nullptr) block = decoded_block(cpu, address, mode, nullptr);
  if (BHVM_LIKELY(block != nullptr && !block->straddles())) return block;
  if (block != nullptr || cpu.code->needs_second_page()) {
    PhysicalAddress second;
    if (!translate_second_page(cpu, linear, second)) return nullptr;
    if (block == nullptr || !cpu.code->revalidate(block, second)) {
      block = decoded_block(cpu, address, mode, &second);
    }
  }
  if (block == nullptr) cpu.unsupported("the guest fetched an instruction from an address that is not RAM");
  return block;
}

/// The link leads to `block` from now on.
void fulfil(const WantedLink& wanted, const Block* block) {
  if (wanted.link != nullptr) *wanted.link = block;
  if (wanted.in_page != nullptr) wanted.in_page->lead_to(block, wanted.rest);
}

bool check_code_limit(Cpu& cpu, const Block* block) {
  const u64 size = static_cast<u64>(block->end - block->start) + block->second_size;
  if (cpu.s.rip + size - 1 > cpu.s.segments[kCs].limit) return cpu.raise(vector::kGeneralProtection);
  return true;
}

bool can_interrupt(const Cpu& cpu) {
  return cpu.s.interrupt_line && (cpu.s.rflags & rflags::kIf) != 0 && cpu.s.shadow_at != cpu.s.instructions;
}

}  // namespace

void Cpu::set_interrupt_line(bool level) {
  s.interrupt_line = level;
  interrupts_wanted = level;
}

void begin_system_op(Cpu& cpu, const Op* op, i64 budget) {
  CpuState& s = cpu.s;
  leave_guest_fp(cpu);
  const u64 mask = cpu.code64() ? ~u64{0} : 0xFFFFFFFF;
  s.instructions = cpu.limit - static_cast<u64>(budget + op->rest + 1);
  s.fetch_linear = (cpu.page_base + (cpu.code64() ? 0 : s.segments[kCs].base)) & kPageMask;
  s.fetch_physical = u64{cpu.page_number} << kPageShift;
  cpu.instruction_rip = (cpu.page_base + op->page_offset) & mask;
  s.rip = (cpu.instruction_rip + static_cast<u64>(static_cast<i64>(op->disp))) & mask;
  s.rflags = cpu.rflags();
  cpu.link = {};
  cpu.leave = Leave::kSystem;
  cpu.fault.kind = PendingFault::Kind::kNone;
  cpu.stack_operand = (op->scale & Op::kStackSegment) != 0;
}

bool end_system_op(Cpu& cpu, bool done) {
  CpuState& s = cpu.s;
  cpu.flags.set(s.rflags);
  enter_guest_fp(cpu);
  if (!done) {
    s.rip = cpu.instruction_rip;
    if (cpu.fault.non_canonical && cpu.stack_operand) cpu.fault.vector = vector::kStackFault;
    cpu.leave = Leave::kFault;
    return false;
  }
  s.instructions += 1;
  const bool something_due =
      cpu.touched_board || cpu.alone || s.interrupt_line || s.halted || needs_single_stepping(cpu);
  if (something_due || !cpu.code64()) return false;
  cpu.delivered_itself = cpu.stepped_by_new_flag = false;
  return true;
}

RunExit Cpu::run(u64 max_instructions) {
  const u64 end = s.instructions + std::min(max_instructions, ~u64{0} - s.instructions);
  touched_board = false;
  bool run_alone = false;  // the next instruction
  link = {};
  RunExit exit = RunExit::kLimit;
  enter_guest_fp(*this);
  for (;;) {
    fault.kind = PendingFault::Kind::kNone;
    if (touched_board) {
      exit = RunExit::kAttention;
      break;
    }
    if (BHVM_UNLIKELY(s.interrupt_line) && can_interrupt(*this)) {
      const int vector = port.acknowledge_interrupt();
      touched_board = true;
      if (vector >= 0) {
        s.halted = false;
        link = {};
        s.rflags = rflags();
        const bool delivered = deliver_interrupt(*this, static_cast<u8>(vector));
        flags.set(s.rflags);
        if (!delivered) {
          exit = fault.kind == PendingFault::Kind::kUnsupported ? RunExit::kUnsupported : RunExit::kShutdown;
          stop_message = fault.message;
          break;
        }
        update_mode();
      }
      continue;
    }
    if (s.halted) {
      exit = RunExit::kHalted;
      break;
    }
    if (s.instructions >= end) {
      exit = RunExit::kLimit;
      break;
    }

    const bool stepping = needs_single_stepping(*this);
    const bool odd_segment = odd_code_segment(*this);
    bool single = run_alone || stepping || odd_segment;
    run_alone = false;
    const u64 linear = linear_rip(*this);
    const Block* block = nullptr;
    const u64 generation = code->generation();
    const bool ready = supported_segments(*this) && (!stepping || instruction_breakpoint(*this));
    if (ready && enter_fetch_page(*this, linear)) {
      limit = std::min(end, s.instructions + u64{kMostAtOnce});
      const i64 remaining = static_cast<i64>(limit - s.instructions);
      if (!single) {
        block = next_block(*this, linear, mode);
        if (block != nullptr && static_cast<i64>(block->count) > remaining) single = true;
      }
      if (single) {
        block = next_block(*this, linear, mode | mode::kSingle);
        if (block != nullptr && odd_segment && !check_code_limit(*this, block)) block = nullptr;
      }
    }
    if (BHVM_UNLIKELY(generation != code->generation())) {  // the blocks that were pointed at are gone
      link = {};
      flush_jump_cache();
    }
    if (block != nullptr) {
      if (!single) {
        fulfil(link, block);
        jump_cache[jump_cache_index(linear)] = code->arena().place_of(block);
        jump_cache_used = true;
      }
      link = {};
      page_base = s.rip - block->start;
      page_number = block->page_number;
      alone = single;
      const bool trap_flag = (s.rflags & rflags::kTf) != 0;
      delivered_itself = stepped_by_new_flag = false;
      dispatch(*this, block, static_cast<i64>(limit - s.instructions) - static_cast<i64>(block->count));
      alone = false;
      if (BHVM_UNLIKELY(stepping || stepped_by_new_flag) && leave != Leave::kFault) {
        const bool new_flag = (s.rflags & rflags::kTf) != 0;
        after_instruction(*this, stepped_by_new_flag ? new_flag : trap_flag && !delivered_itself);
      }
    } else {
      leave = Leave::kFault;
    }

    if (leave == Leave::kFault) {
      link = {};
      if (fault.kind == PendingFault::Kind::kAlone) {
        run_alone = true;
      } else if (fault.kind == PendingFault::Kind::kUnsupported) {
        stop_message = fault.message;
        exit = RunExit::kUnsupported;
        break;
      } else {
        s.rflags = rflags();
        const bool delivered = deliver_fault(*this);
        flags.set(s.rflags);
        if (!delivered) {
          exit = fault.kind == PendingFault::Kind::kUnsupported ? RunExit::kUnsupported : RunExit::kShutdown;
          stop_message = fault.message;
          break;
        }
        s.instructions += 1;  // time passes even for a guest that does nothing but fault
        update_mode();
      }
    }
  }
  leave_guest_fp(*this);
  s.rflags = rflags();
  return exit;
}

}  // namespace bhvm
