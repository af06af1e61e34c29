// What each fault of a node does, seen from inside of a real guest.
#include <gmock/gmock.h>

#include <algorithm>
#include <cstdio>
#include <set>

#include "cpu/system/cpuid.h"
#include "tests/end_to_end/agent_guest.h"

namespace bhvm {
namespace {

using test::agent_guest;
using test::Folder;
using test::kMillisecond;
using test::kSecond;
using test::Node;
using test::ready_snapshot;
using testing::HasSubstr;

struct Clocks {
  i64 monotonic_ns = 0;
  i64 realtime_ns = 0;
  u64 tsc = 0;
};

class NodeFaults : public testing::Test {
 protected:
  void SetUp() override { BHVM_NEEDS_GUEST; }

  /// A node with the guest program that has taken on an empty identity.
  std::unique_ptr<Node> start(const MachineConfig& config, const std::string& identity = "") {
    auto node = std::make_unique<Node>(config);
    EXPECT_TRUE(node->wait_for(node->channel, "\nready\n")) << node->console;
    node->say(identity + "go\n");
    EXPECT_TRUE(node->wait_for(node->channel, "\nstarted\n")) << node->console << node->channel;
    return node;
  }
  std::unique_ptr<Node> start() { return start(agent_guest(test::guest_program())); }
  /// A node with one more disk, /dev/vda with ext4 on it, at /data.
  std::unique_ptr<Node> start_with_disk() {
    MachineConfig config = agent_guest(test::guest_program());
    config.disks = {test::make_ext4(folder_, 32)};
    return start(config, "mount /dev/vda /data ext4\n");
  }

  static Clocks clocks(Node& node) {
    const std::string text = node.command("/guest-program clocks").first;
    Clocks out;
    EXPECT_EQ(
        std::sscanf(text.c_str(), "monotonic %ld realtime %ld tsc %lu", &out.monotonic_ns, &out.realtime_ns, &out.tsc),
        3)
        << text;
    return out;
  }
  static u64 spin(Node& node) {
    u64 rounds = 0;
    const std::string text = node.command("/guest-program spin").first;
    EXPECT_EQ(std::sscanf(text.c_str(), "spun %lu", &rounds), 1) << text;
    return rounds;
  }

  struct DiskUse {
    int write_error = 0, sync_error = 0, read_error = 0;
    i64 write_ns = 0, sync_ns = 0, read_ns = 0;
  };
  static std::vector<DiskUse> use_disk(Node& node, int count, const std::string& path = "/data/file") {
    const std::string text = node.command("/guest-program disk " + path + " " + std::to_string(count)).first;
    std::vector<DiskUse> uses;
    for (std::size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
      DiskUse use;
      if (std::sscanf(text.c_str() + at, "write %d %ld sync %d %ld read %d %ld", &use.write_error, &use.write_ns,
                      &use.sync_error, &use.sync_ns, &use.read_error, &use.read_ns) == 6) {
        uses.push_back(use);
      }
    }
    EXPECT_EQ(uses.size(), static_cast<std::size_t>(count)) << text;
    return uses;
  }

  const Folder folder_;
};

// ---- The processor ----

TEST_F(NodeFaults, APauseStopsTheProcessorAndNotTheClock) {
  auto node = start();
  node->say("run 1 /guest-program ticks 40 10\n");
  node->run_for(100 * kMillisecond);
  const u64 paused_at = node->machine().now_ns();
  const u64 instructions = node->machine().instructions();
  node->machine().pause_until(paused_at + 3 * kSecond);
  node->run_for(2 * kSecond);
  EXPECT_EQ(node->machine().instructions(), instructions);
  EXPECT_LE(node->machine().earliest_action_ns(), paused_at + 3 * kSecond);
  ASSERT_TRUE(node->wait_for(node->channel, "\ndone 1 0\n"));
  i64 last_ns = 0;
  i64 longest_ns = 0;
  for (std::size_t at = 0; (at = node->channel.find("out 1 tick ", at)) != std::string::npos; ++at) {
    int tick = 0;
    i64 now_ns = 0;
    ASSERT_EQ(std::sscanf(node->channel.c_str() + at, "out 1 tick %d %ld", &tick, &now_ns), 2);
    if (tick > 0) longest_ns = std::max(longest_ns, now_ns - last_ns);
    last_ns = now_ns;
  }
  EXPECT_GE(longest_ns, static_cast<i64>(3 * kSecond - 10 * kMillisecond));
  EXPECT_LE(longest_ns, static_cast<i64>(3 * kSecond + 20 * kMillisecond));
}

TEST_F(NodeFaults, APauseWithoutEndIsEndedByAnother) {
  auto node = start();
  node->machine().pause_until(~u64{0});
  const u64 instructions = node->machine().instructions();
  EXPECT_EQ(node->run_for(5 * kSecond).reason, StopReason::kTimeLimit);
  EXPECT_EQ(node->machine().instructions(), instructions);
  node->machine().pause_until(0);
  EXPECT_EQ(node->command("echo on").first, "on\n");
}

TEST_F(NodeFaults, ASlowProcessorDoesLessInTheSameTime) {
  auto node = start();
  const u64 before = spin(*node);
  node->machine().set_cpu_rate(10, 1);
  const u64 start_ns = node->machine().now_ns();
  const u64 slow = spin(*node);
  const u64 took_ns = node->machine().now_ns() - start_ns;
  EXPECT_GT(took_ns, 100 * kMillisecond) << "100 ms by the guest's clock are 100 ms";
  EXPECT_LT(took_ns, 400 * kMillisecond);
  EXPECT_NEAR(static_cast<double>(slow), static_cast<double>(before) / 10, static_cast<double>(before) / 100);
  node->machine().set_cpu_rate(1, 1);
  EXPECT_NEAR(static_cast<double>(spin(*node)), static_cast<double>(before), static_cast<double>(before) / 50);
}

// ---- Clocks ----

TEST_F(NodeFaults, AFastClockRunsAheadOfTheMachinesTime) {
  auto node = start();
  const Clocks before = clocks(*node);
  const u64 start_ns = node->machine().now_ns();
  node->machine().set_clock_rate(3, 2);
  EXPECT_EQ(node->command("sleep 30").second, 0);
  const Clocks after = clocks(*node);
  const double passed = static_cast<double>(node->machine().now_ns() - start_ns);
  EXPECT_NEAR(passed, 20e9, 0.1e9) << "a sleep of 30 s ends after 20";
  EXPECT_NEAR(static_cast<double>(after.monotonic_ns - before.monotonic_ns), passed * 1.5, 0.02e9);
  EXPECT_NEAR(static_cast<double>(after.realtime_ns - before.realtime_ns), passed * 1.5, 0.02e9);
  node->machine().set_clock_rate(1, 1);
  const Clocks right = clocks(*node);
  const u64 right_ns = node->machine().now_ns();
  node->command("sleep 10");
  EXPECT_NEAR(static_cast<double>(clocks(*node).monotonic_ns - right.monotonic_ns),
              static_cast<double>(node->machine().now_ns() - right_ns), 0.01e9);
}

constexpr const char* kReadPmTimer = "dd if=/dev/port bs=4 skip=386 count=1 2>/dev/null | od -An -tu4";  // port 608h
constexpr const char* kReadRtcSecond =
    "printf '\\000' | dd of=/dev/port bs=1 seek=112 2>/dev/null; "
    "dd if=/dev/port bs=1 skip=113 count=1 2>/dev/null | od -An -tx1";  // BCD

// Linux reads 24 bits of the PM timer (4.7 s) and 32 of the HPET (43 s); a jump by more than half of that looks to it
// like one back.
class ClockSources : public NodeFaults, public testing::WithParamInterface<const char*> {};

TEST_P(ClockSources, AllJumpForwardAndTimersExpire) {
  MachineConfig config = agent_guest(test::guest_program());
  config.command_line += std::string(" clocksource=") + GetParam();
  auto node = start(config);
  EXPECT_EQ(node->command("cat /sys/devices/system/clocksource/clocksource0/current_clocksource").first,
            GetParam() + std::string("\n"));
  const Clocks before = clocks(*node);
  const u64 pm_before = std::stoull(node->command(kReadPmTimer).first);
  const int second_before = std::stoi(node->command(kReadRtcSecond).first);
  const u64 start_ns = node->machine().now_ns();
  node->say("run 100 sleep 1\n");
  node->run_for(kMillisecond * 20);
  node->machine().step_clock(static_cast<i64>(2 * kSecond));
  EXPECT_TRUE(node->wait_for(node->channel, "\ndone 100 0\n", kSecond / 2)) << "the jump went over the sleep's end";
  const Clocks after = clocks(*node);
  const double shown = 2e9 + static_cast<double>(node->machine().now_ns() - start_ns);
  EXPECT_NEAR(static_cast<double>(after.monotonic_ns - before.monotonic_ns), shown, 0.1e9);
  EXPECT_NEAR(static_cast<double>(after.realtime_ns - before.realtime_ns), shown, 0.1e9);
  EXPECT_NEAR(static_cast<double>(after.tsc - before.tsc) / static_cast<double>(kTscHz), shown / 1e9, 0.1);
  const u64 pm_after = std::stoull(node->command(kReadPmTimer).first);
  EXPECT_NEAR(static_cast<double>(static_cast<u32>(pm_after - pm_before)) / 3.579545e6, shown / 1e9, 0.1);
  const int second_after = std::stoi(node->command(kReadRtcSecond).first);
  EXPECT_NEAR((second_after - second_before + 60) % 60, 2.5, 0.6) << "the RTC";
}

INSTANTIATE_TEST_SUITE_P(Each, ClockSources, testing::Values("tsc", "hpet", "acpi_pm"),
                         [](const auto& info) { return std::string(info.param); });

TEST_F(NodeFaults, AClockThatJumpsBackStandsStillForLinux) {
  auto node = start();
  node->command("sleep 20");
  const Clocks before = clocks(*node);
  node->machine().step_clock(-static_cast<i64>(5 * kSecond));
  const Clocks at_once = clocks(*node);
  EXPECT_LT(at_once.tsc, before.tsc) << "the TSC goes back";
  // Linux shows the time of its last tick until the TSC has caught up with that.
  EXPECT_NEAR(static_cast<double>(at_once.monotonic_ns - before.monotonic_ns), 0, 8e6);
  node->run_for(2 * kSecond);
  EXPECT_LT(clocks(*node).monotonic_ns - before.monotonic_ns, static_cast<i64>(100 * kMillisecond));
  node->run_for(10 * kSecond);
  const double later = static_cast<double>(clocks(*node).monotonic_ns - before.monotonic_ns);
  EXPECT_NEAR(later, 7e9, 0.3e9) << "when the TSC has caught up, time goes on";
  EXPECT_EQ(node->command("sleep 1").second, 0);
}

// ---- Disks ----

TEST_F(NodeFaults, DiskErrorsReachThePrograms) {
  auto node = start_with_disk();
  for (const DiskUse& use : use_disk(*node, 5)) EXPECT_EQ(use.write_error + use.sync_error + use.read_error, 0);

  node->machine().set_disk_faults(0, {.read_error_ppm = 500'000});
  int failed = 0;
  for (const DiskUse& use : use_disk(*node, 20)) {
    EXPECT_EQ(use.write_error, 0);
    EXPECT_TRUE(use.read_error == 0 || use.read_error == 5) << use.read_error;
    failed += use.read_error == 5;
  }
  EXPECT_GT(failed, 2);
  EXPECT_LT(failed, 18);
  EXPECT_THAT(node->console, HasSubstr("I/O error, dev vda"));
  EXPECT_EQ(node->machine().state().virtio.disks[0].counters.errors, static_cast<u64>(failed));

  node->machine().set_disk_faults(0, {});
  for (const DiskUse& use : use_disk(*node, 5)) EXPECT_EQ(use.read_error, 0);

  node->machine().set_disk_faults(0, {.write_error_ppm = kPartsPerMillion});
  for (const DiskUse& use : use_disk(*node, 3)) EXPECT_EQ(use.write_error, 5);
}

TEST_F(NodeFaults, AFailedFlushFailsTheFsync) {
  auto node = start_with_disk();
  use_disk(*node, 3);
  node->machine().set_disk_faults(0, {.flush_error_ppm = kPartsPerMillion});
  const std::vector<DiskUse> uses = use_disk(*node, 3);
  EXPECT_TRUE(std::any_of(uses.begin(), uses.end(), [](const DiskUse& use) { return use.sync_error == 5; }));
}

TEST_F(NodeFaults, ASlowDiskIsSlow) {
  auto node = start_with_disk();
  for (const DiskUse& use : use_disk(*node, 5)) EXPECT_LT(use.read_ns, static_cast<i64>(kMillisecond));
  node->machine().set_disk_faults(0, {.latency_ns = 50 * kMillisecond, .jitter_ns = 20 * kMillisecond});
  std::set<i64> times;
  for (const DiskUse& use : use_disk(*node, 5)) {
    EXPECT_GE(use.read_ns, static_cast<i64>(50 * kMillisecond));
    EXPECT_LE(use.read_ns, static_cast<i64>(72 * kMillisecond));
    times.insert(use.read_ns);
  }
  EXPECT_EQ(times.size(), 5u) << "each request draws its own";
  EXPECT_GT(node->machine().state().virtio.disks[0].counters.delayed, 10u);
}

TEST_F(NodeFaults, AFullPoolFailsWritesToNewBlocksOnly) {
  MachineConfig config = agent_guest(test::guest_program());
  DiskConfig disk;
  disk.size_bytes = u64{1} << 20;
  config.disks = {disk};
  auto node = start(config);
  for (const DiskUse& use : use_disk(*node, 4, "/dev/vda")) EXPECT_EQ(use.write_error, 0);
  node->machine().set_disk_faults(0, {.full = true});
  const std::vector<DiskUse> uses = use_disk(*node, 8, "/dev/vda");
  for (std::size_t i = 0; i < uses.size(); ++i) EXPECT_EQ(uses[i].write_error, i < 4 ? 0 : 5) << i;
}

TEST_F(NodeFaults, AFullFileSystemHasNoSpace) {
  auto node = start_with_disk();
  EXPECT_EQ(node->command("dd if=/dev/zero of=/data/a bs=4k count=10 2>&1").second, 0);
  node->say("fill f /data\n");
  ASSERT_TRUE(node->wait_for(node->channel, "\ndone f 0\n")) << node->channel;
  const auto [text, status] = node->command("dd if=/dev/zero of=/data/b bs=4k count=10 2>&1");
  EXPECT_NE(status, 0);
  EXPECT_THAT(text, HasSubstr("No space left on device"));
  node->say("unfill u /data\n");
  ASSERT_TRUE(node->wait_for(node->channel, "\ndone u 0\n")) << node->channel;
  EXPECT_EQ(node->command("dd if=/dev/zero of=/data/b bs=4k count=10 2>&1").second, 0);
}

// A write in flight when the power goes: without tearing the block is the old or the new one, with it a mixture.
TEST_F(NodeFaults, ATornWriteIsHalfDone) {
  MachineConfig config = agent_guest(test::guest_program());
  DiskConfig disk;
  disk.size_bytes = u64{1} << 20;
  disk.timing.write_latency_ns = 2 * kMillisecond;
  disk.physical_block_bytes = 512;
  config.disks = {disk};
  auto node = start(config);
  node->say("run 1 while :; do /guest-program disk /dev/vda 16; done\n");
  node->run_for(100 * kMillisecond);
  const auto torn_blocks = [&](bool torn, u64 seed) {
    const std::unique_ptr<Machine> branch = node->machine().fork();
    branch->reseed(seed, 0);
    branch->power_cut({.torn = torn});
    DiskImage image = std::move(branch->take_disks()[0]);
    std::vector<u8> bytes(image.size_bytes());
    EXPECT_TRUE(image.read(0, bytes));
    int count = 0;
    for (std::size_t at = 0; at < bytes.size(); at += 4096) {
      count += std::any_of(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                           bytes.begin() + static_cast<std::ptrdiff_t>(at) + 4096,
                           [&](u8 byte) { return byte != bytes[at]; });
    }
    return count;
  };
  int torn = 0;
  for (u64 i = 0; i < 30; ++i) {
    node->run_for(1'234'567);
    torn += torn_blocks(true, i);
    EXPECT_EQ(torn_blocks(false, i), 0);
  }
  EXPECT_GT(torn, 3);
}

// ---- Kill and restart ----

// Both ways to restart see the same disk: a cold boot, and a clone of a machine that has not looked at any disk yet.
TEST_F(NodeFaults, AKilledNodeRestartsOnWhatItsDiskKept) {
  MachineConfig config = agent_guest(test::guest_program());
  config.disks = {test::make_ext4(folder_, 32)};
  MachineSnapshot ready = ready_snapshot(config);
  Node node(Machine::from_snapshot(ready));
  const std::string identity = "mount /dev/vda /data ext4\n";
  node.say(identity + "go\n");
  ASSERT_TRUE(node.wait_for(node.channel, "\nstarted\n")) << node.console;
  EXPECT_EQ(node.command("echo kept > /data/kept; sync; echo lost > /data/lost; ls /data").first,
            "kept\nlost\nlost+found\n");
  node->power_cut({.survive_ppm = 0});
  EXPECT_EQ(node.run_for(kSecond).reason, StopReason::kPowerCut);
  EXPECT_EQ(node->earliest_action_ns(), ~u64{0});

  const u64 restart_ns = node->now_ns() + 2 * kSecond;
  const auto look = [&](Node& again) {
    EXPECT_GE(again->now_ns(), restart_ns);
    again.say(identity + "go\n");
    EXPECT_TRUE(again.wait_for(again.channel, "\nstarted\n")) << again.console;
    EXPECT_THAT(again.console, HasSubstr("recovery complete"));
    return again.command("cat /data/kept; ls /data").first;
  };
  Node clone(Machine::from_snapshot(ready, node->take_disks(), restart_ns));
  EXPECT_EQ(look(clone), "kept\nkept\nlost+found\n");
  config.power_on_ns = restart_ns;
  Node cold(Machine::create(config, node->take_disks()).value());
  ASSERT_TRUE(cold.wait_for(cold.channel, "\nready\n"));
  EXPECT_EQ(look(cold), "kept\nkept\nlost+found\n");
}

// ---- Preemption ----

TEST_F(NodeFaults, JitterGivesAnotherSeedAnotherInterleaving) {
  auto node = start();
  MachineSnapshot snapshot = node->machine().snapshot();
  const auto interleaving = [&](u64 jitter_ns, u64 seed) {
    Node clone(Machine::from_snapshot(snapshot));
    clone->reseed(seed, 0);
    clone->set_timer_jitter(jitter_ns);
    return clone.command("/guest-program threads 4").first;
  };
  std::set<std::string> with;
  std::set<std::string> without;
  for (u64 seed = 0; seed < 6; ++seed) {
    with.insert(interleaving(100'000, seed));
    without.insert(interleaving(0, seed));
    EXPECT_EQ(interleaving(100'000, seed), interleaving(100'000, seed)) << "a seed is a run";
  }
  std::printf("interleavings of 4 threads over 6 seeds: %zu with jitter, %zu without; for example %s", with.size(),
              without.size(), with.begin()->c_str());
  EXPECT_EQ(with.size(), 6u);
  EXPECT_EQ(without.size(), 1u);
}

}  // namespace
}  // namespace bhvm
