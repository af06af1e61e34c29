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

}  // namespace

bool Tlb::is_ours(const TlbEntry& entry) const { return entry.is_global() || (entry.tag & kPageOffsetMask) == pcid_; }

bool Tlb::covers(const TlbEntry& entry, u64 linear) const {
  return ((entry.tag ^ linear) & kLinearBits & ~(page_size(entry.flags()) - 1)) == 0 && is_ours(entry);
}

void Tlb::set_state(const TlbState& state) {
  flush_all();
  state_ = state;
  for (unsigned i = 0; i < kDataTlbEntries; ++i) note_data(i);
  for (unsigned i = 0; i < kFetchTlbEntries; ++i) note_fetch(i);
}

void Tlb::note_data(unsigned index) {
  const TlbEntry& entry = state_.data[index];
  if (entry.frame == 0) return;
  data_used_.set(index);
  if (!entry.is_global()) data_non_global_.set(index);
  if ((entry.frame & kLarge) != 0) ++large_pieces_near(entry.tag);
}

void Tlb::note_fetch(unsigned index) {
  const TlbEntry& entry = state_.fetch[index];
  if (entry.frame == 0) return;
  fetch_used_.set(index);
  if (!entry.is_global()) fetch_non_global_.set(index);
  if ((entry.frame & kLarge) != 0) ++large_pieces_near(entry.tag);
}

void Tlb::remove_data(unsigned index) {
  TlbEntry& entry = state_.data[index];
  if ((entry.frame & kLarge) != 0) --large_pieces_near(entry.tag);
  entry = {};
  data_used_.clear(index);
  data_non_global_.clear(index);
  fast_.drop_data(index);
}

void Tlb::remove_fetch(unsigned index) {
  TlbEntry& entry = state_.fetch[index];
  if ((entry.frame & kLarge) != 0) --large_pieces_near(entry.tag);
  entry = {};
  fetch_used_.clear(index);
  fetch_non_global_.clear(index);
  fast_.drop_fetch(index);
}

void Tlb::enter_data(LinearAddress page, PhysicalAddress frame, u64 flags) {
  const unsigned index = data_tlb_index(page.value);
  remove_data(index);
  state_.data[index] = {data_tag(page.value, pcid_, (flags & tlb_flag::kGlobal) != 0),
                        (frame.value & kPageMask) | flags};
  note_data(index);
}

void Tlb::enter_fetch(LinearAddress page, bool user, PhysicalAddress frame, u64 flags) {
  const unsigned index = fetch_tlb_index(page.value);
  remove_fetch(index);
  state_.fetch[index] = {fetch_tag(page.value, pcid_, (flags & tlb_flag::kGlobal) != 0, user),
                         (frame.value & kPageMask) | flags};
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
    if (is_ours(state_.data[index])) remove_data(index);
  });
  fetch_non_global_.for_each([this](unsigned index) {
    if (is_ours(state_.fetch[index])) remove_fetch(index);
  });
}

void Tlb::flush_page(LinearAddress linear) {
  if (const unsigned index = data_tlb_index(linear.value); covers(state_.data[index], linear.value)) {
    remove_data(index);
  }
  if (const unsigned index = fetch_tlb_index(linear.value); covers(state_.fetch[index], linear.value)) {
    remove_fetch(index);
  }
  if (large_pieces_near(linear.value) == 0) return;
  data_used_.for_each([&](unsigned index) {
    if (covers(state_.data[index], linear.value)) remove_data(index);
  });
  fetch_used_.for_each([&](unsigned index) {
    if (covers(state_.fetch[index], linear.value)) remove_fetch(index);
  });
}

void Tlb::fill_fast_read(DataMode mode, LinearAddress page, const u8* host) {
  fast_.fill_read(mode, page, host, state_.data[data_tlb_index(page.value)].is_global());
}

void Tlb::fill_fast_write(DataMode mode, LinearAddress page, u8* host) {
  fast_.fill_write(mode, page, host, state_.data[data_tlb_index(page.value)].is_global());
}

void Tlb::fill_fast_fetch(LinearAddress page, bool user) {
  const TlbEntry& entry = state_.fetch[fetch_tlb_index(page.value)];
  fast_.fill_fetch(page, user, entry.page(), entry.is_global());
}

void Tlb::drop_fast(PhysicalAddress frame) {
  data_used_.for_each([&](unsigned index) {
    if (state_.data[index].page() == frame.page()) fast_.drop_data(index);
  });
}

}  // namespace bhvm
