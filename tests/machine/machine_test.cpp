#include "machine/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "cpu/system/cpuid.h"
#include "tests/machine/guest_code.h"

namespace bhvm {
namespace {

using test::Code;
using testing::HasSubstr;

MachineConfig config_of(const Code& code) {
  MachineConfig config;
  config.memory_bytes = 64 << 20;
  config.kernel = std::make_shared<const ElfImage>(ElfImage::parse(test::kernel_of(code), "guest").value());
  return config;
}

std::unique_ptr<Machine> machine_of(const Code& code) { return Machine::create(config_of(code)).value(); }

RunLimits until_instructions(u64 instructions) {
  RunLimits limits;
  limits.instructions = instructions;
  return limits;
}

RunLimits until_ns(u64 time_ns) {
  RunLimits limits;
  limits.time_ns = time_ns;
  return limits;
}

std::string diff_text(const Machine& a, const Machine& b) {
  std::vector<FieldDifference> differences;
  diff(a.state(), b.state(), differences);
  std::string out;
  for (const FieldDifference& d : differences) out += d.path + ": " + d.a + " / " + d.b + "\n";
  return out;
}

TEST(Machine, PrintsAndExitsWithTheGuestsStatus) {
  auto machine = machine_of(test::join({test::print("hello\n"), test::exit_with(42), test::spin()}));
  std::string console;
  machine->set_console_output([&](std::span<const u8> bytes) { console.append(bytes.begin(), bytes.end()); });
  const Stop stop = machine->run_until({});
  EXPECT_EQ(stop.reason, StopReason::kGuestExit);
  EXPECT_EQ(stop.status, 42u);
  EXPECT_EQ(console, "hello\n");
  const u64 instructions = machine->instructions();
  EXPECT_EQ(machine->run_until({}).reason, StopReason::kGuestExit) << "a machine that has ended says so again";
  EXPECT_EQ(machine->instructions(), instructions);
}

TEST(Machine, TripleFaultIsAnEndWithADump) {
  auto machine = machine_of(test::triple_fault());
  EXPECT_EQ(machine->run_until(until_instructions(1000)).reason, StopReason::kTripleFault);
  EXPECT_THAT(machine->describe_cpu(), HasSubstr("code 0f 0b"));
}

TEST(Machine, HaltedForeverIsNoticed) {
  auto machine = machine_of(test::halt_forever());
  EXPECT_EQ(machine->run_until({}).reason, StopReason::kHaltedForever);
  EXPECT_EQ(machine->instructions(), 2u);
}

TEST(Machine, LimitsAreExact) {
  auto machine = machine_of(test::spin());
  EXPECT_EQ(machine->run_until(until_instructions(12345)).reason, StopReason::kInstructionLimit);
  EXPECT_EQ(machine->instructions(), 12345u);
  EXPECT_EQ(machine->run_until(until_ns(20'000'001)).reason, StopReason::kTimeLimit);
  EXPECT_EQ(machine->now_ns(), 20'000'001u);
  EXPECT_EQ(machine->instructions(), 20'000'001u) << "one nanosecond each";
  std::atomic<bool> stop{true};
  RunLimits limits;
  limits.stop_request = &stop;
  EXPECT_EQ(machine->run_until(limits).reason, StopReason::kStopRequest);
}

TEST(Machine, RateIsARational) {
  MachineConfig config = config_of(test::spin());
  config.rate_numerator = 1;
  config.rate_denominator = 3;
  auto machine = Machine::create(config).value();
  machine->run_until(until_instructions(3'000'000));
  EXPECT_EQ(machine->now_ns(), 1'000'000u);
  machine->run_until(until_ns(2'000'000));
  EXPECT_EQ(machine->instructions(), 6'000'000u);
}

TEST(Machine, PiecesOfARunMakeTheWholeRun) {
  const Code code = test::join({test::store_loop(0)});
  auto whole = machine_of(code);
  auto pieces = machine_of(code);
  whole->run_until(until_instructions(500'000));
  RandomStream random(3, 0, "pieces");
  while (pieces->instructions() < 500'000) {
    pieces->run_until(until_instructions(std::min<u64>(500'000, pieces->instructions() + 1 + random.below(9999))));
    if (random.below(4) == 0) (void)pieces->state_hash();
    if (random.below(8) == 0) (void)pieces->snapshot();
  }
  EXPECT_EQ(whole->state_hash(), pieces->state_hash()) << diff_text(*whole, *pieces);
}

TEST(Machine, HashTellsMachinesApart) {
  const Code code = test::store_loop(0);
  auto a = machine_of(code);
  auto b = machine_of(code);
  EXPECT_EQ(a->state_hash(), b->state_hash());
  a->run_until(until_instructions(1000));
  EXPECT_NE(a->state_hash(), b->state_hash());
  b->run_until(until_instructions(1000));
  EXPECT_EQ(a->state_hash(), b->state_hash());
  b->memory().write_value(PhysicalAddress{0x2000000}, u8{1});
  EXPECT_NE(a->state_hash(), b->state_hash()) << "one byte of RAM counts";

  MachineConfig seeded = config_of(code);
  seeded.seed = 1;
  EXPECT_NE(Machine::create(seeded).value()->state_hash(), machine_of(code)->state_hash());
}

TEST(Machine, TwoMachinesInterleavedDoNotDisturbEachOther) {
  const Code code_a = test::join({test::print("a"), test::store_loop(0)});
  const Code code_b = test::join({test::print("bb"), test::store_loop(0)});
  auto alone_a = machine_of(code_a);
  auto alone_b = machine_of(code_b);
  alone_a->run_until(until_instructions(300'000));
  alone_b->run_until(until_instructions(300'000));
  auto a = machine_of(code_a);
  auto b = machine_of(code_b);
  for (u64 n = 1000; n <= 300'000; n += 1000) {
    a->run_until(until_instructions(n));
    b->run_until(until_instructions(n));
  }
  EXPECT_EQ(a->state_hash(), alone_a->state_hash()) << diff_text(*a, *alone_a);
  EXPECT_EQ(b->state_hash(), alone_b->state_hash()) << diff_text(*b, *alone_b);
}

TEST(Machine, AForkGoesOnAsTheOriginalDoes) {
  auto original = machine_of(test::store_loop(0));
  original->run_until(until_instructions(100'000));
  auto fork = original->fork();
  EXPECT_EQ(original->state_hash(), fork->state_hash()) << diff_text(*original, *fork);
  original->run_until(until_instructions(400'000));
  fork->run_until(until_instructions(400'000));
  EXPECT_EQ(original->state_hash(), fork->state_hash()) << diff_text(*original, *fork);
  original.reset();
  fork->run_until(until_instructions(500'000));
  auto fresh = machine_of(test::store_loop(0));
  fresh->run_until(until_instructions(500'000));
  EXPECT_EQ(fresh->state_hash(), fork->state_hash()) << "a fork outlives its original";
}

TEST(Machine, ASnapshotIsMadeIntoAnyNumberOfMachines) {
  auto machine = machine_of(test::store_loop(0));
  machine->run_until(until_instructions(50'000));
  MachineSnapshot snapshot = machine->snapshot();
  const Hash128 then = machine->state_hash();
  machine->run_until(until_instructions(150'000));
  for (int i = 0; i < 3; ++i) {
    auto again = Machine::from_snapshot(snapshot);
    EXPECT_EQ(again->state_hash(), then);
    again->run_until(until_instructions(150'000));
    EXPECT_EQ(again->state_hash(), machine->state_hash()) << diff_text(*again, *machine);
  }
}

TEST(Machine, ForkingABigMachineIsCheap) {
  MachineConfig config = config_of(test::store_loop(0));
  config.memory_bytes = 256 << 20;
  auto machine = Machine::create(config).value();
  machine->run_until(until_instructions(1'000'000));
  const GuestMemory::Usage before = machine->memory().usage();
  ASSERT_GT(before.own_pages, 0u);
  // Counted, not timed: a busy host is no failure. bench/micro/machine_bench.cpp times both.
  std::vector<std::unique_ptr<Machine>> branches;
  for (int i = 0; i < 50; ++i) {
    (void)machine->snapshot();
    branches.push_back(machine->fork());
  }
  for (const auto& branch : branches) {
    EXPECT_EQ(branch->memory().usage().own_pages, 0u) << "a fork copies nothing until it writes";
    EXPECT_EQ(branch->memory().usage().shared_pages, before.own_pages + before.shared_pages);
  }
  branches.clear();
  EXPECT_EQ(machine->memory().usage().own_pages, before.own_pages + before.shared_pages) << "nor has the trunk";
}

TEST(Machine, ATimerWakesASleepingProcessor) {
  auto machine = machine_of(test::timer_ticks(kCrystalHz / 1000));
  machine->run_until(until_ns(10'500'000));
  const u64 after_ten = machine->instructions();
  EXPECT_LT(after_ten, 100u);
  EXPECT_EQ(machine->now_ns(), 10'500'000u) << "asleep, it is there at once";
  machine->run_until(until_ns(1'010'500'000));
  EXPECT_EQ(machine->instructions() - after_ten, 4000u) << "a thousand times four instructions";
}

TEST(Machine, MistakesAreSentences) {
  MachineConfig config = config_of(test::spin());
  config.memory_bytes = 0;
  EXPECT_FALSE(Machine::create(config).ok());
  config.memory_bytes = 4096;
  EXPECT_THAT(Machine::create(config).error().message, HasSubstr("too little"));
  config.memory_bytes = u64{1} << 50;
  EXPECT_FALSE(Machine::create(config).ok());
  config = config_of(test::spin());
  config.disks = {"/nonexistent/disk"};
  EXPECT_THAT(Machine::create(config).error().message, HasSubstr("/nonexistent/disk"));
  config.disks.assign(100, "/dev/null");
  EXPECT_THAT(Machine::create(config).error().message, HasSubstr("at most"));
  config = {};
  EXPECT_THAT(Machine::create(config).error().message, HasSubstr("kernel"));
}

}  // namespace
}  // namespace bhvm
