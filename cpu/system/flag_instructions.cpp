#include "cpu/system/flag_instructions.h"

#include <array>

#include "base/planted_fault.h"
#include "cpu/system/control_bits.h"
#include "cpu/system/operands.h"
#include "cpu/system/stack.h"

namespace bhvm {

namespace {

BHVM_INLINE unsigned iopl(u64 flags) { return static_cast<unsigned>(flags >> 12) & 3; }

/// The RFLAGS bits that POPF may change at this level (SDM 2, POPF).
BHVM_INLINE u64 popf_mask(const Cpu& cpu, unsigned size) {
  using namespace rflags;
  u64 mask = kArithmetic | kTf | kDf | kNt;
  if (size >= 4) mask |= kAc | kId;
  if (cpu.s.cpl <= iopl(cpu.s.rflags)) mask |= kIf;
  if (cpu.s.cpl == 0) mask |= kIopl;
  return mask;
}

constexpr u64 kPushfHidden = rflags::kVm | rflags::kRf;

/// What STAC and CLAC share. CPL is 0, so AC is about user pages alone; the inline path of accesses follows at once.
BHVM_INLINE bool set_access_control(Cpu& cpu, bool open) {
  if (BHVM_UNLIKELY(cpu.s.cpl != 0)) return cpu.raise(vector::kInvalidOpcode);
  cpu.s.rflags = (cpu.s.rflags & ~rflags::kAc) | (open ? rflags::kAc : 0);
  if (BHVM_LIKELY(cpu.data_mode != DataMode::kChecked)) {
    const bool refuse = !open && (cpu.s.cr4 & cr4::kSmap) != 0;
    cpu.data_mode = refuse ? DataMode::kSupervisor : DataMode::kSupervisorOverUser;
    cpu.fast = cpu.mmu.fast(cpu.data_mode);
  }
  return true;
}

}  // namespace

bool cli(Cpu& cpu, const Op&) {
  if (cpu.s.cpl > iopl(cpu.s.rflags)) return cpu.raise(vector::kGeneralProtection);
  cpu.s.rflags &= ~rflags::kIf;
  return true;
}

bool sti(Cpu& cpu, const Op&) {
  if (cpu.s.cpl > iopl(cpu.s.rflags)) return cpu.raise(vector::kGeneralProtection);
  const bool shadow = (cpu.s.rflags & rflags::kIf) == 0 && !planted(PlantedFault::kStiShadow);
  if (shadow) inhibit_interrupts(cpu, false);
  cpu.s.rflags |= rflags::kIf;
  return true;
}

bool pushf(Cpu& cpu, const Op& op) {
  Stack stack = current_stack(cpu);
  const std::array<u64, 1> value{cpu.s.rflags & ~kPushfHidden};
  if (!push_values(cpu, stack, value, Params::of(op).size)) return false;
  commit_stack_pointer(cpu, stack);
  return true;
}

bool popf(Cpu& cpu, const Op& op) {
  const unsigned size = Params::of(op).size;
  Stack stack = current_stack(cpu);
  u64 value = 0;
  if (!pop_value(cpu, stack, size, value)) return false;
  commit_stack_pointer(cpu, stack);
  const u64 mask = popf_mask(cpu, size);
  const u64 changed = (cpu.s.rflags ^ value) & mask;
  cpu.s.rflags = ((cpu.s.rflags & ~mask) | (value & mask)) & ~rflags::kRf;
  if ((changed & rflags::kAc) != 0) cpu.update_mode();
  return true;
}

BHVM_HANDLER(cli_inline) {
  if (BHVM_UNLIKELY(cpu.s.cpl > iopl(cpu.s.rflags))) {
    cpu.raise(vector::kGeneralProtection);
    BHVM_FAULT;
  }
  cpu.s.rflags &= ~rflags::kIf;
  BHVM_NEXT;
}

BHVM_HANDLER(sti_inline) {
  if (BHVM_UNLIKELY(cpu.interrupts_wanted || cpu.s.cpl > iopl(cpu.s.rflags))) BHVM_BECOME(system_op<sti>);
  if ((cpu.s.rflags & rflags::kIf) == 0) {
    cpu.s.shadow_at = cpu.limit - static_cast<u64>(budget + op->rest);
    cpu.s.shadow_blocks_debug = false;
    cpu.s.rflags |= rflags::kIf;
  }
  BHVM_NEXT;
}

BHVM_HANDLER(pushf64_inline) {
  const u64 value = cpu.rflags() & ~kPushfHidden;
  const u64 rsp = cpu.s.gpr[kRsp] - 8;
  if (!store<u64>(cpu, rsp, value)) BHVM_FAULT;
  cpu.s.gpr[kRsp] = rsp;
  BHVM_NEXT;
}

BHVM_HANDLER(popf64_inline) {
  const u64 rsp = cpu.s.gpr[kRsp];
  u64 value = 0;
  if (!load<u64>(cpu, rsp, value)) BHVM_FAULT;
  const u64 mask = popf_mask(cpu, 8);
  const u64 changed = (cpu.s.rflags ^ value) & mask;
  const bool opens = (changed & value & rflags::kIf) != 0 && cpu.interrupts_wanted;
  if (BHVM_UNLIKELY(opens || (changed & (rflags::kTf | rflags::kAc)) != 0)) BHVM_BECOME(system_op<popf>);
  cpu.s.gpr[kRsp] = rsp + 8;
  cpu.set_rflags(((cpu.s.rflags & ~mask) | (value & mask)) & ~rflags::kRf);
  BHVM_NEXT;
}

BHVM_HANDLER(stac) {
  if (!set_access_control(cpu, true)) BHVM_FAULT;
  fast = cpu.fast;
  BHVM_NEXT;
}

BHVM_HANDLER(clac) {
  if (!set_access_control(cpu, false)) BHVM_FAULT;
  fast = cpu.fast;
  BHVM_NEXT;
}

}  // namespace bhvm
