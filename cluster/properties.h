// Properties: what must hold in a run, the built-in ones and the scenario's, and what became of each.
//
// Fed with everything that happens in order; judges at once. A property that has failed stays failed, and its first
// failure is what is reported.
#pragma once

#include <functional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/cluster.h"
#include "cluster/scenario.h"

namespace bhvm {

/// What a kernel message says about its kernel or a process, if it says anything bad.
struct KernelTrouble {
  enum class Kind : u8 { kNone, kKernel, kCrash } kind = Kind::kNone;
  std::string what;  // "kernel panic", "SIGSEGV"
};
/// `line` is a console line; only a kernel message in it (one with a time stamp) counts.
KernelTrouble find_kernel_trouble(std::string_view line);

struct PropertyState {
  bool failed = false;
  bool met = false;
  u64 count = 0;
  u64 time_ns = 0;
  u32 node = kNoNode;
};

class Properties {
 public:
  /// Called when a property fails, and when an eventually or sometimes is met.
  using Verdict = std::function<void(const PropertyResult& result)>;

  Properties(const Scenario& scenario, Verdict verdict);

  void console_line(u64 time_ns, u32 node, std::string_view line);
  /// `how`: "exited 0", "killed SIGSEGV".
  void command_ended(u64 time_ns, u32 node, bool exited, int number, const std::string& how);
  /// The node powered off, or died of something else than a fault.
  void node_ended(u64 time_ns, u32 node, bool powered_off, const std::string& how);
  void live_lock(u64 time_ns, u32 node, const std::string& what);
  void end_command(u64 time_ns, std::size_t command, bool done, int status, const std::string& output);
  /// Deadlines of eventually properties; kNever when none is left.
  u64 next_deadline_ns() const;
  void check_deadlines(u64 now_ns);
  /// The run is over: what had to happen must have.
  void finish(u64 now_ns);
  /// The workload did not end in time.
  void workload_unfinished(u64 now_ns, u32 node);

  u32 failures() const { return failures_; }
  const std::vector<PropertyResult>& results() const { return results_; }
  /// The node that last wrote a line in which the pattern is found; kNoNode: none, or the pattern is not watched.
  u32 who_said(const std::string& pattern) const;
  std::vector<PropertyState> state() const;

 private:
  enum Builtin : std::size_t { kKernel, kCrash, kCommand, kLiveLock, kBuiltins };
  struct Speaker {
    std::string pattern;
    std::regex expression;
    u32 last = kNoNode;
  };

  void fail(std::size_t property, u64 time_ns, u32 node, std::string detail);
  void watch_speaker(const std::string& pattern);
  std::size_t of_line(std::size_t i) const { return kBuiltins + i; }
  std::size_t of_end_command(std::size_t i) const { return kBuiltins + scenario_.properties.size() + i; }

  const Scenario& scenario_;
  Verdict verdict_;
  std::vector<PropertyResult> results_;
  std::vector<std::regex> expressions_;
  std::vector<bool> checked_;  // of results_: the built-in ones can be off
  std::vector<Speaker> speakers_;
  u32 failures_ = 0;
};

}  // namespace bhvm
