// How a run is cut, what else the process runs meanwhile and which objects it goes through change nothing.
#include <gmock/gmock.h>

#include <thread>

#include "tests/end_to_end/guest.h"

namespace bhvm {
namespace {

using test::boot;
using test::guest;
using test::run_to;
using test::run_to_end;
using testing::HasSubstr;

// Timer interrupts in a loop, idle time, forks, the clock, random numbers.
constexpr const char* kBusy =
    "while :; do :; done & sleep 0.02; kill $!; cat /proc/uptime /proc/interrupts; seq 1 2000 | sha256sum; "
    "sleep 0.3; head -c 32 /dev/urandom | od -x; exit 5";

struct Outcome {
  std::string console;
  Hash128 hash;
  u64 instructions = 0;
  u64 time_ns = 0;
  bool operator==(const Outcome&) const = default;
};

Outcome outcome_of(Machine& machine, const std::string& console) {
  return {console, machine.state_hash(), machine.instructions(), machine.now_ns()};
}

Outcome whole_run(const MachineConfig& config) {
  std::string console;
  const auto machine = boot(config, console);
  const Stop stop = run_to_end(*machine);
  EXPECT_EQ(stop.reason, StopReason::kGuestExit) << stop.message;
  EXPECT_EQ(stop.status, 5u);
  return outcome_of(*machine, console);
}

class Slices : public testing::Test {
 protected:
  void SetUp() override { BHVM_NEEDS_GUEST; }
};

// Piece lengths from single instructions to milliseconds, limits by instruction and by time.
u64 piece_of(RandomStream& random) {
  const u64 magnitude = u64{1} << random.below(24);
  return 1 + random.below(magnitude);
}

TEST_F(Slices, CutAnywhereByInstruction) {
  const MachineConfig config = guest(kBusy);
  const Outcome whole = whole_run(config);
  EXPECT_THAT(whole.console, HasSubstr("LOC:"));
  for (u64 seed = 1; seed <= 3; ++seed) {
    RandomStream random(seed, 0, "pieces");
    std::string console;
    const auto machine = boot(config, console);
    u64 limit = 0;
    while (machine->instructions() < whole.instructions) {
      limit += piece_of(random);
      const Stop stop = run_to(*machine, limit);
      if (stop.reason != StopReason::kInstructionLimit) break;
      ASSERT_EQ(machine->instructions(), limit);
    }
    run_to_end(*machine);
    EXPECT_EQ(outcome_of(*machine, console), whole) << "pieces of seed " << seed;
  }
}

TEST_F(Slices, CutAnywhereByTimeAndWhenIdle) {
  const MachineConfig config = guest(kBusy);
  const Outcome whole = whole_run(config);
  RandomStream random(9, 0, "pieces");
  std::string console;
  const auto machine = boot(config, console);
  RunLimits limits;
  limits.time_ns = 0;
  unsigned idle = 0;
  for (;;) {
    limits.time_ns += piece_of(random);
    limits.stop_when_idle = random.below(2) == 0;
    const Stop stop = machine->run_until(limits);
    if (stop.reason == StopReason::kIdle) {
      ++idle;
      machine->idle_until(machine->now_ns() + random.below(2'000'000));
      limits.time_ns = std::max(limits.time_ns, machine->now_ns());
    } else if (stop.reason != StopReason::kTimeLimit) {
      break;
    }
  }
  EXPECT_GT(idle, 0u);
  EXPECT_EQ(outcome_of(*machine, console), whole);
}

// Hashing, asking for state and describing between pieces is as invisible as cutting.
TEST_F(Slices, LookedAtAnywhere) {
  const MachineConfig config = guest(kBusy);
  const Outcome whole = whole_run(config);
  RandomStream random(11, 0, "looks");
  std::string console;
  const auto machine = boot(config, console);
  for (u64 limit = 0; machine->instructions() < whole.instructions;) {
    limit += random.below(2'000'000);
    if (run_to(*machine, limit).reason != StopReason::kInstructionLimit) break;
    switch (random.below(4)) {
      case 0:
        (void)machine->state_hash();
        break;
      case 1:
        (void)machine->state();
        break;
      case 2:
        EXPECT_THAT(machine->describe_cpu(), HasSubstr("rip"));
        break;
      default:
        machine->memory().visit_pages([](u64, std::span<const u8, kPageSize>) {});
    }
  }
  run_to_end(*machine);
  EXPECT_EQ(outcome_of(*machine, console), whole);
}

TEST_F(Slices, TwoMachinesInterleavedDoNotDisturbEachOther) {
  const MachineConfig configs[2] = {guest(kBusy, 1), guest("ps; seq 1 3000 | md5sum; cat /proc/meminfo; exit 5", 2)};
  const Outcome alone[2] = {whole_run(configs[0]), whole_run(configs[1])};
  EXPECT_NE(alone[0].hash, alone[1].hash);
  std::string consoles[2];
  std::unique_ptr<Machine> machines[2] = {boot(configs[0], consoles[0]), boot(configs[1], consoles[1])};
  RandomStream random(4, 0, "turns");
  u64 limits[2] = {};
  bool going[2] = {true, true};
  while (going[0] || going[1]) {
    const u64 turn = random.below(2);
    limits[turn] += piece_of(random);
    going[turn] = run_to(*machines[turn], limits[turn]).reason == StopReason::kInstructionLimit;
  }
  for (const u64 i : {0, 1}) EXPECT_EQ(outcome_of(*machines[i], consoles[i]), alone[i]) << i;
}

TEST_F(Slices, MachinesOnSeveralThreads) {
  const MachineConfig config = guest(kBusy, 3);
  const Outcome alone = whole_run(config);
  Outcome outcomes[4];
  {
    std::vector<std::jthread> threads;
    for (Outcome& outcome : outcomes) threads.emplace_back([&] { outcome = whole_run(config); });
  }
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome, alone);
}

TEST_F(Slices, TypedAtTheSameMomentTheSameRun) {
  const MachineConfig config = guest("read -r line; echo got $line | sha256sum; read -r line; exit $line");
  const auto typed_run = [&](u64 slice) {
    std::string console;
    const auto machine = boot(config, console);
    constexpr u64 kFirst = 60'000'000;
    const auto type = [&](std::string_view text) {
      EXPECT_EQ(machine->console_input({reinterpret_cast<const u8*>(text.data()), text.size()}), text.size());
    };
    RunLimits limits;
    for (limits.time_ns = 0; limits.time_ns < kFirst;) {
      limits.time_ns = std::min(kFirst, limits.time_ns + slice);
      machine->run_until(limits);
    }
    EXPECT_EQ(machine->now_ns(), kFirst);
    type("hello\n");
    limits.time_ns = 100'000'000;
    machine->run_until(limits);
    type("5\n");
    limits.time_ns = 10'000'000'000;
    EXPECT_EQ(machine->run_until(limits).status, 5u) << console;
    return outcome_of(*machine, console);
  };
  const Outcome first = typed_run(1'000'000);
  EXPECT_THAT(first.console, HasSubstr("8148c97"));
  EXPECT_EQ(typed_run(777'777), first);
}

}  // namespace
}  // namespace bhvm
