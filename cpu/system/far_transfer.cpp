#include "cpu/system/far_transfer.h"

#include <array>

#include "base/planted_fault.h"
#include "cpu/system/control_bits.h"
#include "cpu/system/descriptors.h"
#include "cpu/system/implicit_access.h"
#include "cpu/system/operands.h"
#include "cpu/system/stack.h"
#include "cpu/system/tss.h"

namespace bhvm {

namespace {

struct FarPointer {
  u16 selector = 0;
  u64 offset = 0;
};

bool read_target(Cpu& cpu, const Op& op, FarPointer& target) {
  const Params p = Params::of(op);
  if (!p.memory) {
    target = {op.dst, p.value};
    return true;
  }
  target.offset = 0;
  if (!cpu.read_linear(cpu.scratch_address, &target.offset, p.size)) return false;
  const u64 behind = cpu.scratch_address + p.size;
  return load<u16>(cpu, cpu.code64() ? behind : static_cast<u32>(behind), target.selector);
}

bool is_64bit(const Cpu& cpu, const Descriptor& code) { return cpu.long_mode() && code.long_code(); }

/// #GP(0) for an offset that is not canonical or beyond the segment's limit. Of a 64-bit offset into a 32-bit segment
/// processors take the lower half.
bool check_offset(Cpu& cpu, const Descriptor& code, u64 offset) {
  const bool valid = is_64bit(cpu, code) ? cpu.is_canonical(offset) : static_cast<u32>(offset) <= code.limit();
  return valid || cpu.raise(vector::kGeneralProtection);
}

/// CS, RIP and CPL of the target. The caller calls update_mode() when the rest is in place.
void enter_code(Cpu& cpu, const Descriptor& code, u16 selector, u8 cpl, u64 rip) {
  CpuState& s = cpu.s;
  s.segments[kCs] = code.segment(with_rpl(selector, cpl));
  s.rip = is_64bit(cpu, code) ? rip : static_cast<u32>(rip);
  if (s.cpl != cpl) {
    s.cpl = cpl;
    cpu.forget_fetch_page();
  }
}

/// Checks a code segment as the direct target of JMP and CALL.
bool check_direct(Cpu& cpu, u16 selector, const Descriptor& code) {
  const u32 error = selector_error(selector);
  const u8 cpl = cpu.s.cpl;
  const bool allowed = code.conforming() ? code.dpl() <= cpl : rpl_of(selector) <= cpl && code.dpl() == cpl;
  if (!code_size_valid(cpu, code) || !allowed) return cpu.raise(vector::kGeneralProtection, error);
  return code.present() || cpu.raise(vector::kSegmentNotPresent, error);
}

struct CallGate {
  u8 type = 0;
  u16 selector = 0;
  u64 offset = 0;
  u8 parameters = 0;
  unsigned size = 0;  // of what is pushed
  Descriptor code;
};

/// Checks a system descriptor as a call gate and fetches its code segment. Conforming or not is for the caller.
bool open_gate(Cpu& cpu, u16 selector, const Descriptor& d, CallGate& gate) {
  const u32 error = selector_error(selector);
  gate.type = d.type();
  const bool gate_type =
      gate.type == system_type::kCallGate || (gate.type == system_type::kCallGate16 && !cpu.long_mode());
  const bool task = !cpu.long_mode() && (gate.type == system_type::kTaskGate || gate.type == system_type::kTss ||
                                         gate.type == system_type::kTss16);
  if (!gate_type && !task) return cpu.raise(vector::kGeneralProtection, error);
  if (d.dpl() < cpu.s.cpl || rpl_of(selector) > d.dpl()) return cpu.raise(vector::kGeneralProtection, error);
  u64 upper = 0;
  if (cpu.long_mode()) {
    if (!fetch_upper(cpu, selector, d, upper)) return false;
    constexpr u64 kUpperType = u64{0x1F} << 40;
    if ((upper & kUpperType) != 0) return cpu.raise(vector::kGeneralProtection, error);
  }
  if (!d.present()) return cpu.raise(vector::kSegmentNotPresent, error);
  if (task) return cpu.unsupported("a hardware task switch: a far jump or call to a task");
  gate.selector = d.gate_selector();
  gate.parameters = static_cast<u8>((d.raw >> 32) & 0x1F);
  gate.size = cpu.long_mode() ? 8 : gate.type == system_type::kCallGate ? 4 : 2;
  gate.offset = gate.size == 8   ? d.gate_offset() | (upper << 32)
                : gate.size == 4 ? d.gate_offset()
                                 : d.gate_offset() & 0xFFFF;
  if (is_null(gate.selector)) return cpu.raise(vector::kGeneralProtection);
  if (!fetch_or_raise(cpu, gate.selector, gate.code, vector::kGeneralProtection)) return false;
  const u32 code_error = selector_error(gate.selector);
  const bool wrong_size = cpu.long_mode() && (!gate.code.long_code() || gate.code.big());
  if (!gate.code.code() || gate.code.dpl() > cpu.s.cpl || wrong_size) {
    return cpu.raise(vector::kGeneralProtection, code_error);
  }
  return gate.code.present() || cpu.raise(vector::kSegmentNotPresent, code_error);
}

/// `from_gate`: in IA-32e mode a call gate leads to 64-bit code, and the push is already its.
bool push_return_address(Cpu& cpu, unsigned size, bool from_gate) {
  const std::array<u64, 2> values{cpu.s.segments[kCs].selector, cpu.s.rip};
  Stack stack = from_gate && cpu.long_mode() ? long_stack(cpu.s.gpr[kRsp], false, 0) : current_stack(cpu);
  if (!push_values(cpu, stack, values, size)) return false;
  commit_stack_pointer(cpu, stack);
  return true;
}

/// CALL through a gate to a more privileged level: the stack comes from the TSS.
bool call_inner(Cpu& cpu, CallGate& gate) {
  CpuState& s = cpu.s;
  const u8 new_cpl = gate.code.dpl();
  Stack stack;
  if (cpu.long_mode()) {
    u64 rsp = 0;
    if (!read_tss_rsp(cpu, new_cpl, rsp, 0)) return false;
    if (!cpu.is_canonical(rsp)) return cpu.raise(vector::kStackFault);
    stack = long_stack(rsp, true, 0);
    stack.ss = SegmentState{.selector = new_cpl};
  } else {
    SegmentState ss;
    u32 sp = 0;
    if (!load_inner_stack(cpu, new_cpl, 0, ss, sp)) return false;
    stack = segment_stack(ss, sp, true, selector_error(ss.selector));
  }
  std::array<u64, 4 + 31> values{s.segments[kSs].selector, s.gpr[kRsp]};
  std::size_t count = 2;
  if (!cpu.long_mode()) {
    // Parameters are copied in their order: the one nearest to the top of the old stack is pushed last.
    Stack old = current_stack(cpu);
    for (unsigned i = 0; i < gate.parameters; ++i) {
      if (!pop_value(cpu, old, gate.size, values[count + gate.parameters - 1 - i])) return false;
    }
    count += gate.parameters;
  }
  values[count++] = s.segments[kCs].selector;
  values[count++] = s.rip;
  if (!check_offset(cpu, gate.code, gate.offset) || !set_accessed(cpu, gate.code)) return false;
  if (!push_values(cpu, stack, std::span(values).first(count), gate.size)) return false;
  s.segments[kSs] = stack.ss;
  s.gpr[kRsp] = stack.pointer;
  enter_code(cpu, gate.code, gate.selector, new_cpl, gate.offset);
  cpu.update_mode();
  return true;
}

/// JMP or CALL, direct or through a gate.
bool far_branch(Cpu& cpu, const Op& op, bool call) {
  FarPointer target;
  if (!read_target(cpu, op, target)) return false;
  if (is_null(target.selector)) return cpu.raise(vector::kGeneralProtection);
  Descriptor d;
  if (!fetch_or_raise(cpu, target.selector, d, vector::kGeneralProtection)) return false;

  CallGate gate{.selector = target.selector, .offset = target.offset, .size = Params::of(op).size, .code = d};
  if (d.system()) {
    if (!open_gate(cpu, target.selector, d, gate)) return false;
    const bool inner = !gate.code.conforming() && gate.code.dpl() < cpu.s.cpl;
    if (inner && call) return call_inner(cpu, gate);
    if (inner) return cpu.raise(vector::kGeneralProtection, selector_error(gate.selector));
  } else {
    if (!d.code()) return cpu.raise(vector::kGeneralProtection, selector_error(target.selector));
    if (!check_direct(cpu, target.selector, d)) return false;
  }
  if (!check_offset(cpu, gate.code, gate.offset) || !set_accessed(cpu, gate.code)) return false;
  if (call && !push_return_address(cpu, gate.size, d.system())) return false;
  enter_code(cpu, gate.code, gate.selector, cpu.s.cpl, gate.offset);
  cpu.update_mode();
  return true;
}

/// The code segment that RET and IRET go back to.
bool check_return_code(Cpu& cpu, u16 selector, Descriptor& code) {
  if (is_null(selector)) return cpu.raise(vector::kGeneralProtection);
  if (!fetch_or_raise(cpu, selector, code, vector::kGeneralProtection)) return false;
  const u32 error = selector_error(selector);
  const u8 rpl = rpl_of(selector);
  if (!code.code() || rpl < cpu.s.cpl || !code_size_valid(cpu, code)) {
    return cpu.raise(vector::kGeneralProtection, error);
  }
  if (code.conforming() ? code.dpl() > rpl : code.dpl() != rpl) return cpu.raise(vector::kGeneralProtection, error);
  return code.present() || cpu.raise(vector::kSegmentNotPresent, error);
}

/// The stack segment that they go back to, for the level of `code_selector`.
bool check_return_stack(Cpu& cpu, u16 selector, u8 new_cpl, bool to_64bit, SegmentState& ss) {
  if (is_null(selector)) {
    if (!to_64bit || new_cpl == 3) return cpu.raise(vector::kGeneralProtection);
    ss = SegmentState{.selector = selector};
    return true;
  }
  Descriptor d;
  if (!fetch_or_raise(cpu, selector, d, vector::kGeneralProtection)) return false;
  const u32 error = selector_error(selector);
  if (rpl_of(selector) != new_cpl || d.dpl() != new_cpl || !d.writable_data()) {
    return cpu.raise(vector::kGeneralProtection, error);
  }
  if (!d.present()) return cpu.raise(vector::kStackFault, error);
  if (!set_accessed(cpu, d)) return false;
  ss = d.segment(selector);
  return true;
}

/// A return to an outer level makes segments that level may not use unusable, and every null selector 0, whatever its
/// RPL was (SDM 2, RET). Bases stay.
void drop_privileged_segments(Cpu& cpu) {
  for (const SegmentIndex i : {kEs, kDs, kFs, kGs}) {
    SegmentState& segment = cpu.s.segments[i];
    if (is_null(segment.selector)) segment.selector = 0;
    const bool present = (segment.attributes & descriptor::kPresent) != 0;
    constexpr u16 kConformingCode = descriptor::kCode | descriptor::kExpandDown;
    const bool conforming = (segment.attributes & kConformingCode) == kConformingCode;
    const u8 dpl = (segment.attributes >> descriptor::kDplShift) & 3;
    if (present && !conforming && dpl < cpu.s.cpl) {
      segment.selector = 0;
      segment.attributes = 0;
    }
  }
}

/// RSP of the stack returned to.
void set_outer_stack_pointer(Cpu& cpu, const SegmentState& ss, u64 rsp) {
  u64& old = cpu.s.gpr[kRsp];
  const bool narrow = !cpu.long_mode() && (ss.attributes & descriptor::kBig) == 0;
  old = narrow ? (old & ~u64{0xFFFF}) | (rsp & 0xFFFF) : rsp;
}

/// The RFLAGS bits that IRET may change (SDM 2, IRET).
u64 iret_flag_mask(const Cpu& cpu, unsigned size) {
  using namespace rflags;
  u64 mask = kArithmetic | kTf | kDf | kNt;
  if (size >= 4) mask |= kRf | kAc | kId;
  const unsigned iopl = static_cast<unsigned>(cpu.s.rflags >> 12) & 3;
  if (cpu.s.cpl <= iopl) mask |= kIf;
  if (cpu.s.cpl == 0) mask |= kIopl | (size >= 4 ? kVif | kVip : 0);
  return mask;
}

}  // namespace

bool far_jump(Cpu& cpu, const Op& op) { return far_branch(cpu, op, false); }
bool far_call(Cpu& cpu, const Op& op) { return far_branch(cpu, op, true); }

bool far_return(Cpu& cpu, const Op& op) {
  const Params p = Params::of(op);
  Stack stack = current_stack(cpu);
  u64 rip = 0;
  u64 cs = 0;
  if (!pop_value(cpu, stack, p.size, rip) || !pop_value(cpu, stack, p.size, cs)) return false;
  const u16 selector = static_cast<u16>(cs);
  Descriptor code;
  if (!check_return_code(cpu, selector, code)) return false;
  const u8 new_cpl = rpl_of(selector);
  skip(stack, p.value);
  if (new_cpl == cpu.s.cpl) {
    if (!check_offset(cpu, code, rip) || !set_accessed(cpu, code)) return false;
    commit_stack_pointer(cpu, stack);
    enter_code(cpu, code, selector, new_cpl, rip);
    cpu.update_mode();
    return true;
  }
  u64 rsp = 0;
  u64 ss_selector = 0;
  SegmentState ss;
  if (!pop_value(cpu, stack, p.size, rsp) || !pop_value(cpu, stack, p.size, ss_selector)) return false;
  if (!check_return_stack(cpu, static_cast<u16>(ss_selector), new_cpl, is_64bit(cpu, code), ss)) return false;
  if (!check_offset(cpu, code, rip) || !set_accessed(cpu, code)) return false;
  cpu.s.segments[kSs] = ss;
  Stack outer = is_64bit(cpu, code) ? long_stack(rsp, false, 0) : segment_stack(ss, rsp, false, 0);
  skip(outer, p.value);
  set_outer_stack_pointer(cpu, ss, outer.pointer);
  enter_code(cpu, code, selector, new_cpl, rip);
  drop_privileged_segments(cpu);
  cpu.update_mode();
  return true;
}

bool interrupt_return(Cpu& cpu, const Op& op) {
  CpuState& s = cpu.s;
  const unsigned size = Params::of(op).size;
  if ((s.rflags & rflags::kNt) != 0) {
    return cpu.long_mode() ? cpu.raise(vector::kGeneralProtection)
                           : cpu.unsupported("a hardware task switch: IRET with the NT flag");
  }
  Stack stack = current_stack(cpu);
  u64 rip = 0;
  u64 cs = 0;
  u64 flags = 0;
  if (!pop_value(cpu, stack, size, rip) || !pop_value(cpu, stack, size, cs) || !pop_value(cpu, stack, size, flags)) {
    return false;
  }
  if (!cpu.long_mode() && (flags & rflags::kVm) != 0 && s.cpl == 0) {
    return cpu.unsupported("virtual-8086 mode: IRET into it");
  }
  const u16 selector = static_cast<u16>(cs);
  Descriptor code;
  if (!check_return_code(cpu, selector, code)) return false;
  const u8 new_cpl = rpl_of(selector);
  const bool to_64bit = is_64bit(cpu, code);
  const bool outer = new_cpl > s.cpl;
  u64 rsp = 0;
  SegmentState ss;
  if (outer || cpu.code64()) {
    u64 ss_selector = 0;
    if (!pop_value(cpu, stack, size, rsp) || !pop_value(cpu, stack, size, ss_selector)) return false;
    if (!check_return_stack(cpu, static_cast<u16>(ss_selector), new_cpl, to_64bit, ss)) return false;
  }
  if (!check_offset(cpu, code, rip) || !set_accessed(cpu, code)) return false;

  u64 mask = iret_flag_mask(cpu, size);
  if (planted(PlantedFault::kIretdNestedTask) && size == 4) mask &= ~rflags::kNt;
  if (outer || cpu.code64()) {
    s.segments[kSs] = ss;
    set_outer_stack_pointer(cpu, ss, rsp);
  } else {
    commit_stack_pointer(cpu, stack);
  }
  s.rflags = (s.rflags & ~mask) | (flags & mask);
  // RF only ever holds back instruction breakpoints; it is not kept where there are none (docs/CPU.md).
  if ((s.dr7 & dr7::kEnables) == 0) s.rflags &= ~rflags::kRf;
  s.nmi_blocked = false;
  enter_code(cpu, code, selector, new_cpl, rip);
  if (outer) drop_privileged_segments(cpu);
  cpu.update_mode();
  return true;
}

}  // namespace bhvm
