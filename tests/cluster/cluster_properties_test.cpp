// What goes wrong in real guests is found without anybody having asked for it, and ends the run where it happened.
#include <gmock/gmock.h>

#include "tests/cluster/cluster_guest.h"

namespace bhvm::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// The result of two nodes of which the second runs `command`.
ClusterResult run_beside(const std::string& command, Notebook& notebook, CommandRole role = CommandRole::kService,
                         u64 live_lock_ns = 2 * kSecond_ns) {
  Scenario scenario = cluster_scenario(2, "sleep 1000");
  scenario.nodes[1].command = command;
  scenario.nodes[1].role = role;
  scenario.builtin.live_lock_ns = live_lock_ns;
  return run_cluster(scenario, notebook);
}

TEST(ClusterProperties, ACrashOfAnyProcessIsFound) {
  BHVM_NEEDS_GUEST;
  for (const std::string signal : {"SEGV", "ABRT", "ILL", "BUS"}) {
    Notebook notebook;
    const ClusterResult result = run_beside("sleep 0.5; sh -c 'kill -" + signal + " $$'; sleep 1000", notebook);
    EXPECT_FALSE(result.ok) << notebook.all;
    EXPECT_EQ(result.end, ClusterEnd::kFailure);
    const PropertyResult& crash = property(result, "crash");
    EXPECT_TRUE(crash.failed) << notebook.all;
    EXPECT_EQ(crash.node, 1);
    EXPECT_THAT(crash.detail, StartsWith("SIG" + signal));
    EXPECT_GT(crash.time_ns, kSecond_ns / 2);
    EXPECT_LT(result.end_ns - crash.time_ns, 20 * kMillisecond_ns);  // the run ends there
  }
}

TEST(ClusterProperties, AKernelPanicIsFound) {
  BHVM_NEEDS_GUEST;
  Notebook notebook;
  const ClusterResult result =
      run_beside("sleep 0.5; kill -9 1; kill -SEGV 1; echo c >/proc/sysrq-trigger; sleep 1000", notebook);
  // Which of these this kernel offers does not matter as long as one does; the exit of process 1 is a panic.
  if (result.ok) GTEST_SKIP() << "the guest has no way to make its kernel panic";
  EXPECT_TRUE(property(result, "kernel").failed) << notebook.all;
}

TEST(ClusterProperties, AnOomKillIsFound) {
  BHVM_NEEDS_GUEST;
  Notebook notebook;
  const ClusterResult result = run_beside("tail /dev/zero; sleep 1000", notebook);
  EXPECT_TRUE(property(result, "kernel").failed) << notebook.all;
  EXPECT_THAT(property(result, "kernel").detail, HasSubstr("OOM kill"));
}

TEST(ClusterProperties, AServiceThatEndsIsFound) {
  BHVM_NEEDS_GUEST;
  Notebook notebook;
  const ClusterResult result = run_beside("sleep 0.3; exit 4", notebook);
  EXPECT_TRUE(property(result, "command").failed);
  EXPECT_THAT(property(result, "command").detail, HasSubstr("n1 ended unexpectedly: exited 4"));
}

TEST(ClusterProperties, AWorkloadEndsTheRunWhenItEndsWell) {
  BHVM_NEEDS_GUEST;
  Notebook notebook;
  const ClusterResult result = run_beside("sleep 0.3", notebook, CommandRole::kWorkload);
  EXPECT_TRUE(result.ok) << notebook.all;
  EXPECT_EQ(result.end, ClusterEnd::kCompleted);
  EXPECT_GE(result.end_ns, 1300 * kMillisecond_ns);  // the quiet period is a second
  EXPECT_LT(result.end_ns, 1500 * kMillisecond_ns);
  Notebook other;
  const ClusterResult failed = run_beside("sleep 0.3; false", other, CommandRole::kWorkload);
  EXPECT_THAT(property(failed, "command").detail, HasSubstr("exited 1; expected: exited 0"));
  Notebook third;
  const ClusterResult late = run_beside("sleep 1000", third, CommandRole::kWorkload);
  EXPECT_THAT(property(late, "command").detail, HasSubstr("had not ended"));
}

TEST(ClusterProperties, ALiveLockIsFound) {
  BHVM_NEEDS_GUEST;
  Notebook notebook;
  const ClusterResult result = run_beside("sleep 0.5; while true; do true; done", notebook);
  const PropertyResult& lock = property(result, "live-lock");
  EXPECT_TRUE(lock.failed) << notebook.all;
  EXPECT_EQ(lock.node, 1);
  EXPECT_GE(lock.time_ns, 2400 * kMillisecond_ns);
  EXPECT_LT(lock.time_ns, 2800 * kMillisecond_ns);
}

TEST(ClusterProperties, LinesAndEndCommandsAreChecked) {
  BHVM_NEEDS_GUEST;
  Scenario scenario = cluster_scenario(1, "echo one; sleep 0.5; echo lost 3 writes; sleep 1000");
  scenario.stop_at_failure = false;
  scenario.properties.push_back({"no loss", PropertyKind::kNever, "lost [0-9]+", kNoNode, 0, 0});
  scenario.properties.push_back({"begins", PropertyKind::kEventually, "^one$", 0, 0, kSecond_ns});
  scenario.properties.push_back({"ends", PropertyKind::kEventually, "^two$", 0, 0, 0});
  scenario.end_commands.push_back({"true", 0, "echo fine; true", 0, "^fine$", kSecond_ns});
  scenario.end_commands.push_back({"false", 0, "false", 0, "", kSecond_ns});
  scenario.end_commands.push_back({"slow", 0, "sleep 100", 0, "", kSecond_ns});
  Notebook notebook;
  const ClusterResult result = run_cluster(scenario, notebook);
  EXPECT_FALSE(result.ok);
  EXPECT_TRUE(property(result, "no loss").failed);
  EXPECT_EQ(property(result, "no loss").detail, "lost 3 writes");
  EXPECT_TRUE(property(result, "begins").met);
  EXPECT_TRUE(property(result, "ends").failed);
  EXPECT_TRUE(property(result, "true").met) << notebook.all;
  EXPECT_TRUE(property(result, "false").failed);
  EXPECT_TRUE(property(result, "slow").failed);
}

TEST(ClusterProperties, AnImageWithoutAnAgentIsAnError) {
  BHVM_NEEDS_GUEST;
  Scenario scenario = cluster_scenario(1, "true");
  scenario.images[0].append = "init=/bin/true rdinit=/bin/true";
  Result<std::unique_ptr<Cluster>> cluster = Cluster::create(scenario, {});
  ASSERT_TRUE(cluster.ok());
  const Status status = cluster.value()->boot();
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("its agent is ready"));
  EXPECT_THAT(status.error().message, HasSubstr("Kernel panic"));
}

}  // namespace
}  // namespace bhvm::test
