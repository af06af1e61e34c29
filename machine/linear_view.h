// Guest memory by linear address, as a debugger sees it: through the page tables of this moment, past the TLB, without
// rights, without setting A or D. Looking changes nothing.
#pragma once

#include <optional>
#include <span>

#include "base/types.h"
#include "cpu/cpu_state.h"
#include "softmmu/guest_memory.h"

namespace bhvm {

class LinearView {
 public:
  LinearView(const GuestMemory& memory, const CpuState& cpu) : memory_(&memory), cpu_(&cpu) {}

  std::optional<PhysicalAddress> translate(LinearAddress linear) const;
  /// Copies bytes from `linear` on and returns how many could be read before something was not mapped or not RAM.
  std::size_t read(LinearAddress linear, std::span<u8> bytes) const;

 private:
  const GuestMemory* memory_;
  const CpuState* cpu_;
};

}  // namespace bhvm
