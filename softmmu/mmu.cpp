#include "softmmu/mmu.h"

#include "base/planted_fault.h"
#include "softmmu/page_walk.h"

namespace bhvm {
namespace {

constexpr u64 kIdentityFlags =
    tlb_flag::kPresent | tlb_flag::kWritable | tlb_flag::kUser | tlb_flag::kGlobal | tlb_flag::kDirty;

bool same_but_tables(const PagingControls& a, const PagingControls& b) {
  return a.pg == b.pg && a.pae == b.pae && a.lma == b.lma && a.pse == b.pse && a.pge == b.pge && a.wp == b.wp &&
         a.smep == b.smep && a.smap == b.smap && a.nxe == b.nxe;
}

Translation allowed(u64 frame_and_flags) {
  return {.ok = true, .page = {frame_and_flags & kPageMask}, .flags = frame_and_flags & kPageOffsetMask};
}

}  // namespace

Mmu::Mmu(GuestMemory& memory) : memory_(&memory) { memory_->set_observer(this); }

Mmu::~Mmu() { memory_->set_observer(nullptr); }

void Mmu::set_controls(const PagingControls& controls) {
  if (!same_but_tables(controls, controls_)) {
    tlb_.drop_all_fast();
    tlb_.flush_fetch();
  }
  controls_ = controls;
  tlb_.set_pcid(controls.pcid);
}

// SDM 3, 4.6.1.
bool Mmu::allows_data(u64 flags, Access access, bool user, bool over_user) const {
  if (!controls_.pg) return true;
  const bool user_page = (flags & tlb_flag::kUser) != 0;
  if (user ? !user_page : user_page && controls_.smap && !over_user) return false;
  return access != Access::kWrite || (flags & tlb_flag::kWritable) != 0 || (!user && !controls_.wp);
}

bool Mmu::allows_fetch(u64 flags, bool user) const {
  const bool user_page = (flags & tlb_flag::kUser) != 0;
  if (user ? !user_page : user_page && controls_.smep) return false;
  return (flags & tlb_flag::kNoExecute) == 0;
}

Translation Mmu::fault(LinearAddress linear, u32 error_code, Access access, bool user) {
  tlb_.flush_page(linear);
  if (access == Access::kWrite) error_code |= pf_error::kWrite;
  if (user) error_code |= pf_error::kUser;
  if (planted(PlantedFault::kReservedUserBit) && (error_code & pf_error::kReserved) != 0)
    error_code &= ~pf_error::kUser;
  const bool execute_disable = (controls_.pae || controls_.lma) && controls_.nxe;
  if (planted(PlantedFault::kFetchErrorCode) && (error_code & pf_error::kPresent) == 0) access = Access::kRead;
  if (access == Access::kFetch && (execute_disable || controls_.smep)) error_code |= pf_error::kFetch;
  return {.error_code = error_code};
}

bool Mmu::hits_data(LinearAddress linear, Access access, bool user, bool over_user) const {
  const TlbEntry* entry = tlb_.find_data(linear.value);
  return entry != nullptr && allows_data(entry->flags(), access, user, over_user) &&
         (access != Access::kWrite || (entry->frame & tlb_flag::kDirty) != 0);
}

Translation Mmu::probe_data(LinearAddress linear, Access access, bool user, bool over_user) {
  if (hits_data(linear, access, user, over_user) || !controls_.pg) return {.ok = true};
  ++walks_;
  const PageWalk walk = walk_page_tables(*memory_, controls_, linear);
  if (!walk.ok) return fault(linear, walk.error_code, access, user);
  if (!allows_data(walk.flags, access, user, over_user)) return fault(linear, pf_error::kPresent, access, user);
  return {.ok = true};
}

Translation Mmu::translate_data(LinearAddress linear, Access access, bool user, bool over_user) {
  if (hits_data(linear, access, user, over_user)) {
    return allowed(tlb_.find_data(linear.value)->frame);
  }
  if (!controls_.pg) {
    tlb_.enter_data(linear.page(), {linear.value}, kIdentityFlags);
    return allowed((linear.value & kPageMask) | kIdentityFlags);
  }
  ++walks_;
  PageWalk walk = walk_page_tables(*memory_, controls_, linear);
  if (!walk.ok) return fault(linear, walk.error_code, access, user);
  if (!allows_data(walk.flags, access, user, over_user)) return fault(linear, pf_error::kPresent, access, user);
  commit_walk(*memory_, walk, access == Access::kWrite);
  tlb_.enter_data(linear.page(), {walk.page}, walk.flags);
  return allowed(walk.page | walk.flags);
}

Translation Mmu::translate_fetch(LinearAddress linear, bool user) {
  if (const TlbEntry* entry = tlb_.find_fetch(linear.value, user)) {
    tlb_.fill_fast_fetch(linear.page(), user);
    return allowed(entry->frame);
  }
  PageWalk walk;
  if (controls_.pg) {
    ++walks_;
    walk = walk_page_tables(*memory_, controls_, linear);
    if (!walk.ok) return fault(linear, walk.error_code, Access::kFetch, user);
    if (!allows_fetch(walk.flags, user)) return fault(linear, pf_error::kPresent, Access::kFetch, user);
    commit_walk(*memory_, walk, false);
  } else {
    walk.page = linear.value & kPageMask;
    walk.flags = kIdentityFlags;
  }
  tlb_.enter_fetch(linear.page(), user, {walk.page}, walk.flags);
  tlb_.fill_fast_fetch(linear.page(), user);
  return allowed(walk.page | walk.flags);
}

const u8* Mmu::fill_read(LinearAddress linear, DataMode mode, PhysicalAddress page) {
  const u8* host = memory_->page_for_read(page);
  if (host != nullptr && has_entry(linear, page, mode)) tlb_.fill_fast_read(mode, linear.page(), host);
  return host;
}

u8* Mmu::fill_write(LinearAddress linear, DataMode mode, PhysicalAddress page) {
  u8* host = memory_->page_for_write(page);
  if (host != nullptr && has_entry(linear, page, mode)) tlb_.fill_fast_write(mode, linear.page(), host);
  return host;
}

bool Mmu::has_entry(LinearAddress linear, PhysicalAddress page, DataMode mode) const {
  const TlbEntry* entry = tlb_.find_data(linear.value);
  return mode != DataMode::kChecked && entry != nullptr && entry->page() == page.page();
}

void Mmu::flush_all() { tlb_.flush_all(); }
void Mmu::flush_non_global() { tlb_.flush_non_global(); }
void Mmu::flush_page(LinearAddress linear) { tlb_.flush_page(linear); }
void Mmu::set_state(const TlbState& state) { tlb_.set_state(state); }

void Mmu::drop_host_pointers(PhysicalAddress page) { tlb_.drop_fast(page); }
void Mmu::drop_all_host_pointers() { tlb_.drop_all_fast(); }

void Mmu::code_written(PhysicalAddress address, u64 size) {
  if (code_listener_ != nullptr) code_listener_->code_written(address, size);
}

}  // namespace bhvm
