#include "cpu/system/control_registers.h"

#include "cpu/system/control_bits.h"
#include "cpu/system/descriptors.h"
#include "cpu/system/operands.h"

namespace bhvm {

namespace {

bool general_protection(Cpu& cpu) { return cpu.raise(vector::kGeneralProtection); }

/// Reads the four PDPTEs that CR3 points at; a present one with reserved bits is #GP(0) (SDM 3, 4.4.1).
bool read_pdptes(Cpu& cpu, u64 cr3, std::array<u64, 4>& pdpte) {
  constexpr u64 kReserved = 0x1E6 | ~kPhysicalAddressMask;
  for (unsigned i = 0; i < 4; ++i) {
    u64 entry = 0;
    const PhysicalAddress address{(cr3 & 0xFFFFFFE0) + 8 * i};
    if (!cpu.mmu.memory().read_value(address, entry)) entry = 0;
    if ((entry & 1) != 0 && (entry & kReserved) != 0) return general_protection(cpu);
    pdpte[i] = entry;
  }
  return true;
}

bool pae_paging(u64 cr0_value, u64 cr4_value, u64 efer_value) {
  return (cr0_value & cr0::kPg) != 0 && (cr4_value & cr4::kPae) != 0 && (efer_value & efer::kLme) == 0;
}

bool write_cr0(Cpu& cpu, u64 value) {
  CpuState& s = cpu.s;
  if ((value >> 32) != 0) return general_protection(cpu);
  value = (value & cr0::kDefined) | cr0::kEt;
  const bool pg = (value & cr0::kPg) != 0;
  if (pg && (value & cr0::kPe) == 0) return general_protection(cpu);
  if ((value & cr0::kNw) != 0 && (value & cr0::kCd) == 0) return general_protection(cpu);
  const u64 changed = value ^ s.cr0;
  u64 efer_value = s.msr.efer;
  if ((changed & cr0::kPg) != 0) {
    if (pg && (efer_value & efer::kLme) != 0) {
      const bool tss16 = (s.tr.attributes & descriptor::kPresent) != 0 && (s.tr.attributes & 8) == 0;
      const bool long_code = (s.segments[kCs].attributes & descriptor::kLong) != 0;
      if ((s.cr4 & cr4::kPae) == 0 || long_code || tss16) return general_protection(cpu);
      efer_value |= efer::kLma;
    } else if (!pg) {
      if (cpu.code64() || (s.cr4 & cr4::kPcide) != 0) return general_protection(cpu);
      efer_value &= ~efer::kLma;
    }
  }
  if ((value & cr0::kPe) == 0) return cpu.unsupported("real mode: CR0.PE was cleared");
  constexpr u64 kReloads = cr0::kPg | cr0::kCd | cr0::kNw;
  if ((changed & kReloads) != 0 && pae_paging(value, s.cr4, efer_value)) {
    std::array<u64, 4> pdpte{};
    if (!read_pdptes(cpu, s.cr3, pdpte)) return false;
    s.pdpte = pdpte;
  }
  s.cr0 = value;
  s.msr.efer = efer_value;
  cpu.update_mode();
  if ((changed & (cr0::kPg | cr0::kPe | cr0::kWp)) != 0) cpu.flush_tlb_all();
  return true;
}

/// Bit 63 under CR4.PCIDE: translations stay (SDM 3, 4.10.4.1).
bool write_cr3(Cpu& cpu, u64 value) {
  CpuState& s = cpu.s;
  constexpr u64 kNoFlush = u64{1} << 63;
  const bool keep = (s.cr4 & cr4::kPcide) != 0 && (value & kNoFlush) != 0;
  if (keep) value &= ~kNoFlush;
  if (cpu.long_mode() && (value & ~kPhysicalAddressMask) != 0) return general_protection(cpu);
  if (pae_paging(s.cr0, s.cr4, s.msr.efer)) {
    std::array<u64, 4> pdpte{};
    if (!read_pdptes(cpu, value, pdpte)) return false;
    s.pdpte = pdpte;
  }
  s.cr3 = value;
  cpu.update_mode();
  if (keep) {
    cpu.forget_fetch_page();
  } else {
    cpu.flush_tlb_non_global();
  }
  return true;
}

bool write_cr4(Cpu& cpu, u64 value) {
  CpuState& s = cpu.s;
  if ((value & ~cr4::kSupported) != 0) return general_protection(cpu);
  if (cpu.long_mode() && (value & cr4::kPae) == 0) return general_protection(cpu);
  const u64 changed = value ^ s.cr4;
  const bool sets_pcide = (changed & value & cr4::kPcide) != 0;
  if (sets_pcide && (!cpu.long_mode() || (s.cr3 & kPageOffsetMask) != 0)) return general_protection(cpu);
  constexpr u64 kReloads = cr4::kPae | cr4::kPge | cr4::kPse | cr4::kSmep;
  if ((changed & kReloads) != 0 && pae_paging(s.cr0, value, s.msr.efer)) {
    std::array<u64, 4> pdpte{};
    if (!read_pdptes(cpu, s.cr3, pdpte)) return false;
    s.pdpte = pdpte;
  }
  s.cr4 = value;
  cpu.update_mode();
  if ((changed & (kReloads | cr4::kSmap | cr4::kPcide)) != 0) cpu.flush_tlb_all();
  return true;
}

/// DR4 and DR5 are names of DR6 and DR7 unless CR4.DE; any access is a #DB while DR7.GD is set (SDM 3, 17.2.2).
bool select_debug_register(Cpu& cpu, unsigned& number) {
  if (number == 4 || number == 5) {
    if ((cpu.s.cr4 & cr4::kDe) != 0) return cpu.raise(vector::kInvalidOpcode);
    number += 2;
  }
  if (!require_cpl0(cpu)) return false;
  return (cpu.s.dr7 & dr7::kGd) == 0 || cpu.raise(vector::kDebug, dr6::kBd);
}

/// Checks an address as a one-byte load does, and reads nothing.
bool probe_read(Cpu& cpu, u64 linear, bool stack_segment) {
  if (cpu.long_mode() && !cpu.is_canonical(linear)) {
    return cpu.raise(stack_segment ? vector::kStackFault : vector::kGeneralProtection);
  }
  const bool over_user = (cpu.s.cr4 & cr4::kSmap) == 0 || (cpu.s.rflags & rflags::kAc) != 0;
  const Translation t = cpu.mmu.translate_data({linear}, Access::kRead, cpu.s.cpl == 3, over_user);
  return t.ok || cpu.raise_page_fault(linear, t.error_code);
}

void write_edx_eax(Cpu& cpu, u64 value) {
  cpu.s.gpr[kRax] = static_cast<u32>(value);
  cpu.s.gpr[kRdx] = value >> 32;
}

bool time_stamp_allowed(Cpu& cpu) { return (cpu.s.cr4 & cr4::kTsd) == 0 || cpu.s.cpl == 0 || general_protection(cpu); }

}  // namespace

bool mov_to_control(Cpu& cpu, const Op& op) {
  if (!require_cpl0(cpu)) return false;
  const Params p = Params::of(op);
  const u64 value = p.size == 8 ? operand<u64>(cpu, op.src) : operand<u32>(cpu, op.src);
  switch (p.number) {
    case 0:
      return write_cr0(cpu, value);
    case 2:
      cpu.s.cr2 = value;
      return true;
    case 3:
      return write_cr3(cpu, value);
    case 4:
      return write_cr4(cpu, value);
    default:
      break;
  }
  if (value > 15) return general_protection(cpu);  // CR8
  cpu.port.write_cr8(value);
  cpu.touched_board = true;
  return true;
}

bool mov_from_control(Cpu& cpu, const Op& op) {
  if (!require_cpl0(cpu)) return false;
  const Params p = Params::of(op);
  u64 value = 0;
  switch (p.number) {
    case 0:
      value = cpu.s.cr0;
      break;
    case 2:
      value = cpu.s.cr2;
      break;
    case 3:
      value = cpu.s.cr3;
      break;
    case 4:
      value = cpu.s.cr4;
      break;
    default:
      value = cpu.port.read_cr8();
      break;
  }
  write_register(cpu, op.dst, p.size, value);
  return true;
}

bool mov_to_debug(Cpu& cpu, const Op& op) {
  CpuState& s = cpu.s;
  const Params p = Params::of(op);
  unsigned number = p.number;
  if (!select_debug_register(cpu, number)) return false;
  const u64 value = p.size == 8 ? operand<u64>(cpu, op.src) : operand<u32>(cpu, op.src);
  if (number < 4) {
    s.dr[number] = value;
    return true;
  }
  if ((value >> 32) != 0) return general_protection(cpu);
  if (number == 6) {
    s.dr6 = (value & dr6::kWritable) | dr6::kOnes;
  } else {
    s.dr7 = (value & dr7::kWritable) | dr7::kOnes;
    cpu.update_mode();
  }
  return true;
}

bool mov_from_debug(Cpu& cpu, const Op& op) {
  const Params p = Params::of(op);
  unsigned number = p.number;
  if (!select_debug_register(cpu, number)) return false;
  const u64 value = number < 4 ? cpu.s.dr[number] : number == 6 ? cpu.s.dr6 : cpu.s.dr7;
  write_register(cpu, op.dst, p.size, value);
  return true;
}

bool lmsw(Cpu& cpu, const Op& op) {
  if (!require_cpl0(cpu)) return false;
  u16 value = 0;
  if (!read_rm16(cpu, op, Params::of(op), value)) return false;
  constexpr u64 kLoaded = cr0::kMp | cr0::kEm | cr0::kTs;  // PE can only be set, and it is
  return write_cr0(cpu, (cpu.s.cr0 & ~kLoaded) | (value & kLoaded));
}

bool smsw(Cpu& cpu, const Op& op) { return umip_allows(cpu) && write_rm16(cpu, op, Params::of(op), cpu.s.cr0); }

bool clts(Cpu& cpu, const Op&) {
  if (!require_cpl0(cpu)) return false;
  cpu.s.cr0 &= ~cr0::kTs;
  cpu.update_mode();
  return true;
}

bool invlpg(Cpu& cpu, const Op&) {
  if (!require_cpl0(cpu)) return false;
  const u64 linear = cpu.scratch_address;
  if (cpu.is_canonical(linear)) cpu.flush_tlb_page(linear);
  return true;
}

bool clflush(Cpu& cpu, const Op& op) {
  return probe_read(cpu, cpu.scratch_address, (op.scale & Op::kStackSegment) != 0);
}

bool cache_nothing(Cpu& cpu, const Op&) { return require_cpl0(cpu); }

bool hlt(Cpu& cpu, const Op&) {
  if (!require_cpl0(cpu)) return false;
  cpu.s.halted = true;
  return true;
}

u64 time_stamp(const Cpu& cpu) { return cpu.port.tsc_at(cpu.s.instructions) + cpu.s.msr.tsc_adjust; }

namespace {

/// Reads it within the dispatch. Nothing but the registers changes, and no floating point is in the board's clocks.
[[gnu::noinline]] bool read_time_stamp(Cpu& cpu, u64 instructions) {
  if (!time_stamp_allowed(cpu)) return false;
  write_edx_eax(cpu, cpu.port.tsc_at(instructions) + cpu.s.msr.tsc_adjust);
  return true;
}

}  // namespace

BHVM_HANDLER(rdtsc) {
  if (!read_time_stamp(cpu, cpu.limit - static_cast<u64>(budget + op->rest + 1))) BHVM_FAULT;
  BHVM_NEXT;
}

BHVM_HANDLER(rdtscp) {
  if (!read_time_stamp(cpu, cpu.limit - static_cast<u64>(budget + op->rest + 1))) BHVM_FAULT;
  cpu.s.gpr[kRcx] = static_cast<u32>(cpu.s.msr.tsc_aux);
  BHVM_NEXT;
}

bool rdpmc(Cpu& cpu, const Op&) { return general_protection(cpu); }  // no counter exists

bool write_efer(Cpu& cpu, u64 value) {
  CpuState& s = cpu.s;
  if ((value & ~(efer::kWritable | efer::kLma)) != 0) return general_protection(cpu);
  const u64 changed = (value ^ s.msr.efer) & efer::kWritable;
  if ((changed & efer::kLme) != 0 && (s.cr0 & cr0::kPg) != 0) return general_protection(cpu);
  s.msr.efer ^= changed;
  if ((changed & efer::kNxe) != 0) {
    cpu.update_mode();
    cpu.flush_tlb_all();
  }
  return true;
}

}  // namespace bhvm
