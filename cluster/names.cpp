// The names of what a cluster reports.
#include <array>

#include "base/check.h"
#include "cluster/cluster.h"
#include "cluster/cluster_observer.h"

namespace bhvm {

std::string_view to_string(NodeStatus status) {
  static constexpr std::array<std::string_view, 5> kNames = {"booting", "running", "paused", "down", "ended"};
  return kNames.at(static_cast<std::size_t>(status));
}

std::string_view to_string(ClusterEventKind kind) {
  static constexpr std::array<std::string_view, static_cast<std::size_t>(ClusterEventKind::kCount)> kNames = {
      "run-begins",      "node-started", "node-restarted", "node-ended",  "command-ended",
      "fault-begins",    "fault-ends",   "quiet-begins",   "end-command", "end-command-ended",
      "property-failed", "property-met", "run-ends"};
  BHVM_CHECK(kind < ClusterEventKind::kCount, "an event kind without a name");
  return kNames[static_cast<std::size_t>(kind)];
}

std::string_view to_string(ClusterEnd end) {
  static constexpr std::array<std::string_view, 4> kNames = {"completed", "time", "failure", "stopped"};
  return kNames.at(static_cast<std::size_t>(end));
}

}  // namespace bhvm
