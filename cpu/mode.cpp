// What is derived from the control registers, the segments and the privilege level.
#include "cpu/mode.h"

#include <cstring>

#include "cpu/code_cache.h"
#include "cpu/control.h"
#include "cpu/cpu.h"
#include "cpu/system/control_bits.h"

namespace bhvm {
namespace {

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
  if ((s.msr.efer & efer::kLma) != 0 && (s.segments[kCs].attributes & descriptor::kLong) != 0) {
    key |= mode::kCode64;
  } else {
    if ((s.segments[kCs].attributes & descriptor::kBig) != 0) key |= mode::kCode32;
    if ((s.segments[kSs].attributes & descriptor::kBig) != 0) key |= mode::kStack32;
    if (flat(s.segments[kCs], false) && flat(s.segments[kDs], true) && flat(s.segments[kEs], true) &&
        flat(s.segments[kSs], true)) {
      key |= mode::kFlat;
    }
  }
  const bool emulate = (s.cr0 & cr0::kEm) != 0;
  const bool switched = (s.cr0 & cr0::kTs) != 0;
  if (emulate) key |= mode::kEmulate;
  if (switched) key |= mode::kTaskSwitched;
  if ((s.cr0 & cr0::kMp) != 0) key |= mode::kMonitorFpu;
  if (!emulate && !switched) {
    key |= mode::kFpuUsable;
    if ((s.cr4 & cr4::kOsfxsr) != 0) key |= mode::kSseUsable;
  }
  if ((s.cr4 & cr4::kOsxsave) != 0) key |= mode::kXsave;
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
  const bool alignment = user != 0 && access_control && (s.cr0 & cr0::kAm) != 0;
  if (alignment || (s.dr7 & dr7::kEnables) != 0) {
    data_mode = DataMode::kChecked;
  } else if (user != 0) {
    data_mode = DataMode::kUser;
  } else {
    data_mode = (s.cr4 & cr4::kSmap) != 0 && !access_control ? DataMode::kSupervisor : DataMode::kSupervisorOverUser;
  }
  fast = mmu.fast(data_mode);
  fetch_tlb = mmu.fast_fetch(user != 0);
  fetch_generation = &mmu.fetch_generation(user != 0);
}

void Cpu::update_paging() {
  PagingControls paging;
  paging.cr3 = s.cr3;
  paging.pcid = (s.cr4 & cr4::kPcide) != 0 ? static_cast<u16>(s.cr3 & 0xFFF) : u16{0};
  paging.pdpte = s.pdpte;
  paging.pg = (s.cr0 & cr0::kPg) != 0;
  paging.pae = (s.cr4 & cr4::kPae) != 0;
  paging.lma = long_mode();
  paging.pse = (s.cr4 & cr4::kPse) != 0;
  paging.pge = (s.cr4 & cr4::kPge) != 0;
  paging.wp = (s.cr0 & cr0::kWp) != 0;
  paging.smep = (s.cr4 & cr4::kSmep) != 0;
  paging.smap = (s.cr4 & cr4::kSmap) != 0;
  paging.nxe = (s.msr.efer & efer::kNxe) != 0;
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
  no_return = {.behind = &unlinked_block};
  returns.fill(&no_return);
  if (!jump_cache_used) return;
  std::memset(jump_cache.data(), 0, jump_cache.size() * sizeof(u32));
  jump_cache_used = false;
}

}  // namespace bhvm
