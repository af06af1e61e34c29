#include "softmmu/fast_tlb.h"

namespace bhvm {
namespace {

FastEntry no_entry(unsigned index) {
  return {.addend = 0, .read_tag = no_data_tag(index), .write_tag = no_data_tag(index), .unused = 0};
}
u64 host_value(const u8* host) { return std::bit_cast<u64>(host); }

}  // namespace

FastTlb::FastTlb() : data_((kContexts + 1) * kContextEntries), fetch_(std::size_t{kContexts + 1} * kFetchTlbEntries) {
  contexts_[current_].in_use = true;
  prepare(current_);
  prepare(kShared);
  for (Context& context : contexts_) context.fetch_generation.value_ = ++newest_generation_;
}

void FastTlb::renew(FetchGeneration& generation) {
  if (!generation.noted_ || generation.exhausted()) return;
  generation.noted_ = false;
  if (newest_generation_ != FetchGeneration::kLast) newest_generation_ += 1;
  generation.value_ = newest_generation_;
}

void FastTlb::renew_fetch_generations() {
  for (Context& context : contexts_) renew(context.fetch_generation);
}

void FastTlb::select(u16 pcid) {
  if (contexts_[current_].pcid == pcid) return;
  shared_data_non_global_.for_each([this](unsigned index) { clear_data(kShared, index); });
  shared_fetch_non_global_.for_each([this](unsigned index) { clear_fetch(kShared, index); });
  for (unsigned i = 0; i < kContexts; ++i) {
    if (contexts_[i].in_use && contexts_[i].pcid == pcid) {
      current_ = i;
      return;
    }
  }
  if (next_victim_ == current_) next_victim_ = (next_victim_ + 1) % kContexts;
  current_ = next_victim_;
  next_victim_ = (next_victim_ + 1) % kContexts;
  clear(current_);
  prepare(current_);
  contexts_[current_].pcid = pcid;
  contexts_[current_].in_use = true;
}

FastEntry& FastTlb::note_data(DataMode mode, unsigned index, bool global) {
  const unsigned context = mode == DataMode::kSupervisor ? kShared : current_;
  contexts_[context].data[static_cast<unsigned>(mode)].set(index);
  data_contexts_[index] |= static_cast<ContextMask>(1u << context);
  if (context == kShared && !global) shared_data_non_global_.set(index);
  return data(mode)[index];
}

void FastTlb::fill_read(DataMode mode, LinearAddress page, const u8* host, bool global) {
  const unsigned index = data_tlb_index(page.value);
  FastEntry& entry = note_data(mode, index, global);
  const u64 tag = data_tag(page.value);
  const u64 addend = host_value(host) - (page.value & kPageMask);
  if (entry.write_tag != tag || entry.addend != addend) entry.write_tag = no_data_tag(index);
  entry.read_tag = tag;
  entry.addend = addend;
}

void FastTlb::fill_write(DataMode mode, LinearAddress page, u8* host, bool global) {
  const u64 tag = data_tag(page.value);
  const u64 addend = host_value(host) - (page.value & kPageMask);
  note_data(mode, data_tlb_index(page.value), global) = {
      .addend = addend, .read_tag = tag, .write_tag = tag, .unused = 0};
}

void FastTlb::fill_fetch(LinearAddress page, bool user, PhysicalAddress frame, bool global) {
  const unsigned index = fetch_tlb_index(page.value);
  const unsigned context = user ? current_ : kShared;
  FastFetchEntry& entry = fetch_[std::size_t{context} * kFetchTlbEntries + index];
  const FastFetchEntry filled{fast_tag(page.value), frame.page().value};
  if (entry.tag != kNoTag && (entry.tag != filled.tag || entry.page != filled.page)) {
    renew(contexts_[context].fetch_generation);
  }
  entry = filled;
  contexts_[context].fetch.set(index);
  fetch_contexts_[index] |= static_cast<ContextMask>(1u << context);
  if (context == kShared && !global) shared_fetch_non_global_.set(index);
}

void FastTlb::clear_data(unsigned context, unsigned index) {
  for (unsigned mode = 0; mode < kFastModes; ++mode) {
    DataSet& used = contexts_[context].data[mode];
    if (!used.test(index)) continue;
    used.clear(index);
    data_[context * kContextEntries + mode * kDataTlbEntries + index] = no_entry(index);
  }
  data_contexts_[index] &= static_cast<ContextMask>(~(1u << context));
  if (context == kShared) shared_data_non_global_.clear(index);
}

void FastTlb::clear_fetch(unsigned context, unsigned index) {
  renew(contexts_[context].fetch_generation);
  contexts_[context].fetch.clear(index);
  fetch_[std::size_t{context} * kFetchTlbEntries + index] = {};
  fetch_contexts_[index] &= static_cast<ContextMask>(~(1u << context));
  if (context == kShared) shared_fetch_non_global_.clear(index);
}

void FastTlb::prepare(unsigned context) {
  for (unsigned mode = 0; mode < kFastModes; ++mode) {
    for (const unsigned index : {0u, kDataTlbEntries - 1}) {
      data_[context * kContextEntries + mode * kDataTlbEntries + index] = no_entry(index);
    }
  }
}

void FastTlb::clear(unsigned context) {
  for (const DataSet& used : contexts_[context].data) {
    used.for_each([&](unsigned index) { clear_data(context, index); });
  }
  contexts_[context].fetch.for_each([&](unsigned index) { clear_fetch(context, index); });
}

bool FastTlb::holds_data(unsigned context, LinearAddress page) const {
  for (unsigned mode = 0; mode < kFastModes; ++mode) {
    const FastEntry& entry = data_[context * kContextEntries + mode * kDataTlbEntries + data_tlb_index(page.value)];
    if (entry.read_tag == data_tag(page.value)) return true;
  }
  return false;
}

void FastTlb::drop_data(LinearAddress page) {
  const unsigned index = data_tlb_index(page.value);
  for (unsigned mask = data_contexts_[index]; mask != 0; mask &= mask - 1) {
    const auto context = static_cast<unsigned>(std::countr_zero(mask));
    if (holds_data(context, page)) clear_data(context, index);
  }
}

void FastTlb::drop_fetch(LinearAddress page) {
  const unsigned index = fetch_tlb_index(page.value);
  for (unsigned mask = fetch_contexts_[index]; mask != 0; mask &= mask - 1) {
    const auto context = static_cast<unsigned>(std::countr_zero(mask));
    const FastFetchEntry& entry = fetch_[std::size_t{context} * kFetchTlbEntries + index];
    if (entry.tag == fast_tag(page.value)) clear_fetch(context, index);
  }
}

void FastTlb::drop_all() {
  for (unsigned context = 0; context <= kContexts; ++context) clear(context);
}

}  // namespace bhvm
