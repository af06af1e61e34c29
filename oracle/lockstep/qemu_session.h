// QEMU as a lockstep partner: a process that is about to execute the kernel's first instruction and then prints its
// state before every instruction into a pipe.
//
// Its firmware has run unseen. The machine is microvm without any device that reads or writes memory by itself, so that
// the processor's stores are all that changes RAM. Time is counted (-icount), so that two runs print the same. The
// process dies with its owner; RAM, log and messages are memory files and a pipe, so that nothing is left behind.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "oracle/qemu/child.h"

namespace bhvm::lockstep {

struct QemuOptions {
  std::string program = "qemu-system-x86_64";
  std::string kernel;
  std::string initrd;  // none when empty
  std::string append;
  u64 memory_bytes = u64{256} << 20;
  u64 entry = 0;  // physical address of the kernel's PVH entry
  bool fpu = false;
};

/// RAM that firmware lies over: QEMU keeps it apart from the rest, and it is copied once, at the kernel's entry.
inline constexpr u64 kFirmwareStart = 0xE0000;
inline constexpr u64 kFirmwareEnd = 0x100000;

class QemuSession {
 public:
  /// Starts QEMU, runs it to the entry and switches the log on. It goes on at once, as far as the pipe takes it.
  static Result<std::unique_ptr<QemuSession>> start(const QemuOptions& options);
  ~QemuSession();
  QemuSession(const QemuSession&) = delete;
  QemuSession& operator=(const QemuSession&) = delete;

  /// RAM as it was at the kernel's first instruction.
  const std::vector<u8>& initial_ram() const { return initial_ram_; }
  void forget_initial_ram() { initial_ram_ = {}; }
  /// RAM now: only of use while settled().
  std::span<const u8> ram() const { return {ram_, ram_size_}; }

  int log_fd() const { return log_fd_; }
  /// Waits until QEMU waits for its reader, with the pipe full. It then stands before the first event that is not, or
  /// not as a whole, in the pipe. False when that does not come about in a second (it ended, or is idle).
  bool settled() const;

  /// How it ended and what it said.
  std::string epitaph();

  static std::vector<std::string> arguments(const QemuOptions& options, int ram_fd, int log_fd, int gdb_fd);

 private:
  QemuSession() = default;
  Status open_files(const QemuOptions& options, int& log_in, int& gdb_far);
  Status reach_entry(const QemuOptions& options);
  bool all_threads_sleep() const;

  int ram_fd_ = -1;
  int log_fd_ = -1;
  int gdb_fd_ = -1;
  int pipe_size_ = 0;
  u8* ram_ = nullptr;
  u64 ram_size_ = 0;
  std::vector<u8> initial_ram_;
  oracle::QemuChild child_;  // ends before its files do
};

}  // namespace bhvm::lockstep
