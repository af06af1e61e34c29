// A QEMU process as our child: it dies with its owner, and what it says is kept in memory.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace bhvm::oracle {

class QemuChild {
 public:
  QemuChild() = default;
  /// Kills it.
  ~QemuChild();
  QemuChild(const QemuChild&) = delete;
  QemuChild& operator=(const QemuChild&) = delete;

  /// Starts words[0], looked for in PATH, with the file descriptors `keep` and no input. That the program is missing is
  /// in its epitaph; an error is the host's refusal to start any process. Once only.
  Status start(const std::vector<std::string>& words, std::span<const int> keep);

  bool alive();
  /// How it ended and what it said: a sentence or two.
  std::string epitaph();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int status_ = 0;
  int messages_fd_ = -1;
};

}  // namespace bhvm::oracle
