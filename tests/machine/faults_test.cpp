// What can be done to a machine while it runs: pauses, rates, clocks, power, disks; and machines of another time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "cpu/system/cpuid.h"
#include "machine/machine.h"
#include "tests/machine/guest_code.h"

namespace bhvm {
namespace {

using test::Code;

constexpr u64 kSecond = 1'000'000'000;

MachineConfig config_of(const Code& code) {
  MachineConfig config;
  config.memory_bytes = 64 << 20;
  config.kernel = std::make_shared<const ElfImage>(ElfImage::parse(test::kernel_of(code), "guest").value());
  return config;
}

std::unique_ptr<Machine> machine_of(const Code& code) { return Machine::create(config_of(code)).value(); }

Stop run_to_ns(Machine& machine, u64 time_ns) {
  RunLimits limits;
  limits.time_ns = time_ns;
  return machine.run_until(limits);
}

/// rdtsc in a loop: the latest value at physical 0x300000.
Code tsc_loop() {
  return {0x0F, 0x31,                                      // 1: rdtsc
          0x48, 0xC1, 0xE2, 0x20,                          // shl rdx, 32
          0x48, 0x09, 0xD0,                                // or rax, rdx
          0x48, 0x89, 0x04, 0x25, 0x00, 0x00, 0x30, 0x00,  // mov [300000h], rax
          0xEB, 0xED};                                     // jmp 1b
}

double tsc_seconds(Machine& machine) {
  u64 tsc = 0;
  EXPECT_TRUE(machine.memory().read_value(PhysicalAddress{0x300000}, tsc));
  return static_cast<double>(tsc) / static_cast<double>(kTscHz);
}

TEST(MachineFaults, PowerOnAtALaterTime) {
  MachineConfig config = config_of(tsc_loop());
  config.power_on_ns = 100 * kSecond;
  auto machine = Machine::create(config).value();
  EXPECT_EQ(machine->now_ns(), 100 * kSecond);
  run_to_ns(*machine, 100 * kSecond + 1'000'000);
  EXPECT_EQ(machine->instructions(), 1'000'000u);
  EXPECT_NEAR(tsc_seconds(*machine), 0.001, 0.0001) << "its own clocks begin at power-on";
}

TEST(MachineFaults, APausedMachineLetsTimePass) {
  auto machine = machine_of(test::spin());
  run_to_ns(*machine, 1000);
  EXPECT_EQ(machine->earliest_action_ns(), 1000u);
  machine->pause_until(5000);
  EXPECT_EQ(machine->earliest_action_ns(), 5000u);
  run_to_ns(*machine, 3000);
  EXPECT_EQ(machine->now_ns(), 3000u);
  EXPECT_EQ(machine->instructions(), 1000u);
  RunLimits when_idle;
  when_idle.stop_when_idle = true;
  EXPECT_EQ(machine->run_until(when_idle).reason, StopReason::kIdle);
  machine->idle_until(4000);
  EXPECT_EQ(machine->now_ns(), 4000u);
  machine->idle_until(9000);
  EXPECT_EQ(machine->now_ns(), 5000u) << "not beyond the pause";
  run_to_ns(*machine, 6000);
  EXPECT_EQ(machine->instructions(), 2000u);
  machine->pause_until(~u64{0});
  EXPECT_EQ(machine->earliest_action_ns(), ~u64{0});
  EXPECT_EQ(machine->run_until({}).reason, StopReason::kHaltedForever);
}

TEST(MachineFaults, APauseIsStateAndCutsOfARunDoNotMatter) {
  auto whole = machine_of(test::store_loop(0));
  run_to_ns(*whole, 1000);
  whole->pause_until(50'000);
  auto pieces = whole->fork();
  EXPECT_EQ(pieces->state_hash(), whole->state_hash());
  run_to_ns(*whole, 100'000);
  for (u64 t = 1000; t <= 100'000; t += 777) run_to_ns(*pieces, t);
  run_to_ns(*pieces, 100'000);
  EXPECT_EQ(pieces->state_hash(), whole->state_hash());
  EXPECT_EQ(whole->instructions(), 51'000u);
}

TEST(MachineFaults, EarliestActionOfAHaltedMachine) {
  auto dead = machine_of(test::halt_forever());
  EXPECT_EQ(dead->run_until({}).reason, StopReason::kHaltedForever);
  EXPECT_EQ(dead->earliest_action_ns(), ~u64{0});
  auto ended = machine_of(test::exit_with(1));
  ended->run_until({});
  EXPECT_EQ(ended->earliest_action_ns(), ~u64{0});
}

TEST(MachineFaults, TheCpuRateChangesWithoutAJump) {
  auto machine = machine_of(tsc_loop());
  run_to_ns(*machine, 1'000'000);
  machine->set_cpu_rate(10, 1);
  EXPECT_EQ(machine->now_ns(), 1'000'000u);
  run_to_ns(*machine, 2'000'000);
  EXPECT_EQ(machine->instructions(), 1'100'000u);
  EXPECT_NEAR(tsc_seconds(*machine), 0.002, 0.0001) << "clocks stay right";
  machine->set_cpu_rate(1, 2);
  run_to_ns(*machine, 3'000'000);
  EXPECT_EQ(machine->instructions(), 3'100'000u);
}

TEST(MachineFaults, ClocksStepAndDriftAndTheMachinesTimeDoesNot) {
  auto machine = machine_of(tsc_loop());
  run_to_ns(*machine, 1'000'000);
  machine->step_clock(static_cast<i64>(kSecond));
  EXPECT_EQ(machine->now_ns(), 1'000'000u);
  run_to_ns(*machine, 2'000'000);
  EXPECT_NEAR(tsc_seconds(*machine), 1.002, 0.0001);
  machine->set_clock_rate(3, 1);
  run_to_ns(*machine, 12'000'000);
  EXPECT_NEAR(tsc_seconds(*machine), 1.032, 0.0001);
  EXPECT_EQ(machine->instructions(), 12'000'000u);
  machine->step_clock(-static_cast<i64>(kSecond));
  machine->set_clock_rate(1, 1);
  run_to_ns(*machine, 13'000'000);
  EXPECT_NEAR(tsc_seconds(*machine), 0.033, 0.0001);
}

TEST(MachineFaults, ReseedingMakesAForkAnotherMachine) {
  MachineConfig config = config_of(test::store_loop(0));
  config.seed = 4;
  config.machine_id = 2;
  config.disks = {DiskConfig{}};
  config.disks[0].size_bytes = 1 << 20;
  auto machine = Machine::create(config).value();
  MachineConfig other = config;
  other.seed = 9;
  other.machine_id = 3;
  auto reseeded = machine->fork();
  reseeded->reseed(9, 3);
  EXPECT_EQ(reseeded->state_hash(), Machine::create(other).value()->state_hash());
  EXPECT_NE(reseeded->state_hash(), machine->state_hash());
}

TEST(MachineFaults, APowerCutIsAnEndAndTheDisksGoOn) {
  MachineConfig config = config_of(test::store_loop(0));
  DiskConfig disk;
  disk.size_bytes = 1 << 20;
  config.disks = {disk, disk};
  auto machine = Machine::create(config).value();
  run_to_ns(*machine, 1000);
  machine->power_cut({});
  EXPECT_EQ(machine->run_until({}).reason, StopReason::kPowerCut);
  EXPECT_EQ(to_string(StopReason::kPowerCut), "power-cut");
  std::vector<DiskImage> disks = machine->take_disks();
  ASSERT_EQ(disks.size(), 2u);
  const std::vector<u8> bytes(512, 7);
  ASSERT_TRUE(disks[1].write(512, bytes));
  config.power_on_ns = 5000;
  auto again = Machine::create(config, std::move(disks)).value();
  EXPECT_EQ(again->now_ns(), 5000u);
  run_to_ns(*again, 6000);
  again->power_cut({.survive_ppm = kPartsPerMillion});
  std::vector<u8> read(512);
  ASSERT_TRUE(again->take_disks()[1].read(512, read));
  EXPECT_EQ(read, bytes);
}

TEST(MachineFaults, ASnapshotBecomesAMachineOfALaterTime) {
  auto machine = machine_of(tsc_loop());
  run_to_ns(*machine, 1'000'000);
  MachineSnapshot snapshot = machine->snapshot();
  auto later = Machine::from_snapshot(snapshot, {}, 7 * kSecond + 5);
  EXPECT_EQ(later->now_ns(), 7 * kSecond + 5);
  run_to_ns(*later, 7 * kSecond + 5 + 1'000'000);
  run_to_ns(*machine, 2'000'000);
  EXPECT_EQ(later->instructions(), machine->instructions());
  EXPECT_EQ(tsc_seconds(*later), tsc_seconds(*machine)) << "its own clocks do not know";
  auto same = Machine::from_snapshot(snapshot, {}, 1'000'000);
  EXPECT_EQ(same->state_hash(), Machine::from_snapshot(snapshot)->state_hash());
}

TEST(MachineFaults, AreSavedInAFile) {
  MachineConfig config = config_of(tsc_loop());
  config.agent = true;
  config.power_on_ns = 10 * kSecond;
  config.timer_jitter_ns = 50;
  auto machine = Machine::create(config).value();
  run_to_ns(*machine, 10 * kSecond + 1000);
  machine->set_cpu_rate(3, 1);
  machine->step_clock(12345);
  machine->set_clock_rate(5, 4);
  run_to_ns(*machine, 10 * kSecond + 2000);
  machine->pause_until(10 * kSecond + 50'000);
  const std::string path = testing::TempDir() + "bhvm-faults-" + std::to_string(getpid());
  ASSERT_TRUE(machine->save(path).ok());
  Result<std::unique_ptr<Machine>> loaded = Machine::load(path, {});
  std::filesystem::remove(path);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded.value()->state_hash(), machine->state_hash());
  run_to_ns(*machine, 10 * kSecond + 100'000);
  run_to_ns(*loaded.value(), 10 * kSecond + 100'000);
  EXPECT_EQ(loaded.value()->state_hash(), machine->state_hash());
}

TEST(MachineFaultsDeathTest, WhatIsNotAllowed) {
  auto machine = machine_of(test::spin());
  run_to_ns(*machine, 1000);
  MachineSnapshot snapshot = machine->snapshot();
  EXPECT_DEATH(Machine::from_snapshot(snapshot, {}, 999), "machine of the past");
  EXPECT_DEATH(machine->take_disks(), "in use");
  EXPECT_DEATH(machine->agent_input({}), "no agent's console");
}

TEST(MachineFaults, TheAgentsConsoleTakesASlotBeforeTheDisks) {
  MachineConfig config = config_of(test::spin());
  const Hash128 plain = Machine::create(config).value()->state_hash();
  config.agent = true;
  auto machine = Machine::create(config).value();
  EXPECT_NE(machine->state_hash(), plain);
  EXPECT_EQ(machine->state().virtio.transports.size(), 3u);
  EXPECT_EQ(machine->agent_input_room(), VirtioConsole::kInputMax);
  const u8 text[] = {'a'};
  EXPECT_EQ(machine->agent_input(text), 1u);
  config.disks.assign(14, DiskConfig("/dev/null"));
  EXPECT_THAT(Machine::create(config).error().message, testing::HasSubstr("at most 13"));
}

}  // namespace
}  // namespace bhvm
