// Runs one instruction on the host's processor.
#pragma once

#include <span>

#include "machine_state.h"

namespace bhvm::sse_test {

class HostExecutor {
 public:
  HostExecutor();
  ~HostExecutor();
  HostExecutor(const HostExecutor&) = delete;
  HostExecutor& operator=(const HostExecutor&) = delete;

  /// Could the pages be mapped where the guest has them?
  bool ok() const { return code_ != nullptr && data_ != nullptr; }
  /// Puts the instruction where run() finds it.
  void load(std::span<const u8> instruction);
  MachineState run(const MachineState& before);

 private:
  u8* code_ = nullptr;
  u8* data_ = nullptr;
};

}  // namespace bhvm::sse_test
