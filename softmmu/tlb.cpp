#include "softmmu/tlb.h"

#include <bit>

namespace bhvm {
namespace {

constexpr u64 kLarge = tlb_flag::kSize2M | tlb_flag::kSize1G;

u64 host_value(const u8* host) { return std::bit_cast<u64>(host); }

/// Size of the page that a translation is a piece of.
u64 page_size(u64 flags) {
  if (flags & tlb_flag::kSize1G) return u64{1} << 30;
  if (flags & tlb_flag::kSize4M) return u64{4} << 20;
  if (flags & tlb_flag::kSize2M) return u64{2} << 20;
  return kPageSize;
}

bool covers(const TlbEntry& entry, u64 linear) { return ((entry.tag ^ linear) & ~(page_size(entry.flags()) - 1)) == 0; }

}  // namespace

Tlb::Tlb() : state_(std::make_unique<TlbState>()), fast_(std::size_t{kFastModes} * kDataTlbEntries) {}

void Tlb::set_state(const TlbState& state) {
  flush_all();
  *state_ = state;
  for (unsigned i = 0; i < kDataTlbEntries; ++i) note_data(i);
  for (unsigned i = 0; i < kFetchTlbEntries; ++i) note_fetch(i);
}

void Tlb::note_data(unsigned index) {
  const TlbEntry& entry = state_->data[index];
  if (entry.frame == 0) return;
  data_used_.set(index);
  if ((entry.frame & tlb_flag::kGlobal) == 0) data_non_global_.set(index);
  if ((entry.frame & kLarge) != 0) ++large_pieces_near(entry.tag);
}

void Tlb::note_fetch(unsigned index) {
  const TlbEntry& entry = state_->fetch[index];
  if (entry.frame == 0) return;
  fetch_used_.set(index);
  if ((entry.frame & tlb_flag::kGlobal) == 0) fetch_non_global_.set(index);
  if ((entry.frame & kLarge) != 0) ++large_pieces_near(entry.tag);
}

void Tlb::remove_data(unsigned index) {
  TlbEntry& entry = state_->data[index];
  if ((entry.frame & kLarge) != 0) --large_pieces_near(entry.tag);
  entry = {};
  data_used_.clear(index);
  data_non_global_.clear(index);
  drop_fast_at(index);
}

void Tlb::remove_fetch(unsigned index) {
  TlbEntry& entry = state_->fetch[index];
  if ((entry.frame & kLarge) != 0) --large_pieces_near(entry.tag);
  entry = {};
  fetch_used_.clear(index);
  fetch_non_global_.clear(index);
}

void Tlb::enter_data(LinearAddress page, PhysicalAddress frame, u64 flags) {
  const unsigned index = data_tlb_index(page.value);
  remove_data(index);
  state_->data[index] = {page.value & kPageMask, (frame.value & kPageMask) | flags};
  note_data(index);
}

void Tlb::enter_fetch(LinearAddress page, bool user, PhysicalAddress frame, u64 flags) {
  const unsigned index = fetch_tlb_index(page.value);
  remove_fetch(index);
  state_->fetch[index] = {(page.value & kPageMask) | (user ? 1 : 0), (frame.value & kPageMask) | flags};
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
  data_non_global_.for_each([this](unsigned index) { remove_data(index); });
  fetch_non_global_.for_each([this](unsigned index) { remove_fetch(index); });
}

void Tlb::flush_page(LinearAddress linear) {
  if (const unsigned index = data_tlb_index(linear.value); covers(state_->data[index], linear.value)) {
    remove_data(index);
  }
  if (const unsigned index = fetch_tlb_index(linear.value); covers(state_->fetch[index], linear.value)) {
    remove_fetch(index);
  }
  if (large_pieces_near(linear.value) == 0) return;
  data_used_.for_each([&](unsigned index) {
    if (covers(state_->data[index], linear.value)) remove_data(index);
  });
  fetch_used_.for_each([&](unsigned index) {
    if (covers(state_->fetch[index], linear.value)) remove_fetch(index);
  });
}

void Tlb::drop_fast_at(unsigned index) {
  for (unsigned mode = 0; mode < kFastModes; ++mode) {
    if (!fast_used_[mode].test(index)) continue;
    fast_used_[mode].clear(index);
    fast(static_cast<DataMode>(mode))[index] = {};
  }
}

void Tlb::fill_fast_read(DataMode mode, LinearAddress page, const u8* host) {
  const unsigned index = data_tlb_index(page.value);
  FastEntry& entry = fast(mode)[index];
  const u64 tag = fast_tag(page.value);
  const u64 addend = host_value(host) - (page.value & kPageMask);
  if (entry.write_tag != tag || entry.addend != addend) entry.write_tag = kNoTag;
  entry.read_tag = tag;
  entry.addend = addend;
  fast_used_[static_cast<unsigned>(mode)].set(index);
}

void Tlb::fill_fast_write(DataMode mode, LinearAddress page, u8* host) {
  const unsigned index = data_tlb_index(page.value);
  const u64 tag = fast_tag(page.value);
  fast(mode)[index] = {tag, tag, host_value(host) - (page.value & kPageMask), 0};
  fast_used_[static_cast<unsigned>(mode)].set(index);
}

void Tlb::drop_fast(PhysicalAddress frame) {
  data_used_.for_each([&](unsigned index) {
    if (state_->data[index].page() == frame.page()) drop_fast_at(index);
  });
}

void Tlb::drop_all_fast() {
  for (unsigned mode = 0; mode < kFastModes; ++mode) {
    fast_used_[mode].for_each([&](unsigned index) {
      fast(static_cast<DataMode>(mode))[index] = {};
      fast_used_[mode].clear(index);
    });
  }
}

}  // namespace bhvm
