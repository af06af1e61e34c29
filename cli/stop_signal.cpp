#include "cli/stop_signal.h"

#include <csignal>

namespace bhvm::cli {
namespace {

std::atomic<bool> requested{false};
static_assert(std::atomic<bool>::is_always_lock_free);

}  // namespace

void catch_stop_signals() {
  struct sigaction stop{};
  stop.sa_handler = [](int) { requested = true; };
  sigaction(SIGINT, &stop, nullptr);
  sigaction(SIGTERM, &stop, nullptr);
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &ignore, nullptr);
}

std::atomic<bool>& stop_requested() { return requested; }

}  // namespace bhvm::cli
