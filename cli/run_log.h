// The lines that a run leaves in its files: console lines, events, state hashes. Each is a function of the run alone,
// so two runs that were the same wrote the same lines; `bhvm replay` compares them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cluster/cluster_observer.h"

namespace bhvm::cli {

using NodeNames = std::vector<std::string>;

/// "[   12.345678901] text\n": of NODE.console.log.
std::string console_log_line(u64 time_ns, std::string_view text);
/// A JSON object and a line end: of events.jsonl.
std::string event_log_line(const ClusterEvent& event, const NodeNames& names);
/// A JSON object and a line end: of hashes.jsonl.
std::string hash_log_line(const HashRecord& record, const NodeNames& names);

/// "12.345678901 s"
std::string precise_seconds(u64 ns);
/// An event as a sentence without its time: "partition (halves) begins: redis1, redis2".
std::string describe(const ClusterEvent& event, const NodeNames& names);

}  // namespace bhvm::cli
