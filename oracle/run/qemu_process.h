// A QEMU process whose RAM is shared with this one.
//
// The process dies with its owner. Its RAM is a memfd, so that nothing is left behind in any file system.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "oracle/qemu/child.h"

namespace bhvm::oracle {

class QemuProcess {
 public:
  /// Starts `program` with the guest program as kernel. An error when it is missing or ends at once.
  static Result<std::unique_ptr<QemuProcess>> start(const std::string& program);
  ~QemuProcess();
  QemuProcess(const QemuProcess&) = delete;
  QemuProcess& operator=(const QemuProcess&) = delete;

  /// The guest's RAM from physical address 0, kGuestRamBytes long.
  u8* ram() const { return ram_; }
  bool alive() { return child_.alive(); }
  /// How it ended and what it said.
  std::string epitaph() { return child_.epitaph(); }

 private:
  QemuProcess() = default;

  int ram_fd_ = -1;
  int kernel_fd_ = -1;
  u8* ram_ = nullptr;
  QemuChild child_;  // ends before its files do
};

}  // namespace bhvm::oracle
