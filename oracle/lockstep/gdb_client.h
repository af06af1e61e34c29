// The little of the gdb remote protocol that starts a lockstep run: a breakpoint, memory, monitor commands.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace bhvm::lockstep {

class GdbClient {
 public:
  /// Speaks over a connected socket, which stays its owner's.
  explicit GdbClient(int fd) : fd_(fd) {}

  /// Runs the stopped machine up to `address`, where it stops again.
  Status run_to(u64 address);
  /// Reads guest memory as the current paging mode maps it.
  Result<std::vector<u8>> read_memory(u64 address, u64 size);
  /// One command of QEMU's monitor.
  Status monitor(std::string_view command);
  /// Lets the machine run; the answer is not waited for.
  Status resume();

 private:
  Status send(std::string_view body);
  Result<std::string> receive();
  Status command(std::string_view body, std::string_view wanted);

  int fd_;
  std::string unread_;
};

}  // namespace bhvm::lockstep
