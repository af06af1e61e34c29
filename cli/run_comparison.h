// RunComparison: a run held against the files of an earlier one.
//
// State hashes are the judge; console lines and events, which have exact times, narrow down the moment at which two
// runs part. Once the next hash shows the difference, the run may stop.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/run_log.h"
#include "cluster/cluster_observer.h"

namespace bhvm::cli {

class RunComparison final : public ClusterObserver {
 public:
  /// Reads the logs of the folder. `stop` is set when the hashes differ.
  static Result<RunComparison> open(const std::string& folder, const NodeNames& names, std::atomic<bool>& stop);

  void console_line(u64 time_ns, u32 node, std::string_view line) override;
  void end_command_line(u64 time_ns, u32 node, std::string_view line) override;
  void event(const ClusterEvent& event) override;
  void hashes(const HashRecord& record) override;

  /// How many hash records were the same.
  std::size_t same() const { return hashes_.next; }
  bool differs() const { return hash_difference_.has_value() || log_difference_.has_value(); }
  /// Lines were expected that did not come. To be asked when the run has ended by itself.
  bool incomplete() const;
  /// What is known of the difference, for a person. REQUIRES: differs() or incomplete().
  std::string report() const;

 private:
  /// The lines of a file, and how many of them have come.
  struct Log {
    std::string what;
    std::vector<std::string> lines;
    std::size_t next = 0;
  };
  struct Difference {
    u64 time_ns = 0;
    std::string what;
    std::string recorded;
    std::string now;
  };

  RunComparison(NodeNames names, std::atomic<bool>& stop) : names_(std::move(names)), stop_(&stop) {}
  static Result<Log> read_log(const std::string& folder, const std::string& file, std::string what);
  void compare(Log& log, u64 time_ns, const std::string& line);

  NodeNames names_;
  std::atomic<bool>* stop_;
  std::vector<Log> consoles_;
  Log events_;
  Log hashes_;
  u64 same_until_ns_ = 0;                     // the last moment at which the hashes were the same
  std::optional<Difference> log_difference_;  // the first one
  std::optional<Difference> hash_difference_;
};

}  // namespace bhvm::cli
