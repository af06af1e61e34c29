// timeline.json: a run in the trace event format, for Perfetto (ui.perfetto.dev) and chrome://tracing.
//
// Each node is a process with its state, the faults that concern it, its console and its frames; the cluster is one
// more, with the run's phases, the faults of the network and the properties. Times are virtual.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "cli/run_log.h"
#include "cluster/cluster_observer.h"

namespace bhvm::cli {

class Timeline {
 public:
  explicit Timeline(const NodeNames& names);

  void console_line(u64 time_ns, u32 node, std::string_view line);
  void event(const ClusterEvent& event);
  /// Frames that a node sent and received since the last call.
  void frames(u64 time_ns, u32 node, u64 sent, u64 received);
  void finish(u64 end_ns);

  /// The text that has come together since the last call.
  std::string take();

 private:
  struct Open {
    u64 since_ns = 0;
    std::string name;
    std::string detail;
  };
  using Track = std::pair<u64, u64>;  // process, thread

  void begin(Track track, u64 time_ns, std::string name, std::string detail = {});
  void end(Track track, u64 time_ns);
  void slice(Track track, const Open& open, u64 end_ns);
  void instant(Track track, u64 time_ns, std::string_view name, std::string_view detail);
  void name_track(Track track, std::string_view name);
  void put(const std::string& json);

  NodeNames names_;
  std::string text_;
  bool first_ = true;
  std::map<Track, Open> open_;
  std::map<Track, bool> named_;
};

}  // namespace bhvm::cli
