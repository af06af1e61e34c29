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

}  // namespace

const uint8_t* RegionView::contents_before(unsigned page, const Group& group) {
  const uint8_t* pristine = pristine_ + page * kPageBytes;
  if ((pages_of(group.code_offset, group.code_bytes) >> page & 1) == 0) return pristine;
  __builtin_memcpy(page_with_code_, pristine, kPageBytes);
  const uint32_t start = page * kPageBytes;
  for (uint32_t i = 0; i < group.code_bytes; ++i) {
    const uint32_t at = group.code_offset + i;
    if (at >= start && at < start + kPageBytes) page_with_code_[at - start] = group.code[i];
  }
  return page_with_code_;
}

bool RegionView::page_differs(unsigned page, const uint8_t* contents) const {
  const auto* now = reinterpret_cast<const Vector*>(region_ + page * kPageBytes);
  const auto* before = reinterpret_cast<const Vector*>(contents);
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

void RegionView::take_page(unsigned page, const uint8_t* contents, Outcome& out) {
  auto* now = reinterpret_cast<uint64_t*>(region_ + page * kPageBytes);
  const auto* before = reinterpret_cast<const uint64_t*>(contents);
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
  uint32_t pages = kWritablePages;
  for (const Patch& patch : input.patches) pages |= pages_of(patch.offset, patch.bytes);
  for (; pages != 0; pages &= pages - 1) {
    const unsigned page = static_cast<unsigned>(__builtin_ctz(pages));
    const uint8_t* contents = contents_before(page, group);
    if (page_differs(page, contents)) take_page(page, contents, out);
  }
}

}  // namespace bhvm::oracle::native
