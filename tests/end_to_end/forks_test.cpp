// Forks, snapshots and snapshot files at random instructions of real runs: every branch ends as the run that was never
// branched.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "tests/end_to_end/guest.h"

namespace bhvm {
namespace {

using test::boot;
using test::Folder;
using test::guest;
using test::run_to;
using test::run_to_end;

constexpr std::size_t kForks = 100;

// What a shell does, with processes, memory, interrupts and an idle moment.
constexpr const char* kProgram =
    "i=0; while [ $i -lt 8 ]; do seq 1 $((400 * i)) | sha256sum; i=$((i + 1)); done; sleep 0.05; "
    "while :; do :; done & sleep 0.01; kill $!; od -x /dev/urandom | head -n 2; exit 5";

struct End {
  Hash128 hash;
  u64 instructions = 0;
  u64 time_ns = 0;
  bool operator==(const End&) const = default;
};

End end_of(Machine& machine) {
  const Stop stop = run_to_end(machine);
  EXPECT_EQ(stop.reason, StopReason::kGuestExit) << stop.message;
  EXPECT_EQ(stop.status, 5u);
  return {machine.state_hash(), machine.instructions(), machine.now_ns()};
}

/// Sorted random moments in [first, last).
std::vector<u64> moments(u64 first, u64 last, std::size_t count, u64 seed) {
  RandomStream random(seed, 0, "moments");
  std::vector<u64> out;
  while (out.size() < count) out.push_back(first + random.below(last - first));
  std::sort(out.begin(), out.end());
  return out;
}

class Forks : public testing::Test {
 protected:
  void SetUp() override { BHVM_NEEDS_GUEST; }
};

// The trunk is forked at each moment; each branch runs to the end before the trunk goes on.
void fork_at(const MachineConfig& config, u64 first, u64 last, const End& expected) {
  const auto trunk = boot(config);
  for (const u64 moment : moments(first, last, kForks, first)) {
    run_to(*trunk, moment);
    ASSERT_EQ(trunk->instructions(), moment);
    const std::unique_ptr<Machine> branch = trunk->fork();
    ASSERT_EQ(end_of(*branch), expected) << "forked at instruction " << moment;
  }
  EXPECT_EQ(end_of(*trunk), expected) << "the trunk, forked " << kForks << " times";
}

constexpr u64 kBootEnd = 40'000'000;  // before the first process of user space ends

TEST_F(Forks, AtAHundredMomentsOfABoot) {
  const MachineConfig config = guest("exit 5");
  const End expected = end_of(*boot(config));
  ASSERT_GT(expected.instructions, kBootEnd);
  fork_at(config, 0, kBootEnd, expected);
}

TEST_F(Forks, AtAHundredMomentsOfARunningProgram) {
  const MachineConfig config = guest(kProgram, 8);
  const End expected = end_of(*boot(config));
  ASSERT_GT(expected.instructions, kBootEnd + 20'000'000);
  fork_at(config, kBootEnd, expected.instructions, expected);
}

TEST_F(Forks, AtAHundredMomentsThroughAFile) {
  const MachineConfig config = guest(kProgram, 8);
  const End expected = end_of(*boot(config));
  const Folder folder;
  const std::string path = folder.file("snapshot");
  const auto trunk = boot(config);
  for (const u64 moment : moments(0, expected.instructions, kForks, 3)) {
    run_to(*trunk, moment);
    const Status saved = trunk->save(path);
    ASSERT_TRUE(saved.ok()) << saved.error().message;
    Result<std::unique_ptr<Machine>> branch = Machine::load(path, {});
    ASSERT_TRUE(branch.ok()) << branch.error().message;
    ASSERT_EQ(branch.value()->state_hash(), trunk->state_hash()) << "saved at instruction " << moment;
    ASSERT_EQ(end_of(*branch.value()), expected) << "saved at instruction " << moment;
  }
  EXPECT_EQ(end_of(*trunk), expected);
}

TEST_F(Forks, OfForksOfForks) {
  const MachineConfig config = guest(kProgram, 8);
  const End expected = end_of(*boot(config));
  std::unique_ptr<Machine> machine = boot(config);
  std::vector<std::unique_ptr<Machine>> parents;
  for (const u64 moment : moments(0, expected.instructions, 50, 5)) {
    run_to(*machine, moment);
    std::unique_ptr<Machine> child = machine->fork();
    if (parents.size() < 5) parents.push_back(std::move(machine));
    machine = std::move(child);
  }
  EXPECT_EQ(end_of(*machine), expected) << "fifty generations on";
  for (const auto& parent : parents) EXPECT_EQ(end_of(*parent), expected);
}

TEST_F(Forks, OneSnapshotMakesManyMachines) {
  const MachineConfig config = guest(kProgram, 8);
  const End expected = end_of(*boot(config));
  const auto trunk = boot(config);
  run_to(*trunk, 45'000'000);
  MachineSnapshot snapshot = trunk->snapshot();
  EXPECT_EQ(end_of(*trunk), expected);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(end_of(*Machine::from_snapshot(snapshot)), expected);
}

TEST_F(Forks, RunOnThreadsOfTheirOwn) {
  const MachineConfig config = guest(kProgram, 8);
  const End expected = end_of(*boot(config));
  const auto trunk = boot(config);
  End ends[4];
  {
    std::vector<std::unique_ptr<Machine>> branches;
    for (const u64 moment : moments(0, expected.instructions, std::size(ends), 6)) {
      run_to(*trunk, moment);
      branches.push_back(trunk->fork());
    }
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < std::size(ends); ++i) threads.emplace_back([&, i] { ends[i] = end_of(*branches[i]); });
    EXPECT_EQ(end_of(*trunk), expected);
  }
  for (const End& end : ends) EXPECT_EQ(end, expected);
}

// A branch that is typed at goes its own way; its siblings do not notice.
TEST_F(Forks, DifferByWhatIsTypedAtThem) {
  const auto trunk = boot(guest("read -r line; exit $line"));
  run_to(*trunk, 60'000'000);
  RunLimits settled;
  settled.time_ns = 100'000'000;
  trunk->run_until(settled);
  for (const char digit : {'7', '9'}) {
    const std::unique_ptr<Machine> branch = trunk->fork();
    const u8 text[] = {static_cast<u8>(digit), '\n'};
    EXPECT_EQ(branch->console_input(text), 2u);
    EXPECT_EQ(run_to_end(*branch).status, static_cast<u32>(digit - '0'));
  }
}

u64 host_now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

TEST_F(Forks, AreQuickAndShareMemory) {
  const auto trunk = boot(guest("exit 5"));
  ASSERT_EQ(trunk->config().memory_bytes, u64{256} << 20);
  run_to(*trunk, 45'000'000);
  const GuestMemory::Usage before = trunk->memory().usage();
  EXPECT_GT(before.own_pages + before.shared_pages, 1000u);

  std::vector<u64> durations_ns;
  std::vector<std::unique_ptr<Machine>> branches;
  for (int i = 0; i < 300; ++i) {
    const u64 start = host_now_ns();
    branches.push_back(trunk->fork());
    durations_ns.push_back(host_now_ns() - start);
    if (i % 10 == 9) run_to(*trunk, trunk->instructions() + 10'000);  // the trunk goes on, and copies what it writes
  }
  // The ruler of the same host and moment: what copying the memory would take at least.
  const std::size_t bytes = (before.own_pages + before.shared_pages) * kPageSize;
  const std::vector<char> memory(bytes, 1);
  const u64 start = host_now_ns();
  const std::vector<char> copy(memory);
  const u64 copying_ns = host_now_ns() - start;
  EXPECT_EQ(copy.back(), 1);

  std::sort(durations_ns.begin(), durations_ns.end());
  const u64 median_ns = durations_ns[durations_ns.size() / 2];
  std::printf("fork of a 256 MiB machine: median %.0f us, fastest %.0f us; copying the %.0f MB it has: %.0f us\n",
              static_cast<double>(median_ns) / 1e3, static_cast<double>(durations_ns.front()) / 1e3,
              static_cast<double>(bytes) / 1e6, static_cast<double>(copying_ns) / 1e3);
#ifdef NDEBUG
  EXPECT_LT(median_ns * 4, copying_ns);
#endif

  const GuestMemory::Usage branch = branches.front()->memory().usage();
  EXPECT_EQ(branch.own_pages, 0u) << "a fork owns nothing until it writes";
  EXPECT_EQ(branch.shared_pages, before.own_pages + before.shared_pages);
  run_to(*branches.front(), branches.front()->instructions() + 100'000);
  const GuestMemory::Usage after = branches.front()->memory().usage();
  EXPECT_GT(after.own_pages, 0u);
  EXPECT_LT(after.own_pages, 200u) << "it copies what it writes, and no more";
  branches.clear();
  EXPECT_EQ(trunk->memory().usage().shared_pages, 0u) << "nobody is left to share with";
}

}  // namespace
}  // namespace bhvm
