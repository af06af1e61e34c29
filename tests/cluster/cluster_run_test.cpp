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

}  // namespace
}  // namespace bhvm::test
