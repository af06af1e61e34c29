#include "oracle/native/region_view.h"

namespace bhvm::oracle::native {
namespace {

using Vector [[gnu::vector_size(32)]] = uint64_t;
constexpr unsigned kWords = kPageBytes / sizeof(uint64_t);

constexpr uint32_t pages_with(bool (*property)(PageKind)) {
  uint32_t pages = 0;
  for (unsigned page = 0; page < kRegionPages; ++page) {
    if (property(kPageKinds[page])) pages |= 1u << page;
  }
  return pages;
}
constexpr uint32_t kWritablePages = pages_with(user_writable);
constexpr uint32_t kPresentPages = pages_with([](PageKind kind) { return pte_bits(kind) != 0; });

}  // namespace

bool RegionView::page_differs(unsigned page) const {
  const auto* now = reinterpret_cast<const Vector*>(region_ + page * kPageBytes);
  const auto* before = reinterpret_cast<const Vector*>(pristine_ + page * kPageBytes);
  constexpr unsigned kVectors = kPageBytes / sizeof(Vector);
  constexpr unsigned kLanes = 4;
  Vector difference[kLanes] = {};
  for (unsigned i = 0; i < kVectors; i += kLanes) {
    for (unsigned lane = 0; lane < kLanes; ++lane) difference[lane] |= now[i + lane] ^ before[i + lane];
  }
  const Vector all = (difference[0] | difference[1]) | (difference[2] | difference[3]);
  return (all[0] | all[1] | all[2] | all[3]) != 0;
}

void RegionView::restore_all() { __builtin_memcpy(region_, pristine_, kRegionBytes); }

void RegionView::place(const Group& group) {
  __builtin_memcpy(region_ + group.code_offset, group.code, group.code_bytes);
}

void RegionView::take_away(const Group& group) {
  __builtin_memcpy(region_ + group.code_offset, pristine_ + group.code_offset, group.code_bytes);
}

void RegionView::apply(const Case& input) {
  for (const Patch& patch : input.patches) {
    if (patch.bytes != 0) __builtin_memcpy(region_ + patch.offset, patch.data, patch.bytes);
  }
}

/// Does a page that holds the group's code differ from that and the pristine bytes around it?
bool RegionView::code_page_written(unsigned page, const Group& group) {
  if (__builtin_memcmp(region_ + group.code_offset, group.code, group.code_bytes) != 0) return true;
  take_away(group);
  const bool differs = page_differs(page);
  place(group);
  return differs;
}

void RegionView::take_page(unsigned page, Outcome& out) {
  auto* now = reinterpret_cast<uint64_t*>(region_ + page * kPageBytes);
  const auto* before = reinterpret_cast<const uint64_t*>(pristine_ + page * kPageBytes);
  for (unsigned i = 0; i < kWords; ++i) {
    if (now[i] == before[i]) continue;
    const uint32_t qword = page * kWords + i;
    if (out.change_count < kMaxChanges) out.changes[out.change_count] = {qword, 0, now[i]};
    out.change_count += 1;
    out.change_hash = fold_change(out.change_hash, qword, now[i]);
    now[i] = before[i];
  }
}

void RegionView::take_changes(const Group& group, const Case& input, Outcome& out) {
  const uint32_t code = pages_of(group.code_offset, group.code_bytes);
  uint32_t written = static_cast<uint32_t>(input.dirty) & kPresentPages;
  for (const Patch& patch : input.patches) written |= pages_of(patch.offset, patch.bytes);
  for (uint32_t rest = kWritablePages & ~written; rest != 0; rest &= rest - 1) {
    const unsigned page = static_cast<unsigned>(__builtin_ctz(rest));
    const bool differs = (code >> page & 1) != 0 ? code_page_written(page, group) : page_differs(page);
    if (differs) written |= 1u << page;
  }
  for (uint32_t rest = written; rest != 0; rest &= rest - 1) {
    take_page(static_cast<unsigned>(__builtin_ctz(rest)), out);
  }
  if ((written & code) != 0) place(group);
}

}  // namespace bhvm::oracle::native
