#include "machine/linear_view.h"

#include <algorithm>

#include "softmmu/page_walk.h"

namespace bhvm {

std::optional<PhysicalAddress> LinearView::translate(LinearAddress linear) const {
  constexpr u64 kPg = u64{1} << 31;
  constexpr u64 kPse = u64{1} << 4;
  constexpr u64 kPae = u64{1} << 5;
  constexpr u64 kLma = u64{1} << 10;
  constexpr u64 kNxe = u64{1} << 11;
  if ((cpu_->cr0 & kPg) == 0) return PhysicalAddress{linear.value & 0xFFFFFFFF};
  PagingControls controls;
  controls.cr3 = cpu_->cr3;
  controls.pdpte = cpu_->pdpte;
  controls.pg = true;
  controls.pae = (cpu_->cr4 & kPae) != 0;
  controls.pse = (cpu_->cr4 & kPse) != 0;
  controls.lma = (cpu_->msr.efer & kLma) != 0;
  controls.nxe = (cpu_->msr.efer & kNxe) != 0;
  if (!controls.lma) linear.value &= 0xFFFFFFFF;
  const PageWalk walk = walk_page_tables(*memory_, controls, linear);
  if (!walk.ok) return std::nullopt;
  return PhysicalAddress{walk.page | linear.page_offset()};
}

std::size_t LinearView::read(LinearAddress linear, std::span<u8> bytes) const {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const LinearAddress at{linear.value + done};
    const std::size_t size = std::min<std::size_t>(bytes.size() - done, kPageSize - at.page_offset());
    const std::optional<PhysicalAddress> physical = translate(at);
    if (!physical || !memory_->read(*physical, bytes.data() + done, size)) break;
    done += size;
  }
  return done;
}

}  // namespace bhvm
