// Clusters of real guests: scenarios over the small initramfs, and an observer that keeps what it is told.
//
// The files are named by BHVM_KERNEL and BHVM_INITRAMFS_TINY; a test without them skips itself with BHVM_NEEDS_GUEST.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "cluster/cluster.h"
#include "tests/end_to_end/guest.h"

namespace bhvm::test {

inline constexpr u64 kSecond_ns = 1'000'000'000;
inline constexpr u64 kMillisecond_ns = 1'000'000;

/// `count` nodes n0, n1, ... that run `command`, each for as long as the run takes.
inline Scenario cluster_scenario(u32 count, const std::string& command) {
  Scenario scenario;
  scenario.name = "test";
  scenario.images.push_back({"tiny", std::getenv("BHVM_KERNEL"), std::getenv("BHVM_INITRAMFS_TINY"), "", "quiet"});
  for (u32 i = 0; i < count; ++i) {
    NodeScenario node;
    node.name = "n" + std::to_string(i);
    node.memory_bytes = u64{64} << 20;
    node.command = command;
    scenario.nodes.push_back(node);
  }
  scenario.max_time_ns = 5 * kSecond_ns;
  scenario.quiet_ns = 1 * kSecond_ns;
  return scenario;
}

/// Keeps everything as text, a line each, for looking at and for comparing.
class Notebook : public ClusterObserver {
 public:
  void console_line(u64 time_ns, u32 node, std::string_view line) override {
    note(time_ns, node, line);
    console += "n" + std::to_string(node) + ": " + std::string(line) + "\n";
  }
  void end_command_line(u64 time_ns, u32 node, std::string_view line) override { note(time_ns, node, line); }
  void event(const ClusterEvent& event) override {
    note(event.time_ns, event.node, std::string(to_string(event.kind)) + " " + event.name + " " + event.detail);
    events.push_back(event);
  }
  void hashes(const HashRecord& record) override { note(record.time_ns, kNoNode, to_string(record.cluster)); }

  std::string all;
  std::string console;
  std::vector<ClusterEvent> events;

 private:
  void note(u64 time_ns, u32 node, std::string_view text) {
    all +=
        std::to_string(time_ns) + " " + (node == kNoNode ? "-" : std::to_string(node)) + " " + std::string(text) + "\n";
  }
};

inline ClusterResult run_cluster(const Scenario& scenario, Notebook& notebook, unsigned jobs = 2) {
  Result<std::unique_ptr<Cluster>> cluster = Cluster::create(scenario, {.jobs = jobs, .observer = &notebook});
  EXPECT_TRUE(cluster.ok()) << cluster.error().message;
  if (!cluster) return {};
  const Status booted = cluster.value()->boot();
  EXPECT_TRUE(booted.ok()) << booted.error().message;
  if (!booted) return {};
  Result<ClusterResult> result = cluster.value()->run();
  EXPECT_TRUE(result.ok()) << result.error().message;
  return result ? std::move(result).value() : ClusterResult{};
}

/// The property of that name.
inline const PropertyResult& property(const ClusterResult& result, const std::string& name) {
  for (const PropertyResult& property : result.properties) {
    if (property.name == name) return property;
  }
  ADD_FAILURE() << "no property " << name;
  return result.properties.front();
}

}  // namespace bhvm::test
