// The case region as the child sees it through the arena: where code and patches are written, and what a case changed.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "oracle/native/arena.h"

namespace bhvm::oracle::native {

inline constexpr bool user_writable(PageKind kind) {
  return kind == PageKind::kData || kind == PageKind::kWritableCode;
}
inline constexpr uint32_t pages_of(uint32_t offset, uint32_t bytes) {
  if (bytes == 0) return 0;
  return 1u << (offset / kPageBytes) | 1u << ((offset + bytes - 1) / kPageBytes);
}

/// Between two cases the region is pristine but for the group's code.
class RegionView {
 public:
  RegionView(uint8_t* region, const uint8_t* pristine) : region_(region), pristine_(pristine) {}

  void restore_all();
  void place(const Group& group);
  void take_away(const Group& group);
  void apply(const Case& input);

  /// Lists how the region differs from its pristine contents and the group's code in `out`, and makes it that again.
  void take_changes(const Group& group, const Case& input, Outcome& out);

 private:
  /// What a page holds between two cases.
  const uint8_t* contents_before(unsigned page, const Group& group);
  bool page_differs(unsigned page, const uint8_t* contents) const;
  void take_page(unsigned page, const uint8_t* contents, Outcome& out);

  uint8_t* region_;
  const uint8_t* pristine_;
  alignas(32) uint8_t page_with_code_[kPageBytes];
};

}  // namespace bhvm::oracle::native
