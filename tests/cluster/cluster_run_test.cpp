#include <gmock/gmock.h>

#include "tests/cluster/cluster_guest.h"

namespace bhvm::test {
namespace {

using ::testing::HasSubstr;

TEST(ClusterRun, NodesFindEachOtherByName) {
  BHVM_NEEDS_GUEST;
  Scenario scenario = cluster_scenario(2, "sleep 1000");
  scenario.end_commands.push_back({"ping", 0, "ping -c 3 n1", 0, "3 packets received", 10 * kSecond_ns});
  Notebook notebook;
  const ClusterResult result = run_cluster(scenario, notebook);
  EXPECT_TRUE(result.ok) << notebook.all;
  EXPECT_TRUE(property(result, "ping").met) << notebook.all;
}

/// Three nodes that talk all the time, with a fault of every kind, over five seconds.
Scenario busy_scenario() {
  Scenario scenario = cluster_scenario(
      3,
      "while true; do for n in n0 n1 n2; do ping -c 1 -W 1 $n >/dev/null && echo $n answers at $(cat /proc/uptime); "
      "done; dd if=/dev/urandom of=/tmp/x bs=1k count=20 2>/dev/null; sha256sum </tmp/x; sleep 0.1; done");
  scenario.seed = 7;
  scenario.timer_jitter_ns = 20'000;
  for (u32 kind = 0; kind < kFaultKinds; ++kind) {
    FaultMixScenario mix;
    mix.kind = static_cast<FaultKind>(kind);
    mix.interval_min_ns = 200 * kMillisecond_ns;
    mix.interval_max_ns = 2 * kSecond_ns;
    mix.duration_min_ns = 50 * kMillisecond_ns;
    mix.duration_max_ns = 500 * kMillisecond_ns;
    mix.strength.latency_ns = 20 * kMillisecond_ns;
    scenario.fault_mix.push_back(mix);
  }
  scenario.hash_every_ns = 500 * kMillisecond_ns;
  scenario.stop_at_failure = false;
  return scenario;
}

TEST(ClusterRun, TheNumberOfThreadsChangesNothing) {
  BHVM_NEEDS_GUEST;
  const Scenario scenario = busy_scenario();
  Notebook one;
  const ClusterResult with_one = run_cluster(scenario, one, 1);
  EXPECT_GT(with_one.parallel_epochs, 100);
  EXPECT_GT(std::count(one.all.begin(), one.all.end(), '\n'), 100);
  for (const unsigned jobs : {2U, 4U}) {
    Notebook more;
    const ClusterResult with_more = run_cluster(scenario, more, jobs);
    EXPECT_EQ(more.all, one.all) << jobs;
    EXPECT_EQ(with_more.final_hash.cluster, with_one.final_hash.cluster) << jobs;
    EXPECT_EQ(with_more.epochs, with_one.epochs) << jobs;
  }
}

TEST(ClusterRun, TheSeedIsTheRun) {
  BHVM_NEEDS_GUEST;
  Scenario scenario = cluster_scenario(2, "cat /proc/sys/kernel/random/uuid; ping -c 2 n0 >/dev/null; sleep 1000");
  scenario.network.link.jitter_ns = 50'000;
  scenario.max_time_ns = 2 * kSecond_ns;
  Notebook one;
  const ClusterResult first = run_cluster(scenario, one);
  Notebook again;
  EXPECT_EQ(run_cluster(scenario, again).final_hash.cluster, first.final_hash.cluster);
  EXPECT_EQ(one.all, again.all);
  scenario.seed = 1;
  Notebook other;
  const ClusterResult second = run_cluster(scenario, other);
  EXPECT_NE(second.final_hash.cluster, first.final_hash.cluster);
  EXPECT_NE(second.final_hash.network, first.final_hash.network);
  EXPECT_NE(one.console, other.console);  // other random numbers
  // Forks of one template are different machines.
  EXPECT_NE(first.final_hash.nodes[0], first.final_hash.nodes[1]);
  EXPECT_NE(one.console.substr(one.console.find("n0: ") + 4, 36), one.console.substr(one.console.find("n1: ") + 4, 36));
}

TEST(ClusterRun, WatchingChangesNothing) {
  BHVM_NEEDS_GUEST;
  Scenario scenario = busy_scenario();
  scenario.max_time_ns = 2 * kSecond_ns;
  Notebook watched;
  const ClusterResult with_observer = run_cluster(scenario, watched);
  Result<std::unique_ptr<Cluster>> alone = Cluster::create(scenario, {.jobs = 2});
  ASSERT_TRUE(alone.ok() && alone.value()->boot().ok());
  EXPECT_EQ(alone.value()->run().value().final_hash.cluster, with_observer.final_hash.cluster);
  scenario.hash_every_ns = 0;  // hashing on the way changes nothing in the machines
  Notebook unhashed;
  EXPECT_EQ(run_cluster(scenario, unhashed).final_hash.nodes, with_observer.final_hash.nodes);
}

TEST(ClusterRun, NodesOfOneKindShareABoot) {
  BHVM_NEEDS_GUEST;
  Scenario scenario = cluster_scenario(3, "sleep 1000");
  scenario.nodes[2].memory_bytes = u64{96} << 20;
  scenario.max_time_ns = 1 * kSecond_ns;
  scenario.power_off_at_end = true;
  Notebook notebook;
  Result<std::unique_ptr<Cluster>> cluster = Cluster::create(scenario, {.jobs = 2, .observer = &notebook});
  ASSERT_TRUE(cluster.ok());
  EXPECT_EQ(cluster.value()->templates(), 2);
  ASSERT_TRUE(cluster.value()->boot().ok());
  EXPECT_GT(cluster.value()->boot_ns(), 1 * kMillisecond_ns);
  const Result<ClusterResult> result = cluster.value()->run();
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result.value().ok) << notebook.all;
  for (const NodeStatistics& node : result.value().nodes) EXPECT_EQ(node.status, NodeStatus::kEnded);
}

}  // namespace
}  // namespace bhvm::test
