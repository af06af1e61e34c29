// What each kind of fault, given in a scenario, does to real guests.
#include <gmock/gmock.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "tests/cluster/cluster_guest.h"

namespace bhvm::test {
namespace {

FaultScenario fault_of(FaultKind kind, u64 at_ms, u64 duration_ms, std::vector<u32> nodes) {
  FaultScenario fault;
  fault.kind = kind;
  fault.at_ns = at_ms * kMillisecond_ns;
  fault.duration_ns = duration_ms * kMillisecond_ns;
  fault.nodes = std::move(nodes);
  return fault;
}

/// Every node pings n0 ten times a second and says which round got an answer.
Scenario pinging(u32 nodes) {
  Scenario scenario = cluster_scenario(
      nodes,
      "i=0; while true; do ping -c 1 -W 1 n0 >/tmp/out && echo round $i: $(grep -o 'time=.*' /tmp/out); "
      "i=$((i+1)); sleep 0.1; done");
  scenario.max_time_ns = 4 * kSecond_ns;
  scenario.stop_at_failure = false;
  return scenario;
}

struct Line {
  u64 time_ns;
  u32 node;
  std::string text;
};

/// Keeps the console lines with their times.
class Recorder : public Notebook {
 public:
  void console_line(u64 time_ns, u32 node, std::string_view line) override {
    Notebook::console_line(time_ns, node, line);
    lines.push_back({time_ns, node, std::string(line)});
  }
  /// Lines of a node that hold `text`, within [from, to).
  std::size_t count(u32 node, const std::string& text, u64 from_ms = 0, u64 to_ms = ~u64{0} / kMillisecond_ns) const {
    return static_cast<std::size_t>(std::ranges::count_if(lines, [&](const Line& line) {
      return line.node == node && line.text.find(text) != std::string::npos &&
             line.time_ns >= from_ms * kMillisecond_ns && line.time_ns < to_ms * kMillisecond_ns;
    }));
  }
  std::vector<Line> lines;
};

TEST(ClusterFaults, APartitionCutsAndHeals) {
  BHVM_NEEDS_GUEST;
  Scenario scenario = pinging(3);
  FaultScenario fault = fault_of(FaultKind::kPartition, 1000, 1000, {0, 1});
  scenario.faults = {fault};
  Recorder recorder;
  run_cluster(scenario, recorder);
  EXPECT_GT(recorder.count(2, "round", 0, 1000), 5);
  EXPECT_EQ(recorder.count(2, "round", 1001, 2000), 0) << recorder.console;
  EXPECT_GT(recorder.count(1, "round", 1001, 2000), 5);  // on the same side
  EXPECT_GT(recorder.count(2, "round", 3200, 4000), 3);
}

TEST(ClusterFaults, AnsweringTakesTheLatencyThatTheFaultAdds) {
  BHVM_NEEDS_GUEST;
  Scenario scenario = pinging(2);
  FaultScenario fault = fault_of(FaultKind::kLatency, 1000, 1500, {1});
  fault.strength.latency_ns = 40 * kMillisecond_ns;
  scenario.faults = {fault};
  Recorder recorder;
  run_cluster(scenario, recorder);
  EXPECT_GT(recorder.count(1, "time=80.", 1000, 2600), 3) << recorder.console;
  EXPECT_EQ(recorder.count(1, "time=80.", 0, 1000), 0);
  EXPECT_EQ(recorder.count(1, "time=80.", 2800, 4000), 0);
}

TEST(ClusterFaults, LinksLoseDoubleChangeAndHoldFrames) {
  BHVM_NEEDS_GUEST;
  for (const FaultKind kind : {FaultKind::kLoss, FaultKind::kDuplicate, FaultKind::kReorder, FaultKind::kCorrupt,
                               FaultKind::kBandwidth, FaultKind::kClog}) {
    Scenario scenario = pinging(2);
    FaultScenario fault = fault_of(kind, 500, 1500, {});
    fault.links = {{1, 0}};
    fault.strength.probability_ppb = LinkConfig::kCertain / 2;
    scenario.faults = {fault};
    Recorder recorder;
    const ClusterResult result = run_cluster(scenario, recorder);
    LinkCounters there;
    LinkCounters back;
    for (const LinkStatistics& link : result.links) (link.from == 1 ? there : back) = link.counters;
    EXPECT_EQ(there.lost != 0, kind == FaultKind::kLoss);
    EXPECT_EQ(there.duplicated != 0, kind == FaultKind::kDuplicate);
    EXPECT_EQ(there.reordered != 0, kind == FaultKind::kReorder);
    EXPECT_EQ(there.corrupted != 0, kind == FaultKind::kCorrupt);
    EXPECT_EQ(there.clogged != 0, kind == FaultKind::kClog);
    EXPECT_EQ(back.lost + back.duplicated + back.reordered + back.corrupted + back.clogged, 0);
    if (kind == FaultKind::kBandwidth) {
      EXPECT_EQ(recorder.count(1, "time=0.", 600, 1900), 0) << recorder.console;  // 98 bytes at 1 Mbit/s: 0.8 ms more
    }
  }
}

TEST(ClusterFaults, AKilledNodeComesBackAndRunsItsCommandAgain) {
  BHVM_NEEDS_GUEST;
  Scenario scenario = cluster_scenario(2, "echo begins; sleep 1000");
  scenario.faults = {fault_of(FaultKind::kKill, 1000, 500, {1})};
  scenario.end_commands.push_back({"up", 0, "ping -c 1 n1", 0, "", 5 * kSecond_ns});
  Recorder recorder;
  const ClusterResult result = run_cluster(scenario, recorder);
  EXPECT_TRUE(result.ok) << recorder.all;
  EXPECT_EQ(recorder.count(0, "begins"), 1);
  EXPECT_EQ(recorder.count(1, "begins"), 2);
  EXPECT_EQ(recorder.count(1, "begins", 1500, 2500), 1);
  EXPECT_EQ(result.nodes[1].boots, 2);
  EXPECT_EQ(result.faults[static_cast<std::size_t>(FaultKind::kKill)], 1);
}

TEST(ClusterFaults, APausedNodeStandsStillAndGoesOn) {
  BHVM_NEEDS_GUEST;
  Scenario scenario = cluster_scenario(1, "while true; do echo tick; sleep 0.1; done");
  scenario.faults = {fault_of(FaultKind::kPause, 1000, 1000, {0})};
  Recorder recorder;
  run_cluster(scenario, recorder);
  EXPECT_GT(recorder.count(0, "tick", 0, 1000), 7);
  EXPECT_EQ(recorder.count(0, "tick", 1000, 2000), 0);
  EXPECT_GT(recorder.count(0, "tick", 2000, 3000), 7);
}

TEST(ClusterFaults, ASlowProcessorCountsLess) {
  BHVM_NEEDS_GUEST;
  Scenario scenario =
      cluster_scenario(1, "while true; do i=0; while [ $i -lt 1000 ]; do i=$((i+1)); done; echo counted; done");
  scenario.max_time_ns = 3 * kSecond_ns;
  FaultScenario fault = fault_of(FaultKind::kSlowCpu, 1000, 1000, {0});
  fault.strength.slow_factor = 10;
  scenario.faults = {fault};
  Recorder recorder;
  run_cluster(scenario, recorder);
  const double before = static_cast<double>(recorder.count(0, "counted", 0, 1000));
  const double during = static_cast<double>(recorder.count(0, "counted", 1000, 2000));
  const double after = static_cast<double>(recorder.count(0, "counted", 2000, 3000));
  EXPECT_GT(before, 50);
  EXPECT_NEAR(before / during, 10, 2);
  EXPECT_NEAR(after / before, 1, 0.2);
}

TEST(ClusterFaults, ClocksJumpAndDrift) {
  BHVM_NEEDS_GUEST;
  Scenario scenario = cluster_scenario(2, "while true; do echo at $(cut -d ' ' -f 1 /proc/uptime); sleep 0.05; done");
  FaultScenario jump = fault_of(FaultKind::kClockJump, 1000, 0, {0});
  jump.strength.clock_jump_ns = static_cast<i64>(100 * kSecond_ns);
  FaultScenario drift = fault_of(FaultKind::kClockRate, 1000, 2000, {1});
  drift.strength.clock_rate_ppm = 500'000;
  scenario.faults = {jump, drift};
  Recorder recorder;
  run_cluster(scenario, recorder);
  const auto uptime = [&](u32 node, u64 at_ms) {  // by the first line from then on
    for (const Line& line : recorder.lines) {
      if (line.node == node && line.time_ns >= at_ms * kMillisecond_ns && line.text.rfind("at ", 0) == 0) {
        return std::stod(line.text.substr(3));
      }
    }
    return 0.0;
  };
  EXPECT_NEAR(uptime(0, 1100) - uptime(0, 900), 100.2, 0.1) << recorder.console;
  EXPECT_NEAR(uptime(0, 2100) - uptime(0, 1100), 1, 0.1);
  EXPECT_NEAR(uptime(1, 900) - uptime(1, 400), 0.5, 0.1);
  EXPECT_NEAR(uptime(1, 2500) - uptime(1, 1500), 1.5, 0.1);
  EXPECT_NEAR(uptime(1, 4000) - uptime(1, 3500), 0.5, 0.1);
}

TEST(ClusterFaults, TheDateJumpsAlone) {
  BHVM_NEEDS_GUEST;
  Scenario scenario =
      cluster_scenario(3, "while true; do echo at $(cut -d ' ' -f 1 /proc/uptime) date $(date +%s); sleep 0.05; done");
  const auto set = [](u32 node, i64 seconds) {
    FaultScenario fault = fault_of(FaultKind::kWallClock, 1000, 0, {node});
    fault.strength.clock_jump_ns = seconds * static_cast<i64>(kSecond_ns);
    return fault;
  };
  constexpr i64 kSixtyYears_s = i64{60} * 365 * 24 * 3600;
  scenario.faults = {set(0, 3600), set(1, -86'400), set(2, -kSixtyYears_s)};
  Recorder recorder;
  const ClusterResult result = run_cluster(scenario, recorder);
  const auto shown = [&](u32 node, u64 at_ms) {  // seconds of uptime and of the date, by the first line from then on
    std::pair<double, double> pair{};
    for (const Line& line : recorder.lines) {
      if (line.node != node || line.time_ns < at_ms * kMillisecond_ns) continue;
      if (std::sscanf(line.text.c_str(), "at %lf date %lf", &pair.first, &pair.second) == 2) break;
    }
    return pair;
  };
  for (u32 node = 0; node < 3; ++node) {
    const double date_jump = node == 0 ? 3600 : node == 1 ? -86'400 : 0;
    EXPECT_NEAR(shown(node, 1100).first - shown(node, 900).first, 0.2, 0.1) << "no other clock jumps";
    EXPECT_NEAR(shown(node, 1100).second - shown(node, 900).second, date_jump, 1.01) << recorder.console;
    EXPECT_NEAR(shown(node, 3000).second - shown(node, 1100).second, 1.9, 1.01) << "it stays set";
    EXPECT_EQ(recorder.count(node, "agent: the date cannot be set for fault 3"), node == 2 ? 1 : 0)
        << "before 1970 there is no date";
  }
  EXPECT_EQ(result.faults[static_cast<std::size_t>(FaultKind::kWallClock)], 3);
  for (const ClusterEvent& event : recorder.events) EXPECT_NE(event.kind, ClusterEventKind::kFaultEnds);
}

TEST(ClusterFaults, ARestartedNodeIsToldTheRightDate) {
  BHVM_NEEDS_GUEST;
  Scenario scenario = cluster_scenario(1, "while true; do echo date $(date +%s); sleep 0.1; done");
  FaultScenario set = fault_of(FaultKind::kWallClock, 500, 0, {0});
  FaultScenario too_late = fault_of(FaultKind::kWallClock, 1200, 0, {0});  // while it is down
  scenario.faults = {set, fault_of(FaultKind::kKill, 1000, 500, {0}), too_late};
  scenario.faults[0].strength.clock_jump_ns = scenario.faults[2].strength.clock_jump_ns =
      static_cast<i64>(1000 * kSecond_ns);
  Recorder recorder;
  run_cluster(scenario, recorder);
  EXPECT_GT(recorder.count(0, "date 1700001", 600, 1000), 2) << recorder.console;
  EXPECT_GT(recorder.count(0, "date 1700000", 1500, 4000), 5) << recorder.console;
  EXPECT_EQ(recorder.count(0, "date 1700001", 1500, 4000), 0);
}

/// A scenario of one node with an empty ext4 disk at /data; without mke2fs the test is skipped.
class ClusterDisks : public ::testing::Test {
 protected:
  void SetUp() override {
    BHVM_NEEDS_GUEST;
    path_ = ::testing::TempDir() + "bhvm_cluster_disk_" + std::to_string(getpid());
    const std::string make = "truncate -s 8M '" + path_ + "' && mke2fs -q -F -t ext4 '" + path_ + "'";
    if (std::system(make.c_str()) != 0) GTEST_SKIP() << "mke2fs is missing";
  }
  void TearDown() override { std::remove(path_.c_str()); }

  Scenario with_disk(const std::string& command) const {
    Scenario scenario = cluster_scenario(1, command);
    scenario.nodes[0].disks.push_back({path_, "/data", "ext4"});
    scenario.stop_at_failure = false;
    scenario.max_time_ns = 4 * kSecond_ns;
    return scenario;
  }

  std::string path_;
};

TEST_F(ClusterDisks, WhatWasSyncedOutlivesAPowerCut) {
  for (const FaultKind kind : {FaultKind::kKill, FaultKind::kTornWrite}) {
    Scenario scenario = with_disk(
        "i=0; while true; do cat /data/log 2>/dev/null; echo line $i >>/data/log; sync; "
        "echo synced $i; i=$((i+1)); sleep 0.2; done");
    FaultScenario fault = fault_of(kind, 1100, 200, {0});
    fault.strength.survive_ppb = 0;
    scenario.faults = {fault};
    Recorder recorder;
    run_cluster(scenario, recorder);
    EXPECT_EQ(recorder.count(0, "synced 3", 0, 1100), 1);
    EXPECT_GE(recorder.count(0, "line 3", 1300), 1) << recorder.console;
  }
}

TEST_F(ClusterDisks, AFullDiskSaysSoAndHasRoomAgain) {
  Scenario scenario = with_disk(
      "while true; do dd if=/dev/zero of=/data/x bs=64k count=4 2>/tmp/e && echo copied || cat /tmp/e; "
      "rm -f /data/x; sleep 0.1; done");
  scenario.faults = {fault_of(FaultKind::kDiskFull, 1000, 1000, {0})};
  Recorder recorder;
  run_cluster(scenario, recorder);
  EXPECT_GT(recorder.count(0, "copied", 0, 1000), 3);
  EXPECT_GT(recorder.count(0, "No space", 1000, 2000), 3) << recorder.console;
  EXPECT_GT(recorder.count(0, "copied", 2100, 3000), 3);
  EXPECT_EQ(recorder.count(0, "No space", 2100, 4000), 0);
}

TEST_F(ClusterDisks, ASlowDiskTakesItsTime) {
  Scenario scenario = with_disk("while true; do echo x >/data/x; sync; echo synced; done");
  FaultScenario fault = fault_of(FaultKind::kDiskLatency, 1000, 1000, {0});
  fault.strength.latency_ns = 50 * kMillisecond_ns;
  scenario.faults = {fault};
  scenario.max_time_ns = 3 * kSecond_ns;
  Recorder recorder;
  run_cluster(scenario, recorder);
  EXPECT_GT(recorder.count(0, "synced", 0, 1000), 5 * recorder.count(0, "synced", 1000, 2000)) << recorder.console;
  EXPECT_GT(recorder.count(0, "synced", 1000, 2000), 2);
}

TEST_F(ClusterDisks, AFailingDiskFailsRequests) {
  Scenario scenario = with_disk(
      "while true; do dd if=/dev/vda of=/dev/null iflag=direct bs=4k count=1 2>/dev/null && echo copied || echo error; "
      "sleep 0.05; done");
  FaultScenario fault = fault_of(FaultKind::kDiskError, 1000, 1000, {0});
  fault.strength.probability_ppb = LinkConfig::kCertain;
  fault.strength.on_write = fault.strength.on_flush = false;
  scenario.faults = {fault};
  Recorder recorder;
  run_cluster(scenario, recorder);
  EXPECT_GT(recorder.count(0, "copied", 0, 1000), 5) << recorder.console;
  EXPECT_EQ(recorder.count(0, "copied", 1010, 2000), 0);
  EXPECT_GT(recorder.count(0, "error", 1000, 2000), 5) << recorder.console;
  EXPECT_GT(recorder.count(0, "copied", 2000, 3000), 5);
}

}  // namespace
}  // namespace bhvm::test
