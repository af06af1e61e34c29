#include "cli/run_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/run_comparison.h"
#include "cli/run_files.h"

namespace bhvm::cli {
namespace {

using testing::HasSubstr;

const NodeNames kNames = {"a", "b"};

ClusterEvent event_of(ClusterEventKind kind, u64 time_ns) {
  ClusterEvent event;
  event.id = 1;
  event.kind = kind;
  event.time_ns = time_ns;
  return event;
}

HashRecord record_of(u64 time_ns, u64 node_b) { return {time_ns, {1, 2}, {3, 4}, {{5, 6}, {node_b, 8}}}; }

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(RunLog, Lines) {
  EXPECT_EQ(console_log_line(12'345'678'901, "text"), "[   12.345678901] text\n");
  EXPECT_EQ(precise_seconds(1'000'000'001), "1.000000001 s");
  ClusterEvent event = event_of(ClusterEventKind::kFaultBegins, 7);
  event.fault = FaultKind::kPartition;
  event.fault_id = 3;
  event.nodes = {1};
  event.name = "halves";
  const nlohmann::json json = nlohmann::json::parse(event_log_line(event, kNames));
  EXPECT_EQ(json.at("event"), "fault-begins");
  EXPECT_EQ(json.at("fault"), "partition");
  EXPECT_EQ(json.at("nodes"), nlohmann::json({"b"}));
  EXPECT_EQ(describe(event, kNames), "fault 3: partition (halves) of b");
  const nlohmann::json hashes = nlohmann::json::parse(hash_log_line(record_of(9, 7), kNames));
  EXPECT_EQ(hashes.at("time_ns"), 9);
  EXPECT_EQ(hashes.at("nodes").at("b"), to_string(Hash128{7, 8}));
}

TEST(RunLog, BytesThatAreNoUtf8DoNoHarm) {
  ClusterEvent event = event_of(ClusterEventKind::kPropertyFailed, 0);
  event.detail = "\xff\xfe";
  EXPECT_NO_THROW((void)nlohmann::json::parse(event_log_line(event, kNames)));
}

class RunFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "bhvm-run-folder-" + std::to_string(getpid());  // tests run beside each other
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // Something of everything that can happen.
  static void tell(ClusterObserver& observer, const char* last_line, u64 last_hash) {
    observer.event(event_of(ClusterEventKind::kRunBegins, 0));
    ClusterEvent started = event_of(ClusterEventKind::kNodeStarted, 10);
    started.node = 0;
    observer.event(started);
    observer.console_line(20, 1, "hello");
    ClusterEvent fault = event_of(ClusterEventKind::kFaultBegins, 30);
    fault.fault = FaultKind::kKill;
    fault.fault_id = 1;
    fault.nodes = {0};
    observer.event(fault);
    observer.hashes(record_of(1000, 7));
    fault.kind = ClusterEventKind::kFaultEnds;
    fault.time_ns = 1500;
    observer.event(fault);
    observer.console_line(1600, 0, last_line);
    observer.hashes(record_of(2000, last_hash));
  }

  void record() {
    Result<std::unique_ptr<RunFiles>> files = RunFiles::create(folder_, kNames);
    ASSERT_TRUE(files.ok());
    tell(*files.value(), "same", 7);
    const std::vector<u8> frame(60, 0x11);
    files.value()->frame_sent(100, 0, 1, frame);
    files.value()->frame_arrives(0, 1, 1, {200, false, false, false, frame});
    ASSERT_TRUE(files.value()->finish(2000).ok());
  }

  std::string folder_;
};

TEST_F(RunFolder, HoldsWhatHappened) {
  record();
  const std::filesystem::path folder(folder_);
  EXPECT_EQ(read(folder / "a.console.log"), "[    0.000001600] same\n");
  EXPECT_EQ(read(folder / "b.console.log"), "[    0.000000020] hello\n");
  const std::string events = read(folder / "events.jsonl");
  EXPECT_EQ(std::count(events.begin(), events.end(), '\n'), 4);
  EXPECT_EQ(read(folder / "network.pcapng").substr(0, 4), "\x0a\x0d\x0d\x0a") << "a section header block";
}

TEST_F(RunFolder, TheTimelineIsATrace) {
  record();
  const nlohmann::json trace = nlohmann::json::parse(read(std::filesystem::path(folder_) / "timeline.json"));
  u64 sent = 0;
  u64 down_ns = 0;
  std::vector<std::string> processes;
  for (const nlohmann::json& event : trace.at("traceEvents")) {
    if (event.at("name") == "process_name") processes.push_back(event.at("args").at("name"));
    if (event.at("ph") == "C") sent += event.at("args").at("sent").get<u64>();
    if (event.at("ph") == "X" && event.at("name") == "kill" && event.at("pid") == 2) {
      down_ns = static_cast<u64>(event.at("dur").get<double>() * 1000 + 0.5);
    }
  }
  EXPECT_EQ(processes, (std::vector<std::string>{"cluster", "a", "b"}));
  EXPECT_EQ(sent, 1u);
  EXPECT_EQ(down_ns, 1470u);
}

TEST_F(RunFolder, TheSameRunComparesAsTheSame) {
  record();
  std::atomic<bool> stop{false};
  Result<RunComparison> comparison = RunComparison::open(folder_, kNames, stop);
  ASSERT_TRUE(comparison.ok());
  EXPECT_TRUE(comparison.value().incomplete());
  tell(comparison.value(), "same", 7);
  EXPECT_FALSE(comparison.value().differs());
  EXPECT_FALSE(comparison.value().incomplete());
  EXPECT_EQ(comparison.value().same(), 2u);
  EXPECT_FALSE(stop);
}

TEST_F(RunFolder, ADifferenceIsNarrowedDown) {
  record();
  std::atomic<bool> stop{false};
  Result<RunComparison> comparison = RunComparison::open(folder_, kNames, stop);
  ASSERT_TRUE(comparison.ok());
  tell(comparison.value(), "other", 9);
  EXPECT_TRUE(comparison.value().differs());
  EXPECT_TRUE(stop) << "the run need not go on";
  const std::string report = comparison.value().report();
  EXPECT_THAT(report, HasSubstr("the same up to 0.000001000 s and differ at 0.000002000 s, in node b."));
  EXPECT_THAT(report, HasSubstr("at 0.000001600 s, in the console of a"));
  EXPECT_THAT(report, HasSubstr("recorded: [    0.000001600] same"));
  EXPECT_THAT(report, HasSubstr("now:      [    0.000001600] other"));
}

TEST_F(RunFolder, AFolderWithoutLogsIsAnError) {
  std::atomic<bool> stop{false};
  EXPECT_FALSE(RunComparison::open(folder_, kNames, stop).ok());
}

}  // namespace
}  // namespace bhvm::cli
