#include "cpu/system/fast_calls.h"

#include <utility>

#include "base/planted_fault.h"
#include "cpu/system/control_bits.h"
#include "cpu/system/descriptors.h"
#include "cpu/system/operands.h"

namespace bhvm {

namespace {

enum class CodeSize : u8 { k32, k64 };

/// The flat segments that these instructions load without a look at the GDT (SDM 2, SYSCALL).
SegmentState flat_code(u16 selector, u8 dpl, CodeSize size) {
  constexpr u16 kAccessedReadableCode = 0xB;
  const u16 attributes = static_cast<u16>(
      kAccessedReadableCode | descriptor::kNonSystem | (dpl << descriptor::kDplShift) | descriptor::kPresent |
      descriptor::kGranularity | (size == CodeSize::k64 ? descriptor::kLong : descriptor::kBig));
  return {with_rpl(selector, dpl), attributes, 0xFFFFFFFF, 0};
}

SegmentState flat_stack(u16 selector, u8 dpl) {
  constexpr u16 kAccessedWritableData = 0x3;
  const u16 attributes =
      static_cast<u16>(kAccessedWritableData | descriptor::kNonSystem | (dpl << descriptor::kDplShift) |
                       descriptor::kPresent | descriptor::kGranularity | descriptor::kBig);
  return {with_rpl(selector, dpl), attributes, 0xFFFFFFFF, 0};
}

void enter_level(Cpu& cpu, u8 cpl, u16 cs, u16 ss, CodeSize size) {
  CpuState& s = cpu.s;
  s.segments[kCs] = flat_code(cs, cpl, size);
  s.segments[kSs] = flat_stack(ss, cpl);
  s.cpl = cpl;
  cpu.forget_fetch_page();
  cpu.update_mode();
}

bool fast_calls_enabled(Cpu& cpu) {
  return (cpu.code64() && (cpu.s.msr.efer & efer::kSce) != 0) || cpu.raise(vector::kInvalidOpcode);
}

bool sysenter_enabled(Cpu& cpu) {
  return !is_null(static_cast<u16>(cpu.s.msr.sysenter_cs)) || cpu.raise(vector::kGeneralProtection);
}

}  // namespace

bool syscall(Cpu& cpu, const Op&) {
  if (!fast_calls_enabled(cpu)) return false;
  CpuState& s = cpu.s;
  s.gpr[kRcx] = s.rip;
  s.gpr[kR11] = s.rflags & ~rflags::kRf;
  if (planted(PlantedFault::kSyscallSavedFlags)) s.gpr[kR11] &= ~(s.msr.fmask & rflags::kAc);
  s.rip = s.msr.lstar;
  const u64 kept = planted(PlantedFault::kSyscallKeepsAc) ? rflags::kAc : 0;
  s.rflags = (s.rflags & ~((s.msr.fmask & ~kept) | rflags::kRf)) | rflags::kFixed;
  const u16 selector = static_cast<u16>(s.msr.star >> 32);
  enter_level(cpu, 0, selector, static_cast<u16>((selector & 0xFFFC) + 8), CodeSize::k64);
  cpu.stepped_by_new_flag = true;
  return true;
}

bool sysret(Cpu& cpu, const Op& op) {
  if (!fast_calls_enabled(cpu) || !require_cpl0(cpu)) return false;
  CpuState& s = cpu.s;
  const bool to_64bit = Params::of(op).size == 8;
  if (to_64bit && !cpu.is_canonical(s.gpr[kRcx])) return cpu.raise(vector::kGeneralProtection);
  constexpr u64 kFlags = 0x3C7FD7;
  s.rip = to_64bit ? s.gpr[kRcx] : static_cast<u32>(s.gpr[kRcx]);
  s.rflags = (s.gpr[kR11] & kFlags) | rflags::kFixed;
  const u16 selector = static_cast<u16>(s.msr.star >> 48);
  const u16 cs = static_cast<u16>(to_64bit ? selector + 16 : selector);
  enter_level(cpu, 3, cs, static_cast<u16>(selector + 8), to_64bit ? CodeSize::k64 : CodeSize::k32);
  cpu.stepped_by_new_flag = true;
  return true;
}

bool sysenter(Cpu& cpu, const Op&) {
  if (!sysenter_enabled(cpu)) return false;
  CpuState& s = cpu.s;
  const bool to_64bit = cpu.long_mode();
  s.rflags &= ~(rflags::kVm | rflags::kIf | rflags::kRf);
  s.gpr[kRsp] = to_64bit ? s.msr.sysenter_esp : static_cast<u32>(s.msr.sysenter_esp);
  s.rip = to_64bit ? s.msr.sysenter_eip : static_cast<u32>(s.msr.sysenter_eip);
  const u16 cs = static_cast<u16>(s.msr.sysenter_cs & 0xFFFC);
  enter_level(cpu, 0, cs, static_cast<u16>(cs + 8), to_64bit ? CodeSize::k64 : CodeSize::k32);
  return true;
}

bool sysexit(Cpu& cpu, const Op& op) {
  if (!sysenter_enabled(cpu) || !require_cpl0(cpu)) return false;
  CpuState& s = cpu.s;
  const bool to_64bit = Params::of(op).size == 8;
  if (to_64bit && !(cpu.is_canonical(s.gpr[kRcx]) && cpu.is_canonical(s.gpr[kRdx]))) {
    return cpu.raise(vector::kGeneralProtection);
  }
  s.gpr[kRsp] = to_64bit ? s.gpr[kRcx] : static_cast<u32>(s.gpr[kRcx]);
  s.rip = to_64bit ? s.gpr[kRdx] : static_cast<u32>(s.gpr[kRdx]);
  const u16 cs = static_cast<u16>((s.msr.sysenter_cs & 0xFFFC) + (to_64bit ? 32 : 16));
  enter_level(cpu, 3, cs, static_cast<u16>(cs + 8), to_64bit ? CodeSize::k64 : CodeSize::k32);
  return true;
}

BHVM_HANDLER(swapgs) {
  if (BHVM_UNLIKELY(cpu.s.cpl != 0)) {
    cpu.raise(vector::kGeneralProtection);
    BHVM_FAULT;
  }
  std::swap(cpu.s.segments[kGs].base, cpu.s.msr.kernel_gs_base);
  BHVM_NEXT;
}

template <SegmentIndex segment, class T>
BHVM_HANDLER(read_segment_base) {
  if (BHVM_UNLIKELY((cpu.s.cr4 & cr4::kFsgsbase) == 0)) {
    cpu.raise(vector::kInvalidOpcode);
    BHVM_FAULT;
  }
  write_gpr<T>(cpu, op->dst, static_cast<T>(cpu.s.segments[segment].base));
  BHVM_NEXT;
}

template <SegmentIndex segment, class T>
BHVM_HANDLER(write_segment_base) {
  if (BHVM_UNLIKELY((cpu.s.cr4 & cr4::kFsgsbase) == 0)) {
    cpu.raise(vector::kInvalidOpcode);
    BHVM_FAULT;
  }
  const u64 base = operand<T>(cpu, op->src);
  if (BHVM_UNLIKELY(!cpu.is_canonical(base))) {
    cpu.raise(vector::kGeneralProtection);
    BHVM_FAULT;
  }
  cpu.s.segments[segment].base = base;
  BHVM_NEXT;
}

template BHVM_HANDLER((read_segment_base<kFs, u32>));
template BHVM_HANDLER((read_segment_base<kFs, u64>));
template BHVM_HANDLER((read_segment_base<kGs, u32>));
template BHVM_HANDLER((read_segment_base<kGs, u64>));
template BHVM_HANDLER((write_segment_base<kFs, u32>));
template BHVM_HANDLER((write_segment_base<kFs, u64>));
template BHVM_HANDLER((write_segment_base<kGs, u32>));
template BHVM_HANDLER((write_segment_base<kGs, u64>));

}  // namespace bhvm
