// What a person sees of a run while it goes: events as they happen, and in a terminal the clocks, the speed and the
// state of each node below them.
#pragma once

#include <string>

#include "cli/run_log.h"
#include "cluster/cluster_observer.h"

namespace bhvm::cli {

class RunProgress final : public ClusterObserver {
 public:
  /// `status_lines`: standard error is a terminal, and shows how far the run is.
  RunProgress(const NodeNames& names, u32 properties, bool status_lines);
  ~RunProgress() override { clear(); }

  void event(const ClusterEvent& event) override;
  void progress(const ClusterProgress& progress) override;
  /// Takes the status lines away.
  void clear();

 private:
  void show(const ClusterProgress& progress, double now_s);

  NodeNames names_;
  u32 properties_;
  bool status_lines_;
  double start_s_;
  double start_cpu_s_;
  double shown_at_s_ = 0;
  u32 met_ = 0;
  std::size_t lines_shown_ = 0;
};

}  // namespace bhvm::cli
