#include "cpu/system/msr.h"

#include <algorithm>

#include "cpu/system/control_bits.h"
#include "cpu/system/control_registers.h"
#include "cpu/system/operands.h"

namespace bhvm {

namespace {

bool refuse(Cpu& cpu) { return cpu.raise(vector::kGeneralProtection); }

// ---- the kinds of registers ----

bool read_field(Cpu& cpu, const Msr& msr, u64& value) {
  value = cpu.s.msr.*msr.field;
  return true;
}
bool write_field(Cpu& cpu, const Msr& msr, u64 value) {
  if ((value & msr.reserved) != 0) return refuse(cpu);
  cpu.s.msr.*msr.field = value;
  return true;
}
bool write_address(Cpu& cpu, const Msr& msr, u64 value) {
  if (!cpu.is_canonical(value)) return refuse(cpu);
  cpu.s.msr.*msr.field = value;
  return true;
}
bool read_constant(Cpu&, const Msr& msr, u64& value) {
  value = msr.constant;
  return true;
}
bool read_refused(Cpu& cpu, const Msr&, u64&) { return refuse(cpu); }
bool write_refused(Cpu& cpu, const Msr&, u64) { return refuse(cpu); }
/// Commands that have nothing to act on.
bool write_ignored(Cpu& cpu, const Msr& msr, u64 value) { return (value & msr.reserved) == 0 || refuse(cpu); }

// ---- registers of the interrupt controller ----

bool read_board(Cpu& cpu, const Msr& msr, u64& value) {
  cpu.touched_board = true;
  return cpu.port.read_msr(msr.index, value) || refuse(cpu);
}
bool write_board(Cpu& cpu, const Msr& msr, u64 value) {
  cpu.touched_board = true;
  return cpu.port.write_msr(msr.index, value) || refuse(cpu);
}

// ---- time ----

bool read_tsc(Cpu& cpu, const Msr&, u64& value) {
  value = time_stamp(cpu);
  return true;
}
bool write_tsc_adjust(Cpu& cpu, const Msr&, u64 value) {
  cpu.s.msr.tsc_adjust = value;
  cpu.touched_board = true;
  cpu.port.tsc_adjusted(value);
  return true;
}
bool write_tsc(Cpu& cpu, const Msr& msr, u64 value) {
  return write_tsc_adjust(cpu, msr, cpu.s.msr.tsc_adjust + (value - time_stamp(cpu)));
}

// ---- modes and segments ----

bool write_efer_msr(Cpu& cpu, const Msr&, u64 value) { return write_efer(cpu, value); }

template <SegmentIndex segment>
bool read_base(Cpu& cpu, const Msr&, u64& value) {
  value = cpu.s.segments[segment].base;
  return true;
}
template <SegmentIndex segment>
bool write_base(Cpu& cpu, const Msr&, u64 value) {
  if (!cpu.is_canonical(value)) return refuse(cpu);
  cpu.s.segments[segment].base = value;
  return true;
}

// ---- memory types: kept, and without effect ----

/// UC, WC, WT, WP, WB; the PAT also has UC- (SDM 3, tables 11-8 and 11-10).
constexpr bool mtrr_type_valid(u64 type) { return type == 0 || type == 1 || (type >= 4 && type <= 6); }
constexpr bool pat_type_valid(u64 type) { return mtrr_type_valid(type) || type == 7; }

template <bool (*valid)(u64)>
bool bytes_valid(u64 value) {
  for (unsigned i = 0; i < 8; ++i) {
    if (!valid((value >> (8 * i)) & 0xFF)) return false;
  }
  return true;
}

bool write_pat(Cpu& cpu, const Msr&, u64 value) {
  if (!bytes_valid<pat_type_valid>(value)) return refuse(cpu);
  cpu.s.msr.pat = value;
  return true;
}

bool write_mtrr_def_type(Cpu& cpu, const Msr&, u64 value) {
  constexpr u64 kEnables = 0xC00;  // FE, E
  if ((value & ~(kEnables | 0xFF)) != 0 || !mtrr_type_valid(value & 0xFF)) return refuse(cpu);
  cpu.s.msr.mtrr_def_type = value;
  return true;
}

constexpr u32 kMtrrPhysBase0 = 0x200;

bool read_mtrr_variable(Cpu& cpu, const Msr& msr, u64& value) {
  value = cpu.s.msr.mtrr_variable[msr.index - kMtrrPhysBase0];
  return true;
}
bool write_mtrr_variable(Cpu& cpu, const Msr& msr, u64 value) {
  const bool mask = (msr.index & 1) != 0;
  const u64 low = mask ? 0x800 : 0xFF;  // V; type
  const u64 allowed = (kPhysicalAddressMask & kPageMask) | low;
  if ((value & ~allowed) != 0 || (!mask && !mtrr_type_valid(value & 0xFF))) return refuse(cpu);
  cpu.s.msr.mtrr_variable[msr.index - kMtrrPhysBase0] = value;
  return true;
}

/// Place of a fixed-range MTRR in MsrState::mtrr_fixed: 64K, 16K twice, 4K eight times.
unsigned mtrr_fixed_place(u32 index) {
  return index == 0x250 ? 0 : index <= 0x259 ? 1 + (index - 0x258) : 3 + (index - 0x268);
}
bool read_mtrr_fixed(Cpu& cpu, const Msr& msr, u64& value) {
  value = cpu.s.msr.mtrr_fixed[mtrr_fixed_place(msr.index)];
  return true;
}
bool write_mtrr_fixed(Cpu& cpu, const Msr& msr, u64 value) {
  if (!bytes_valid<mtrr_type_valid>(value)) return refuse(cpu);
  cpu.s.msr.mtrr_fixed[mtrr_fixed_place(msr.index)] = value;
  return true;
}

// ---- IA32_MISC_ENABLE ----

/// Bits that exist: fast strings (0) is kept; TM1 (3), performance monitoring (7), BTS and PEBS unavailable (11, 12),
/// SpeedStep (16), MONITOR (18), limit CPUID (22) and XD disable (34) read as this processor has them.
constexpr u64 kMiscEnableFastStrings = 1;
constexpr u64 kMiscEnableFixed = (u64{1} << 11) | (u64{1} << 12);
constexpr u64 kMiscEnableKnown = kMiscEnableFastStrings | kMiscEnableFixed | (u64{1} << 3) | (u64{1} << 7) |
                                 (u64{1} << 16) | (u64{1} << 18) | (u64{1} << 22) | (u64{1} << 34);

bool read_misc_enable(Cpu& cpu, const Msr&, u64& value) {
  value = cpu.s.msr.misc_enable | kMiscEnableFixed;
  return true;
}
bool write_misc_enable(Cpu& cpu, const Msr&, u64 value) {
  if ((value & ~kMiscEnableKnown) != 0) return refuse(cpu);
  cpu.s.msr.misc_enable = value & kMiscEnableFastStrings;
  return true;
}

/// IA32_ARCH_CAPABILITIES by bit.
constexpr u8 kArchCapabilityBits[] = {
    0,   // RDCL_NO
    1,   // IBRS_ALL
    3,   // SKIP_L1DFL_VMENTRY
    4,   // SSB_NO
    5,   // MDS_NO
    6,   // IF_PSCHANGE_MC_NO
    8,   // TAA_NO
    13,  // SBDR_SSDP_NO
    14,  // FBSDP_NO
    15,  // PSDP_NO
    20,  // BHI_NO
    24,  // PBRSB_NO
    26,  // GDS_NO
    27,  // RFDS_NO
    62,  // ITS_NO
};
constexpr u64 kArchCapabilities = [] {
  u64 value = 0;
  for (const u8 bit : kArchCapabilityBits) value |= u64{1} << bit;
  return value;
}();

constexpr u64 kUpper32 = 0xFFFFFFFF00000000;
constexpr u64 kMtrrCap = 8 | (1 << 8) | (1 << 10);  // 8 variable ranges, fixed ranges, WC
constexpr u64 kSpecCtrlBits = 0x403;                // IBRS, STIBP, BHI_DIS_S
constexpr u64 kMicrocodeRevision = u64{1} << 32;

constexpr Msr kMsrs[] = {
    {.first = 0x10, .name = "IA32_TIME_STAMP_COUNTER", .read = read_tsc, .write = write_tsc},
    {.first = 0x17, .name = "IA32_PLATFORM_ID", .read = read_constant, .write = write_refused},
    {.first = 0x1B, .name = "IA32_APIC_BASE", .read = read_board, .write = write_board},
    {.first = 0x3B,
     .name = "IA32_TSC_ADJUST",
     .field = &MsrState::tsc_adjust,
     .read = read_field,
     .write = write_tsc_adjust},
    {.first = 0x48,
     .name = "IA32_SPEC_CTRL",
     .field = &MsrState::spec_ctrl,
     .reserved = ~kSpecCtrlBits,
     .read = read_field,
     .write = write_field},
    {.first = 0x49, .name = "IA32_PRED_CMD", .reserved = ~u64{1}, .read = read_refused, .write = write_ignored},
    {.first = 0x79, .name = "IA32_BIOS_UPDT_TRIG", .read = read_refused, .write = write_ignored},
    {.first = 0x8B,
     .name = "IA32_BIOS_SIGN_ID",
     .constant = kMicrocodeRevision,
     .read = read_constant,
     .write = write_ignored},
    {.first = 0xFE, .name = "IA32_MTRRCAP", .constant = kMtrrCap, .read = read_constant, .write = write_refused},
    {.first = 0x10A,
     .name = "IA32_ARCH_CAPABILITIES",
     .constant = kArchCapabilities,
     .read = read_constant,
     .write = write_refused},
    {.first = 0x174,
     .name = "IA32_SYSENTER_CS",
     .field = &MsrState::sysenter_cs,
     .reserved = kUpper32,
     .read = read_field,
     .write = write_field},
    {.first = 0x175,
     .name = "IA32_SYSENTER_ESP",
     .field = &MsrState::sysenter_esp,
     .read = read_field,
     .write = write_address},
    {.first = 0x176,
     .name = "IA32_SYSENTER_EIP",
     .field = &MsrState::sysenter_eip,
     .read = read_field,
     .write = write_address},
    {.first = 0x1A0, .name = "IA32_MISC_ENABLE", .read = read_misc_enable, .write = write_misc_enable},
    {.first = 0x1D9,
     .name = "IA32_DEBUGCTL",
     .field = &MsrState::debugctl,
     .reserved = ~u64{0},
     .read = read_field,
     .write = write_field},
    {.first = kMtrrPhysBase0,
     .last = 0x20F,
     .name = "IA32_MTRR_PHYSBASE0 to PHYSMASK7",
     .read = read_mtrr_variable,
     .write = write_mtrr_variable},
    {.first = 0x250, .name = "IA32_MTRR_FIX64K_00000", .read = read_mtrr_fixed, .write = write_mtrr_fixed},
    {.first = 0x258,
     .last = 0x259,
     .name = "IA32_MTRR_FIX16K_80000 to A0000",
     .read = read_mtrr_fixed,
     .write = write_mtrr_fixed},
    {.first = 0x268,
     .last = 0x26F,
     .name = "IA32_MTRR_FIX4K_C0000 to F8000",
     .read = read_mtrr_fixed,
     .write = write_mtrr_fixed},
    {.first = 0x277, .name = "IA32_PAT", .field = &MsrState::pat, .read = read_field, .write = write_pat},
    {.first = 0x2FF,
     .name = "IA32_MTRR_DEF_TYPE",
     .field = &MsrState::mtrr_def_type,
     .read = read_field,
     .write = write_mtrr_def_type},
    {.first = 0x6E0, .name = "IA32_TSC_DEADLINE", .read = read_board, .write = write_board},
    {.first = 0xC0000080, .name = "IA32_EFER", .field = &MsrState::efer, .read = read_field, .write = write_efer_msr},
    {.first = 0xC0000081, .name = "IA32_STAR", .field = &MsrState::star, .read = read_field, .write = write_field},
    {.first = 0xC0000082, .name = "IA32_LSTAR", .field = &MsrState::lstar, .read = read_field, .write = write_address},
    {.first = 0xC0000083, .name = "IA32_CSTAR", .field = &MsrState::cstar, .read = read_field, .write = write_address},
    {.first = 0xC0000084,
     .name = "IA32_FMASK",
     .field = &MsrState::fmask,
     .reserved = kUpper32,
     .read = read_field,
     .write = write_field},
    {.first = 0xC0000100, .name = "IA32_FS_BASE", .read = read_base<kFs>, .write = write_base<kFs>},
    {.first = 0xC0000101, .name = "IA32_GS_BASE", .read = read_base<kGs>, .write = write_base<kGs>},
    {.first = 0xC0000102,
     .name = "IA32_KERNEL_GS_BASE",
     .field = &MsrState::kernel_gs_base,
     .read = read_field,
     .write = write_address},
    {.first = 0xC0000103,
     .name = "IA32_TSC_AUX",
     .field = &MsrState::tsc_aux,
     .reserved = kUpper32,
     .read = read_field,
     .write = write_field},
};

/// The row of an MSR, with `index` filled in; a row without functions when there is none.
Msr find(u32 index) {
  for (const Msr& msr : kMsrs) {
    if (index >= msr.first && index <= std::max(msr.first, msr.last)) {
      Msr found = msr;
      found.index = index;
      return found;
    }
  }
  return {};
}

}  // namespace

u64 arch_capabilities() { return kArchCapabilities; }

std::span<const Msr> msrs() { return kMsrs; }

bool read_msr(Cpu& cpu, u32 index, u64& value) {
  const Msr msr = find(index);
  return msr.read != nullptr ? msr.read(cpu, msr, value) : refuse(cpu);
}

bool write_msr(Cpu& cpu, u32 index, u64 value) {
  const Msr msr = find(index);
  return msr.write != nullptr ? msr.write(cpu, msr, value) : refuse(cpu);
}

bool rdmsr(Cpu& cpu, const Op&) {
  u64 value = 0;
  if (!require_cpl0(cpu) || !read_msr(cpu, static_cast<u32>(cpu.s.gpr[kRcx]), value)) return false;
  cpu.s.gpr[kRax] = static_cast<u32>(value);
  cpu.s.gpr[kRdx] = value >> 32;
  return true;
}

bool wrmsr(Cpu& cpu, const Op&) {
  const u64 value = static_cast<u32>(cpu.s.gpr[kRax]) | (cpu.s.gpr[kRdx] << 32);
  return require_cpl0(cpu) && write_msr(cpu, static_cast<u32>(cpu.s.gpr[kRcx]), value);
}

}  // namespace bhvm
