// Each fault of a node, asked for by a scenario, and its effect inside a real guest: what the node's own programs say
// on its console, at which time of the cluster.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <set>

#include "tests/cluster/cluster_guest.h"
#include "tests/end_to_end/agent_guest.h"

namespace bhvm::test {
namespace {

using ::testing::HasSubstr;

constexpr u64 kBegin_ns = 1 * kSecond_ns;
constexpr u64 kLength_ns = 1 * kSecond_ns;
constexpr u64 kEnd_ns = kBegin_ns + kLength_ns;

constexpr const char* kTicks = "exec /guest-program ticks 1000000 20";

struct Line {
  u64 time_ns = 0;  // the cluster's
  std::string text;
};

/// Keeps the lines of each node with their times.
class Lines : public Notebook {
 public:
  void console_line(u64 time_ns, u32 node, std::string_view line) override {
    Notebook::console_line(time_ns, node, line);
    if (of.size() <= node) of.resize(node + 1);
    of[node].push_back({time_ns, std::string(line)});
  }
  std::vector<std::vector<Line>> of;
};

class ClusterNodeFaults : public ::testing::Test {
 protected:
  void SetUp() override { BHVM_NEEDS_GUEST; }

  /// Two nodes that run `command`; the first has the fault from second 2 to 3.
  Scenario scenario(const std::string& command, FaultKind kind, const FaultStrength& strength = {}) {
    if (initrd_.empty()) {
      initrd_ = folder_.file("initrd");
      const std::vector<u8> bytes = *agent_guest(guest_program()).initrd;
      EXPECT_TRUE(write_file(initrd_, bytes, "initrd").ok());
      disk_ = make_ext4(folder_, 32);
    }
    Scenario out = cluster_scenario(2, command);
    out.images[0].initrd = initrd_;
    for (NodeScenario& node : out.nodes) node.disks.push_back({disk_, "/data", "ext4"});
    FaultScenario fault;
    fault.kind = kind;
    fault.at_ns = kBegin_ns;
    fault.duration_ns = kLength_ns;
    fault.nodes = {0};
    fault.strength = strength;
    out.faults.push_back(fault);
    out.stop_at_failure = false;
    out.max_time_ns = 4 * kSecond_ns;
    return out;
  }
  /// The second node does little, so that the test is quick.
  static Scenario beside_ticks(Scenario scenario) {
    scenario.nodes[1].command = kTicks;
    return scenario;
  }
  Lines run(const Scenario& scenario) {
    Lines lines;
    result_ = run_cluster(scenario, lines);
    lines.of.resize(2);
    EXPECT_EQ(std::accumulate(result_.faults.begin(), result_.faults.end(), u64{0}), scenario.faults.size());
    return lines;
  }

  struct Tick {
    u64 time_ns = 0;
    i64 shown_ns = 0;
  };
  static std::vector<Tick> ticks(const std::vector<Line>& lines) {
    std::vector<Tick> out;
    for (const Line& line : lines) {
      Tick tick{line.time_ns, 0};
      int number = 0;
      if (std::sscanf(line.text.c_str(), "tick %d %ld", &number, &tick.shown_ns) == 2) out.push_back(tick);
    }
    return out;
  }
  static u64 longest_silence(const std::vector<Line>& lines) {
    u64 longest = 0;
    for (std::size_t i = 1; i < lines.size(); ++i) longest = std::max(longest, lines[i].time_ns - lines[i - 1].time_ns);
    return longest;
  }
  static std::vector<u64> numbers(const std::vector<Line>& lines, const char* format, u64 from_ns, u64 to_ns) {
    std::vector<u64> out;
    for (const Line& line : lines) {
      u64 number = 0;
      if (line.time_ns >= from_ns && line.time_ns < to_ns && std::sscanf(line.text.c_str(), format, &number) == 1) {
        out.push_back(number);
      }
    }
    return out;
  }
  static std::size_t count(const std::vector<Line>& lines, const std::string& text, u64 from_ns = 0,
                           u64 to_ns = ~u64{0}) {
    return static_cast<std::size_t>(std::ranges::count_if(lines, [&](const Line& line) {
      return line.time_ns >= from_ns && line.time_ns < to_ns && line.text.find(text) != std::string::npos;
    }));
  }

  const Folder folder_;
  std::string initrd_;
  std::string disk_;
  ClusterResult result_;
};

TEST_F(ClusterNodeFaults, Kill) {
  // Before the cut a file is synced and another is not; after it, the first is there.
  const Lines lines = run(scenario(
      "cat /data/kept; if ! test -e /data/kept; then echo kept before > /data/kept; sync; echo x > /data/lost; fi; "
      "exec /guest-program ticks 1000000 20",
      FaultKind::kKill, {.survive_ppb = 0}));
  EXPECT_GE(longest_silence(lines.of[0]), kLength_ns) << lines.console;
  EXPECT_LT(longest_silence(lines.of[1]), 30 * kMillisecond_ns);
  EXPECT_EQ(count(lines.of[0], "recovery complete", kEnd_ns), 1u) << lines.console;
  EXPECT_EQ(count(lines.of[0], "kept before", kEnd_ns), 1u);
  EXPECT_EQ(count(lines.of[1], "kept before"), 0u);
  EXPECT_EQ(result_.nodes[0].boots, 2u);
}

// A page that is written at once, over and over, each time with fdatasync: a power cut leaves the old or the new one,
// and one that tears what is in flight also a mixture.
TEST_F(ClusterNodeFaults, TornWrite) {
  constexpr const char* kPages = "exec /guest-program pages /data/pages";
  int torn = 0;
  for (u64 seed = 1; seed <= 4; ++seed) {
    for (const FaultKind kind : {FaultKind::kKill, FaultKind::kTornWrite}) {
      Scenario one =
          beside_ticks(scenario(kPages, kind, {.survive_ppb = kind == FaultKind::kKill ? 0 : LinkConfig::kCertain}));
      one.seed = seed;
      one.faults[0].at_ns += seed * 12'345'678;
      one.faults[0].duration_ns = 200 * kMillisecond_ns;
      one.quiet_ns = kSecond_ns / 2;
      one.max_time_ns = 2 * kSecond_ns;
      const Lines lines = run(one);
      EXPECT_EQ(count(lines.of[0], "recovery complete", kBegin_ns), 1u) << lines.console;
      EXPECT_EQ(count(lines.of[0], "page whole") + count(lines.of[0], "page torn"), 1u) << lines.console;
      if (kind == FaultKind::kKill) {
        EXPECT_EQ(count(lines.of[0], "page torn"), 0u) << lines.console;
      } else {
        torn += count(lines.of[0], "page torn") != 0;
      }
    }
  }
  EXPECT_GT(torn, 0);
}

TEST_F(ClusterNodeFaults, Pause) {
  const Lines lines = run(scenario(kTicks, FaultKind::kPause));
  EXPECT_GE(longest_silence(lines.of[0]), kLength_ns - 25 * kMillisecond_ns);
  EXPECT_EQ(count(lines.of[0], "tick", kBegin_ns + 1, kEnd_ns), 0u);
  EXPECT_LT(longest_silence(lines.of[1]), 30 * kMillisecond_ns);
  const std::vector<Tick> all = ticks(lines.of[0]);
  EXPECT_NEAR(static_cast<double>(all.back().shown_ns - all.front().shown_ns),
              static_cast<double>(all.back().time_ns - all.front().time_ns), 1e6)
      << "its clock went on";
}

TEST_F(ClusterNodeFaults, SlowCpu) {
  const Lines lines = run(beside_ticks(
      scenario("while :; do /guest-program spin; sleep 0.2; done", FaultKind::kSlowCpu, {.slow_factor = 10})));
  const std::vector<u64> before = numbers(lines.of[0], "spun %lu", 0, kBegin_ns);
  const std::vector<u64> during = numbers(lines.of[0], "spun %lu", kBegin_ns + kLength_ns / 2, kEnd_ns);
  const std::vector<u64> after = numbers(lines.of[0], "spun %lu", kEnd_ns + kSecond_ns / 2, ~u64{0});
  ASSERT_FALSE(before.empty() || during.empty() || after.empty()) << lines.console;
  EXPECT_NEAR(static_cast<double>(during.back()) * 10, static_cast<double>(before.back()),
              static_cast<double>(before.back()) / 10);
  EXPECT_NEAR(static_cast<double>(after.back()), static_cast<double>(before.back()),
              static_cast<double>(before.back()) / 20);
}

TEST_F(ClusterNodeFaults, ClockRate) {
  const Lines lines = run(scenario(kTicks, FaultKind::kClockRate, {.clock_rate_ppm = 500'000}));
  const auto rate = [&](u32 node, u64 from_ns, u64 to_ns) {
    std::vector<Tick> in;
    for (const Tick& tick : ticks(lines.of[node])) {
      if (tick.time_ns >= from_ns && tick.time_ns < to_ns) in.push_back(tick);
    }
    return static_cast<double>(in.back().shown_ns - in.front().shown_ns) /
           static_cast<double>(in.back().time_ns - in.front().time_ns);
  };
  EXPECT_NEAR(rate(0, 0, kBegin_ns), 1, 0.001);
  EXPECT_NEAR(rate(0, kBegin_ns, kEnd_ns), 1.5, 0.002);
  EXPECT_NEAR(rate(0, kEnd_ns, ~u64{0}), 1, 0.001);
  EXPECT_NEAR(rate(1, kBegin_ns, kEnd_ns), 1, 0.001);
}

TEST_F(ClusterNodeFaults, ClockJump) {
  const Lines lines = run(scenario(kTicks, FaultKind::kClockJump, {.clock_jump_ns = 100'000'000'000}));
  const auto largest_step = [&](u32 node) {
    const std::vector<Tick> all = ticks(lines.of[node]);
    i64 largest = 0;
    for (std::size_t i = 1; i < all.size(); ++i) largest = std::max(largest, all[i].shown_ns - all[i - 1].shown_ns);
    return static_cast<double>(largest);
  };
  EXPECT_NEAR(largest_step(0), 100e9, 0.03e9);
  EXPECT_NEAR(largest_step(1), 0.02e9, 0.01e9);
}

constexpr const char* kUseDisk = "while :; do /guest-program disk /data/file 4; sleep 0.02; done";

TEST_F(ClusterNodeFaults, DiskError) {
  FaultStrength strength;
  strength.probability_ppb = 500'000'000;
  strength.on_write = strength.on_flush = false;
  const Lines lines = run(scenario(kUseDisk, FaultKind::kDiskError, strength));
  EXPECT_GT(count(lines.of[0], "read 5", kBegin_ns, kEnd_ns), 3u) << lines.console;
  EXPECT_GT(count(lines.of[0], "I/O error, dev vda", kBegin_ns, kEnd_ns), 3u);
  EXPECT_EQ(count(lines.of[0], "read 5", 0, kBegin_ns) + count(lines.of[0], "read 5", kEnd_ns + kSecond_ns / 2), 0u);
  EXPECT_EQ(count(lines.of[1], "read 5"), 0u);
}

TEST_F(ClusterNodeFaults, DiskLatency) {
  const Lines lines = run(scenario(kUseDisk, FaultKind::kDiskLatency, {.latency_ns = 30 * kMillisecond_ns}));
  const char* const read = "write 0 %*d sync 0 %*d read 0 %lu";
  const std::vector<u64> before = numbers(lines.of[0], read, 0, kBegin_ns);
  const std::vector<u64> during = numbers(lines.of[0], read, kBegin_ns + kLength_ns / 4, kEnd_ns);
  ASSERT_FALSE(before.empty() || during.empty()) << lines.console;
  EXPECT_LT(*std::ranges::max_element(before), 1 * kMillisecond_ns);
  EXPECT_GE(*std::ranges::min_element(during), 30 * kMillisecond_ns);
  EXPECT_LT(longest_silence(lines.of[1]), 50 * kMillisecond_ns);
}

TEST_F(ClusterNodeFaults, DiskFull) {
  const Lines lines =
      run(scenario("while :; do dd if=/dev/zero of=/data/new bs=64k count=4 conv=fsync 2>&1 | grep -e out -e space; "
                   "rm -f /data/new; sync; sleep 0.05; done",
                   FaultKind::kDiskFull));
  EXPECT_GT(count(lines.of[0], "No space left on device", kBegin_ns, kEnd_ns), 2u) << lines.console;
  EXPECT_EQ(count(lines.of[0], "No space left on device", 0, kBegin_ns), 0u);
  EXPECT_EQ(count(lines.of[0], "No space left on device", kEnd_ns + kSecond_ns / 2), 0u);
  EXPECT_GT(count(lines.of[0], "4+0 records out", kEnd_ns + kSecond_ns / 2), 2u) << lines.console;
  EXPECT_EQ(count(lines.of[1], "No space left on device"), 0u);
}

TEST_F(ClusterNodeFaults, PreemptionJitter) {
  std::set<std::string> interleavings;
  for (u64 seed = 1; seed <= 4; ++seed) {
    Scenario one = scenario("/guest-program threads 4; sleep 1000", FaultKind::kPause);
    one.faults.clear();
    one.nodes.resize(1);
    one.seed = seed;
    one.timer_jitter_ns = 100'000;
    one.max_time_ns = 2 * kSecond_ns;
    const Lines lines = run(one);
    const auto line =
        std::ranges::find_if(lines.of[0], [](const Line& l) { return l.text.starts_with("interleaving "); });
    ASSERT_NE(line, lines.of[0].end()) << lines.console;
    interleavings.insert(line->text);
    if (seed == 1) {
      const Lines again = run(one);
      EXPECT_EQ(again.all, lines.all);
    }
  }
  EXPECT_EQ(interleavings.size(), 4u);
}

}  // namespace
}  // namespace bhvm::test
