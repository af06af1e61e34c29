// Ctrl-C and its kin: the one thing of the command that a signal handler has to reach.
#pragma once

#include <atomic>

namespace bhvm::cli {

/// From now on SIGINT and SIGTERM set stop_requested(), and a write into a closed pipe is a failed write.
void catch_stop_signals();
std::atomic<bool>& stop_requested();

}  // namespace bhvm::cli
