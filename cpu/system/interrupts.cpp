#include "cpu/system/interrupts.h"

#include <array>
#include <span>
#include <utility>

#include "cpu/system/control_bits.h"
#include "cpu/system/descriptors.h"
#include "cpu/system/implicit_access.h"
#include "cpu/system/stack.h"
#include "cpu/system/tss.h"

namespace bhvm {

namespace {

/// What is delivered.
struct Event {
  u8 vector = 0;
  bool software = false;  // by an instruction: the gate's DPL counts
  u32 ext = 1;            // bit 0 of error codes raised during the delivery: not by INT n
  bool benign = false;    // an interrupt: never part of a double fault
  bool has_error_code = false;
  u32 error_code = 0;
  u64 rflags = 0;  // the image that is pushed
};

enum class FaultClass : u8 { kBenign, kContributory, kPageFault, kDoubleFault };

FaultClass class_of(u8 v) {
  switch (v) {
    case vector::kDivideError:
    case vector::kInvalidTss:
    case vector::kSegmentNotPresent:
    case vector::kStackFault:
    case vector::kGeneralProtection:
      return FaultClass::kContributory;
    case vector::kPageFault:
      return FaultClass::kPageFault;
    case vector::kDoubleFault:
      return FaultClass::kDoubleFault;
    default:
      return FaultClass::kBenign;
  }
}

constexpr u32 kVectorsWithErrorCode = (1u << vector::kDoubleFault) | (1u << vector::kInvalidTss) |
                                      (1u << vector::kSegmentNotPresent) | (1u << vector::kStackFault) |
                                      (1u << vector::kGeneralProtection) | (1u << vector::kPageFault) |
                                      (1u << vector::kAlignmentCheck);

/// The error code of a fault in the IDT itself.
u32 idt_error(const Event& event) { return (u32{event.vector} << 3) | 2 | event.ext; }

/// RFLAGS of a handler: the gate of an interrupt also closes IF.
u64 handler_rflags(const Cpu& cpu, bool interrupt_gate) {
  constexpr u64 kCleared = rflags::kTf | rflags::kNt | rflags::kRf | rflags::kVm;
  return cpu.rflags() & ~(kCleared | (interrupt_gate ? rflags::kIf : 0));
}

/// The gate's code segment, checked. `new_cpl` is the level the handler runs at.
bool fetch_handler_segment(Cpu& cpu, u16 selector, u32 ext, Descriptor& code, u8& new_cpl) {
  if (is_null(selector)) return cpu.raise(vector::kGeneralProtection, ext);
  if (!fetch_or_raise(cpu, selector, code, vector::kGeneralProtection, ext)) return false;
  const u32 error = selector_error(selector) | ext;
  if (!code.code() || code.dpl() > cpu.s.cpl) return cpu.raise(vector::kGeneralProtection, error);
  if (!code.present()) return cpu.raise(vector::kSegmentNotPresent, error);
  if (cpu.long_mode() && (!code.long_code() || code.big())) return cpu.raise(vector::kGeneralProtection, error);
  new_cpl = code.conforming() ? cpu.s.cpl : code.dpl();
  return true;
}

/// Everything of the state that a delivery through either kind of gate changes, once nothing can fail any more.
void enter_handler(Cpu& cpu, const Descriptor& code, u16 selector, u8 new_cpl, u64 rip, bool interrupt_gate) {
  CpuState& s = cpu.s;
  const bool same_mode = new_cpl == s.cpl && cpu.code64();
  s.rflags = handler_rflags(cpu, interrupt_gate);
  s.segments[kCs] = code.segment(with_rpl(selector, new_cpl));
  s.rip = rip;
  s.halted = false;
  if (same_mode) return;
  if (new_cpl != s.cpl) {
    s.cpl = new_cpl;
    cpu.forget_fetch_page();
  }
  cpu.update_mode();
}

/// Writes `frame` (lowest address first) below a 64-bit stack pointer, all of it or nothing.
bool push_frame(Cpu& cpu, u64 rsp, std::span<const u64> frame, bool inner, u32 ext) {
  const u64 size = frame.size_bytes();
  const u64 low = rsp - size;
  if (!cpu.is_canonical(low) || !cpu.is_canonical(rsp - 1)) return cpu.raise(vector::kStackFault, ext);
  const Privilege privilege = inner ? Privilege::kSupervisor : Privilege::kCurrent;
  const FastEntry& entry = inner ? implicit_entry(cpu, low) : cpu.fast[data_tlb_index(low)];
  if (BHVM_LIKELY(data_tag(low) == entry.write_tag && data_tag(rsp - 1) == entry.write_tag)) {
    std::memcpy(reinterpret_cast<void*>(low + entry.addend), frame.data(), size);
    return true;
  }
  for (std::size_t i = frame.size(); i-- > 0;) {
    if (!cpu.probe_write(low + i * 8, 8, privilege)) return false;
  }
  for (std::size_t i = frame.size(); i-- > 0;) {
    if (!cpu.write_linear(low + i * 8, &frame[i], 8, privilege)) return false;
  }
  return true;
}

struct Gate64 {
  u64 low = 0;
  u64 high = 0;
};

bool deliver_long(Cpu& cpu, const Event& event) {
  CpuState& s = cpu.s;
  const u32 offset = u32{event.vector} * 16;
  if (offset + 15 > s.idtr.limit) return cpu.raise(vector::kGeneralProtection, idt_error(event));
  Gate64 raw;
  if (!read_implicit(cpu, s.idtr.base + offset, raw)) return false;
  const Descriptor gate{raw.low, 0};
  if (!gate.system() || (gate.type() != system_type::kInterruptGate && gate.type() != system_type::kTrapGate)) {
    return cpu.raise(vector::kGeneralProtection, idt_error(event));
  }
  if (event.software && gate.dpl() < s.cpl) return cpu.raise(vector::kGeneralProtection, idt_error(event));
  if (!gate.present()) return cpu.raise(vector::kSegmentNotPresent, idt_error(event));

  Descriptor code;
  u8 new_cpl = 0;
  if (!fetch_handler_segment(cpu, gate.gate_selector(), event.ext, code, new_cpl)) return false;

  const unsigned ist = (raw.low >> 32) & 7;
  const bool inner = new_cpl < s.cpl;
  u64 rsp = s.gpr[kRsp];
  if (ist != 0) {
    if (!read_tss_ist(cpu, ist, rsp, event.ext)) return false;
  } else if (inner) {
    if (!read_tss_rsp(cpu, new_cpl, rsp, event.ext)) return false;
  }
  if (!cpu.is_canonical(rsp)) return cpu.raise(vector::kStackFault, event.ext);
  rsp &= ~u64{15};
  const u64 rip = gate.gate_offset() | (raw.high << 32);
  if (!cpu.is_canonical(rip)) return cpu.raise(vector::kGeneralProtection, event.ext);
  if (!set_accessed(cpu, code)) return false;

  const std::array<u64, 6> frame{event.error_code, s.rip,       s.segments[kCs].selector,
                                 event.rflags,     s.gpr[kRsp], s.segments[kSs].selector};
  const std::span<const u64> pushed = std::span(frame).subspan(event.has_error_code ? 0 : 1);
  if (!push_frame(cpu, rsp, pushed, inner, event.ext)) return false;

  s.gpr[kRsp] = rsp - pushed.size_bytes();
  if (inner) s.segments[kSs] = SegmentState{.selector = new_cpl};
  enter_handler(cpu, code, gate.gate_selector(), new_cpl, rip, gate.type() == system_type::kInterruptGate);
  return true;
}

bool deliver_protected(Cpu& cpu, const Event& event) {
  CpuState& s = cpu.s;
  if ((s.rflags & rflags::kVm) != 0) return cpu.unsupported("virtual-8086 mode: an interrupt in it");
  const u32 offset = u32{event.vector} * 8;
  if (offset + 7 > s.idtr.limit) return cpu.raise(vector::kGeneralProtection, idt_error(event));
  Descriptor gate;
  if (!read_implicit(cpu, static_cast<u32>(s.idtr.base + offset), gate.raw)) return false;
  const u8 type = gate.type();
  const bool interrupt_or_trap = (type & 7) == system_type::kInterruptGate16 || (type & 7) == system_type::kTrapGate16;
  if (!gate.system() || (!interrupt_or_trap && type != system_type::kTaskGate)) {
    return cpu.raise(vector::kGeneralProtection, idt_error(event));
  }
  if (event.software && gate.dpl() < s.cpl) return cpu.raise(vector::kGeneralProtection, idt_error(event));
  if (!gate.present()) return cpu.raise(vector::kSegmentNotPresent, idt_error(event));
  if (type == system_type::kTaskGate)
    return cpu.unsupported("a hardware task switch: an interrupt through a task gate");

  Descriptor code;
  u8 new_cpl = 0;
  if (!fetch_handler_segment(cpu, gate.gate_selector(), event.ext, code, new_cpl)) return false;
  const bool gate32 = (type & 8) != 0;
  const bool inner = new_cpl < s.cpl;

  Stack stack = segment_stack(s.segments[kSs], s.gpr[kRsp], inner, event.ext);
  if (inner) {
    SegmentState ss;
    u32 sp = 0;
    if (!load_inner_stack(cpu, new_cpl, event.ext, ss, sp)) return false;
    stack = segment_stack(ss, sp, inner, selector_error(ss.selector) | event.ext);
  }
  const u32 rip = gate32 ? gate.gate_offset() : gate.gate_offset() & 0xFFFF;
  if (rip > code.limit()) return cpu.raise(vector::kGeneralProtection, event.ext);
  if (!set_accessed(cpu, code)) return false;

  const std::array<u64, 6> frame{s.segments[kSs].selector, s.gpr[kRsp], event.rflags,
                                 s.segments[kCs].selector, s.rip,       event.error_code};
  std::span<const u64> pushed = std::span(frame).first(event.has_error_code ? 6 : 5);
  if (!inner) pushed = pushed.subspan(2);
  if (!push_values(cpu, stack, pushed, gate32 ? 4 : 2)) return false;

  if (inner) {
    s.segments[kSs] = stack.ss;
    s.gpr[kRsp] = stack.pointer;
  } else {
    commit_stack_pointer(cpu, stack);
  }
  enter_handler(cpu, code, gate.gate_selector(), new_cpl, rip, (type & 1) == 0);
  return true;
}

bool deliver_once(Cpu& cpu, const Event& event) {
  return cpu.long_mode() ? deliver_long(cpu, event) : deliver_protected(cpu, event);
}

/// The #DB that delivers the waiting debug traps.
Event debug_trap(Cpu& cpu) {
  CpuState& s = cpu.s;
  s.dr6 = (s.dr6 & ~dr6::kHits) | s.pending_debug;
  s.dr7 &= ~dr7::kGd;
  s.pending_debug = 0;
  return Event{.vector = vector::kDebug, .rflags = cpu.rflags()};
}

/// The event that delivers cpu.fault; CR2 and DR6 are set here, whatever becomes of the delivery.
Event event_of_fault(Cpu& cpu) {
  CpuState& s = cpu.s;
  const PendingFault& fault = cpu.fault;
  Event event{.vector = fault.vector, .rflags = cpu.rflags() | rflags::kRf};
  if (fault.vector == vector::kDebug) {
    if (s.pending_debug != 0) return debug_trap(cpu);
    s.dr6 = (s.dr6 & ~dr6::kHits) | fault.error_code;
    s.dr7 &= ~dr7::kGd;
    if ((fault.error_code & dr6::kHits) != 0) event.rflags = cpu.rflags();  // RF as it is: IRET will set it
    return event;
  }
  s.pending_debug = 0;  // of an instruction that will run again
  if (fault.vector == vector::kPageFault) s.cr2 = fault.address;
  event.has_error_code = fault.vector < 32 && ((kVectorsWithErrorCode >> fault.vector) & 1) != 0;
  event.error_code = fault.error_code;
  return event;
}

/// The most faults that one delivery may nest: #AC on the way to an #AC handler would go on for ever.
constexpr int kNestingMax = 8;

bool deliver_nested(Cpu& cpu, Event event) {
  for (int depth = 0; depth < kNestingMax; ++depth) {
    if (deliver_once(cpu, event)) {
      cpu.fault.kind = PendingFault::Kind::kNone;
      return true;
    }
    if (cpu.fault.kind != PendingFault::Kind::kException) return false;
    const FaultClass first = event.benign ? FaultClass::kBenign : class_of(event.vector);
    const FaultClass second = class_of(cpu.fault.vector);
    if (first == FaultClass::kDoubleFault && second != FaultClass::kBenign) break;
    event = event_of_fault(cpu);
    const bool doubled =
        second != FaultClass::kBenign && ((first == FaultClass::kContributory && second == FaultClass::kContributory) ||
                                          first == FaultClass::kPageFault);
    if (doubled) {
      event = Event{.vector = vector::kDoubleFault, .has_error_code = true, .rflags = cpu.rflags()};
    }
  }
  cpu.fault.kind = PendingFault::Kind::kNone;
  return false;
}

bool deliver(Cpu& cpu, const Event& event) {
  const bool alone = std::exchange(cpu.alone, true);  // no block is running: devices and decoded code may be written
  const bool delivered = deliver_nested(cpu, event);
  cpu.alone = alone;
  return delivered;
}

}  // namespace

bool deliver_fault(Cpu& cpu) { return deliver(cpu, event_of_fault(cpu)); }

bool deliver_interrupt(Cpu& cpu, u8 vector) {
  return deliver(cpu, Event{.vector = vector, .benign = true, .rflags = cpu.rflags()});
}

bool deliver_nmi(Cpu& cpu) {
  cpu.s.nmi_blocked = true;
  return deliver(cpu, Event{.vector = vector::kNmi, .benign = true, .rflags = cpu.rflags()});
}

bool deliver_software(Cpu& cpu, u8 vector, SoftwareInterrupt kind) {
  const bool int_n = kind == SoftwareInterrupt::kIntN;
  cpu.delivered_itself = true;
  return deliver_once(
      cpu, Event{.vector = vector, .software = int_n, .ext = int_n ? 0u : 1u, .benign = true, .rflags = cpu.rflags()});
}

}  // namespace bhvm
