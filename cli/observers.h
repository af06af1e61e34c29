// Observers: several watchers of one run, told in order.
#pragma once

#include <vector>

#include "cluster/cluster_observer.h"

namespace bhvm::cli {

class Observers final : public ClusterObserver {
 public:
  /// A null one is left out.
  void add(ClusterObserver* observer) {
    if (observer != nullptr) all_.push_back(observer);
  }
  void console_line(u64 time_ns, u32 node, std::string_view line) override {
    for (ClusterObserver* const one : all_) one->console_line(time_ns, node, line);
  }
  void event(const ClusterEvent& event) override {
    for (ClusterObserver* const one : all_) one->event(event);
  }
  void hashes(const HashRecord& record) override {
    for (ClusterObserver* const one : all_) one->hashes(record);
  }
  void end_command_line(u64 time_ns, u32 node, std::string_view line) override {
    for (ClusterObserver* const one : all_) one->end_command_line(time_ns, node, line);
  }
  void progress(const ClusterProgress& progress) override {
    for (ClusterObserver* const one : all_) one->progress(progress);
  }

 private:
  std::vector<ClusterObserver*> all_;
};

}  // namespace bhvm::cli
