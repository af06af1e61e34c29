// Debug registers and single-stepping (SDM 3, chapter 17).
//
// The run loop steps one instruction at a time while needs_single_stepping() says so, and calls
// instruction_breakpoint() before and after_instruction() behind each. Data breakpoints are noticed by the slow path of
// loads and stores: while any breakpoint is enabled in DR7, Cpu::update_mode() selects DataMode::kChecked.
//
// Debug traps wait in s.pending_debug as DR6 bits. after_instruction() turns them into a #DB for the run loop to
// deliver, unless the shadow of MOV SS or POP SS holds them back.
#pragma once

#include "cpu/cpu.h"
#include "cpu/system/control_bits.h"

namespace bhvm {

/// Must the next instruction run by itself? For TF, breakpoints and debug traps that wait; and for an interrupt that
/// waits for the shadow of STI, MOV SS or POP SS to pass, which is taken right behind that instruction.
inline bool needs_single_stepping(const Cpu& cpu) {
  const CpuState& s = cpu.s;
  if (BHVM_UNLIKELY(s.interrupt_line) && s.shadow_at == s.instructions && (s.rflags & rflags::kIf) != 0) return true;
  return ((s.rflags & rflags::kTf) | (s.dr7 & dr7::kEnables) | s.pending_debug) != 0;
}

/// Before an instruction: false, with #DB raised, when it has a breakpoint and RF does not suppress it. Takes RF away.
bool instruction_breakpoint(Cpu& cpu);

/// Behind an instruction that has retired; `trap_flag` is TF as it was before. When traps are due, raises #DB and sets
/// cpu.leave to Leave::kFault.
void after_instruction(Cpu& cpu, bool trap_flag);

/// Notes data breakpoints that an access of `size` bytes hits.
void check_data_breakpoints(Cpu& cpu, u64 linear, unsigned size, bool write);

/// The same for port accesses (CR4.DE).
void check_io_breakpoints(Cpu& cpu, u16 port, unsigned size);

}  // namespace bhvm
