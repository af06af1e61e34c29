#include "softmmu/tlb.h"

namespace bhvm {
namespace {

constexpr u64 kLarge = tlb_flag::kSize2M | tlb_flag::kSize1G;

/// Size of the page that a translation is a piece of.
u64 page_size(u64 flags) {
  if (flags & tlb_flag::kSize1G) return u64{1} << 30;
  if (flags & tlb_flag::kSize4M) return u64{4} << 20;
  if (flags & tlb_flag::kSize2M) return u64{2} << 20;
  return kPageSize;
}

constexpr u64 kLinearBits = (u64{1} << 48) - 1;  // what a tag has of the address unchanged

u32 frame_key(PhysicalAddress frame) { return static_cast<u32>(frame.page_number()); }

/// The page that an entry translates.
LinearAddress page_of(const TlbEntry& entry) {
  return {static_cast<u64>(static_cast<i64>(entry.tag << 16) >> 16) & kPageMask};
}

}  // namespace

bool Tlb::is_ours(const TlbEntry& entry) const { return entry.is_global() || (entry.tag & kPageOffsetMask) == pcid_; }

bool Tlb::covers(const TlbEntry& entry, u64 linear) const {
  return ((entry.tag ^ linear) & kLinearBits & ~(page_size(entry.flags()) - 1)) == 0 && is_ours(entry);
}

void Tlb::set_state(const TlbState& state) {
  flush_all();
  state_ = state;
  for (unsigned i = 0; i < state_.data.entries.size(); ++i) note_data(i);
  for (unsigned i = 0; i < state_.fetch.entries.size(); ++i) note_fetch(i);
}

void Tlb::note_data(unsigned index) {
  const TlbEntry& entry = state_.data.entries[index];
  if (entry.frame == 0) return;
  data_used_.set(index);
  data_frames_[index] = frame_key(entry.page());
  if (!entry.is_global()) data_non_global_.set(index);
  if ((entry.frame & kLarge) != 0) ++large_pieces_near(entry.tag);
}

void Tlb::note_fetch(unsigned index) {
  const TlbEntry& entry = state_.fetch.entries[index];
  if (entry.frame == 0) return;
  fetch_used_.set(index);
  if (!entry.is_global()) fetch_non_global_.set(index);
  if ((entry.frame & kLarge) != 0) ++large_pieces_near(entry.tag);
}

unsigned Tlb::place_in(TlbTable& table, unsigned set) {
  for (unsigned way = 0; way < kTlbWays; ++way) {
    if (table.entries[set + way].frame == 0) return set + way;
  }
  u8& next = table.next[set / kTlbWays];
  const unsigned way = next % kTlbWays;  // a loaded state may hold any number
  next = static_cast<u8>((way + 1) % kTlbWays);
  return set + way;
}

void Tlb::remove_data(unsigned index) {
  TlbEntry& entry = state_.data.entries[index];
  if (entry.frame == 0) return;
  if ((entry.frame & kLarge) != 0) --large_pieces_near(entry.tag);
  fast_.drop_data(page_of(entry));
  entry = {};
  data_used_.clear(index);
  data_non_global_.clear(index);
}

void Tlb::forget_data(LinearAddress linear) {
  while (const TlbEntry* entry = find_data(linear.value)) {
    remove_data(static_cast<unsigned>(entry - state_.data.entries.data()));
  }
}

void Tlb::forget_fetch(LinearAddress linear) {
  for (const bool user : {false, true}) {
    while (const TlbEntry* entry = find_fetch(linear.value, user)) {
      remove_fetch(static_cast<unsigned>(entry - state_.fetch.entries.data()));
    }
  }
}

void Tlb::remove_fetch(unsigned index) {
  TlbEntry& entry = state_.fetch.entries[index];
  if (entry.frame == 0) return;
  if ((entry.frame & kLarge) != 0) --large_pieces_near(entry.tag);
  fast_.drop_fetch(page_of(entry));
  entry = {};
  fetch_used_.clear(index);
  fetch_non_global_.clear(index);
}

void Tlb::enter_data(LinearAddress page, PhysicalAddress frame, u64 flags) {
  const bool global = (flags & tlb_flag::kGlobal) != 0;
  forget_data(page);
  const unsigned index = place_in(state_.data, set_of(page.value, global ? u16{0} : pcid_));
  remove_data(index);
  if (global) fast_.drop_data(page);  // from now on it hides other PCIDs' own ones
  state_.data.entries[index] = {data_tag(page.value, pcid_, global), (frame.value & kPageMask) | flags};
  note_data(index);
}

void Tlb::enter_fetch(LinearAddress page, bool user, PhysicalAddress frame, u64 flags) {
  const bool global = (flags & tlb_flag::kGlobal) != 0;
  forget_fetch(page);
  const unsigned index = place_in(state_.fetch, set_of(page.value, global ? u16{0} : pcid_));
  remove_fetch(index);
  if (global) fast_.drop_fetch(page);
  state_.fetch.entries[index] = {fetch_tag(page.value, pcid_, global, user), (frame.value & kPageMask) | flags};
  note_fetch(index);
}

void Tlb::flush_all() {
  data_used_.for_each([this](unsigned index) { remove_data(index); });
  flush_fetch();
}

void Tlb::flush_fetch() {
  fetch_used_.for_each([this](unsigned index) { remove_fetch(index); });
}

void Tlb::flush_non_global() {
  data_non_global_.for_each([this](unsigned index) {
    if (is_ours(state_.data.entries[index])) remove_data(index);
  });
  fetch_non_global_.for_each([this](unsigned index) {
    if (is_ours(state_.fetch.entries[index])) remove_fetch(index);
  });
}

void Tlb::flush_page(LinearAddress linear) {
  forget_data(linear);
  forget_fetch(linear);
  if (large_pieces_near(linear.value) == 0) return;
  data_used_.for_each([&](unsigned index) {
    if (covers(state_.data.entries[index], linear.value)) remove_data(index);
  });
  fetch_used_.for_each([&](unsigned index) {
    if (covers(state_.fetch.entries[index], linear.value)) remove_fetch(index);
  });
}

void Tlb::fill_fast_read(DataMode mode, LinearAddress page, const u8* host) {
  fast_.fill_read(mode, page, host, find_data(page.value)->is_global());
}

void Tlb::fill_fast_write(DataMode mode, LinearAddress page, u8* host) {
  fast_.fill_write(mode, page, host, find_data(page.value)->is_global());
}

void Tlb::fill_fast_fetch(LinearAddress page, bool user) {
  const TlbEntry& entry = *find_fetch(page.value, user);
  fast_.fill_fetch(page, user, entry.page(), entry.is_global());
}

void Tlb::drop_fast(PhysicalAddress frame) {
  constexpr unsigned kAtOnce = 64;  // which the compiler compares as vectors
  const u32 key = frame_key(frame);
  for (unsigned first = 0; first < data_frames_.size(); first += kAtOnce) {
    unsigned found = 0;
    for (unsigned i = 0; i < kAtOnce; ++i) found |= data_frames_[first + i] == key ? 1 : 0;
    if (found == 0) continue;
    for (unsigned index = first; index < first + kAtOnce; ++index) {
      const TlbEntry& entry = state_.data.entries[index];
      if (entry.frame != 0 && entry.page() == frame.page()) fast_.drop_data(page_of(entry));
    }
  }
}

}  // namespace bhvm
