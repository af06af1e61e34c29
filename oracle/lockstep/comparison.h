// bhvm's state against QEMU's, field by field.
#pragma once

#include <string>
#include <vector>

#include "oracle/lockstep/bhvm_side.h"
#include "oracle/lockstep/qemu_state.h"

namespace bhvm::lockstep {

struct FieldPair {
  std::string name;
  u64 ours = 0;
  u64 theirs = 0;
  bool differs() const { return ours != theirs; }
};

bool equal(const CpuState& ours, bool shadow, const QemuState& theirs);
/// Counts the rules by which fields differ that are never compared.
void count_tolerated(const CpuState& ours, const QemuState& theirs, RuleCounts& rules);
/// All fields that are compared, in the order of the log.
std::vector<FieldPair> fields(const CpuState& ours, bool shadow, const QemuState& theirs);

/// The first pages that differ between bhvm's RAM and QEMU's, but for the firmware's.
struct RamDifference {
  u64 address = 0;  // of the first byte that differs in a run of eight
  u64 ours = 0;
  u64 theirs = 0;
};
std::vector<RamDifference> ram_differences(const GuestMemory& ours, std::span<const u8> theirs, std::size_t most);

}  // namespace bhvm::lockstep
