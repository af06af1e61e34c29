// Delivery of exceptions and interrupts through the IDT (SDM 3, chapter 6; SDM 2, INT n).
//
// Gates of 64-bit mode (with IST) and of 32-bit protected mode (interrupt and trap gates of both sizes, with a stack
// switch through the TSS). Task gates are unsupported. Nothing of a delivery that fails is visible except accessed bits
// of descriptors and A and D bits of pages.
//
// The functions that return bool for the run loop (deliver_fault, deliver_interrupt, deliver_nmi)
// resolve nested faults themselves, by the double-fault table (SDM 3, 6.15). False: the processor does not go on;
// either cpu.fault.kind is kUnsupported, or it is kNone and the processor has shut down (triple fault). None of them
// counts an instruction.
#pragma once

#include "cpu/cpu.h"

namespace bhvm {

/// Delivers cpu.fault, an exception. s.rip is the faulting instruction. A #DB is a trap when s.pending_debug has bits
/// (it takes them, and s.rip is the next instruction), else a fault whose fault.error_code holds the bits to set in
/// DR6.
bool deliver_fault(Cpu& cpu);

/// Delivers an external interrupt at an instruction boundary; ends HLT.
bool deliver_interrupt(Cpu& cpu, u8 vector);

/// Delivers an NMI and blocks further ones until IRET.
bool deliver_nmi(Cpu& cpu);

enum class SoftwareInterrupt : u8 {
  kIntN,  // INT n, INT3, INTO: the gate's DPL is checked
  kInt1,  // INT1: neither DPL check nor program origin in error codes
};

/// INT n, INT3, INTO, INT1 as a system instruction: s.rip is the next instruction. False with cpu.fault when the
/// delivery faults; that fault is the instruction's own.
bool deliver_software(Cpu& cpu, u8 vector, SoftwareInterrupt kind);

}  // namespace bhvm
