// A MemoryObserver that remembers what it was told.
#pragma once

#include <utility>
#include <vector>

#include "softmmu/guest_memory.h"

namespace bhvm {

class RecordingObserver final : public MemoryObserver {
 public:
  void drop_host_pointers(PhysicalAddress page) override { dropped.push_back(page.value); }
  void drop_all_host_pointers() override { ++all_dropped; }
  void code_written(PhysicalAddress address, u64 size) override { code.emplace_back(address.value, size); }

  std::vector<u64> dropped;
  int all_dropped = 0;
  std::vector<std::pair<u64, u64>> code;
};

inline GuestMemory make_memory(u64 size_bytes) { return GuestMemory::create(size_bytes).value(); }

inline u64 value_at(const GuestMemory& memory, u64 address) {
  u64 value = 0x5555'5555'5555'5555;
  memory.read_value({address}, value);
  return value;
}

}  // namespace bhvm
