// What is derived from the control registers, the segments and the privilege level.
#include "cpu/mode.h"

#include <cstring>

#include "cpu/code_cache.h"
#include "cpu/cpu.h"

namespace bhvm {
namespace {

constexpr u64 kCr0Mp = 1 << 1;
constexpr u64 kCr0Em = 1 << 2;
constexpr u64 kCr0Ts = 1 << 3;
constexpr u64 kCr0Wp = 1 << 16;
constexpr u64 kCr0Am = 1 << 18;
constexpr u64 kCr0Pg = u64{1} << 31;
constexpr u64 kCr4Pse = 1 << 4;
constexpr u64 kCr4Pae = 1 << 5;
constexpr u64 kCr4Pge = 1 << 7;
constexpr u64 kCr4Osfxsr = 1 << 9;
constexpr u64 kCr4Pcide = 1 << 17;
constexpr u64 kCr4Osxsave = 1 << 18;
constexpr u64 kCr4Smep = 1 << 20;
constexpr u64 kCr4Smap = 1 << 21;
constexpr u64 kEferNxe = 1 << 11;
constexpr u64 kDr7Enabled = 0xFF;
constexpr u32 kMxcsrMasks = 0x1F80;

bool flat(const SegmentState& segment, bool data) {
  const bool present = (segment.attributes & descriptor::kPresent) != 0;
  const bool kind =
      data ? (segment.attributes & (descriptor::kCode | descriptor::kWritable | descriptor::kExpandDown)) ==
                 descriptor::kWritable
           : (segment.attributes & descriptor::kCode) != 0;
  return present && kind && segment.base == 0 && segment.limit == 0xFFFFFFFF;
}

u32 mode_key(const CpuState& s) {
  u32 key = 0;
  if ((s.msr.efer & (1 << 10)) != 0 && (s.segments[kCs].attributes & descriptor::kLong) != 0) {
    key |= mode::kCode64;
  } else {
    if ((s.segments[kCs].attributes & descriptor::kBig) != 0) key |= mode::kCode32;
    if ((s.segments[kSs].attributes & descriptor::kBig) != 0) key |= mode::kStack32;
    if (flat(s.segments[kCs], false) && flat(s.segments[kDs], true) && flat(s.segments[kEs], true) &&
        flat(s.segments[kSs], true)) {
      key |= mode::kFlat;
    }
  }
  const bool emulate = (s.cr0 & kCr0Em) != 0;
  const bool switched = (s.cr0 & kCr0Ts) != 0;
  if (emulate) key |= mode::kEmulate;
  if (switched) key |= mode::kTaskSwitched;
  if ((s.cr0 & kCr0Mp) != 0) key |= mode::kMonitorFpu;
  if (!emulate && !switched) {
    key |= mode::kFpuUsable;
    if ((s.cr4 & kCr4Osfxsr) != 0) key |= mode::kSseUsable;
  }
  if ((s.cr4 & kCr4Osxsave) != 0) key |= mode::kXsave;
  if ((s.mxcsr & kMxcsrMasks) != kMxcsrMasks) key |= mode::kSseExceptions;
  return key;
}

}  // namespace

bool Cpu::code64() const { return (mode & mode::kCode64) != 0; }

void Cpu::update_mode() {
  const u32 key = mode_key(s);
  if (key != mode) {
    mode = key;
    flush_jump_cache();
  }
  user = s.cpl == 3 ? 1 : 0;
  const PagingRegisters registers{s.cr0, s.cr3, s.cr4, s.msr.efer, s.pdpte};
  if (registers != paging_registers) {
    paging_registers = registers;
    update_paging();
  }

  const bool access_control = (s.rflags & rflags::kAc) != 0;
  const bool alignment = user != 0 && access_control && (s.cr0 & kCr0Am) != 0;
  if (alignment || (s.dr7 & kDr7Enabled) != 0) {
    data_mode = DataMode::kChecked;
  } else if (user != 0) {
    data_mode = DataMode::kUser;
  } else {
    data_mode = (s.cr4 & kCr4Smap) != 0 && !access_control ? DataMode::kSupervisor : DataMode::kSupervisorOverUser;
  }
  fast = mmu.fast(data_mode);
  fetch_tlb = mmu.fast_fetch(user != 0);
}

void Cpu::update_paging() {
  PagingControls paging;
  paging.cr3 = s.cr3;
  paging.pcid = (s.cr4 & kCr4Pcide) != 0 ? static_cast<u16>(s.cr3 & 0xFFF) : u16{0};
  paging.pdpte = s.pdpte;
  paging.pg = (s.cr0 & kCr0Pg) != 0;
  paging.pae = (s.cr4 & kCr4Pae) != 0;
  paging.lma = long_mode();
  paging.pse = (s.cr4 & kCr4Pse) != 0;
  paging.pge = (s.cr4 & kCr4Pge) != 0;
  paging.wp = (s.cr0 & kCr0Wp) != 0;
  paging.smep = (s.cr4 & kCr4Smep) != 0;
  paging.smap = (s.cr4 & kCr4Smap) != 0;
  paging.nxe = (s.msr.efer & kEferNxe) != 0;
  mmu.set_controls(paging);
}

void Cpu::flush_tlb_all() {
  mmu.flush_all();
  forget_fetch_page();
}

void Cpu::flush_tlb_non_global() {
  mmu.flush_non_global();
  forget_fetch_page();
}

void Cpu::flush_tlb_page(u64 linear) {
  mmu.flush_page({linear});
  forget_fetch_page();
}

void Cpu::flush_jump_cache() {
  if (!jump_cache_used) return;
  std::memset(jump_cache.data(), 0, jump_cache.size() * sizeof(u32));
  jump_cache_used = false;
}

}  // namespace bhvm
