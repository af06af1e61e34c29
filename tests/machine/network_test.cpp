// The network card on the board: frames come in at exactly their time. What a driver makes of it is tests/end_to_end's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "machine/machine.h"
#include "machine/network_port.h"
#include "tests/machine/guest_code.h"

namespace bhvm {
namespace {

using test::Code;
using testing::HasSubstr;

MachineConfig config_of(const Code& code) {
  MachineConfig config;
  config.memory_bytes = 64 << 20;
  config.kernel = std::make_shared<const ElfImage>(ElfImage::parse(test::kernel_of(code), "guest").value());
  config.network = NicConfig{.mac = {2, 0, 0, 0, 0, 1}};
  return config;
}

std::unique_ptr<Machine> machine_of(const Code& code) { return Machine::create(config_of(code)).value(); }

/// 1: sti; hlt; jmp 1b
Code idle() { return {0xFB, 0xF4, 0xEB, 0xFC}; }

Stop run_to(Machine& machine, u64 time_ns) {
  RunLimits limits;
  limits.time_ns = time_ns;
  return machine.run_until(limits);
}

/// Frames that have come in: without a driver the card drops them, and counts.
u64 frames_in(const Machine& machine) { return machine.state().virtio.network.at(0).dropped_frames; }

std::vector<u8> frame_of(u8 tag) { return std::vector<u8>(60, tag); }

TEST(NetworkPort, KeepsFramesInTheOrderOfTimeAndOfCalls) {
  VirtualClock clock;
  NetworkPort port(clock);
  EXPECT_EQ(port.next_time_ns(), NetworkPort::kNever);
  port.schedule(20, frame_of(1));
  port.schedule(10, frame_of(2));
  port.schedule(20, frame_of(3));
  port.schedule(10, frame_of(4));
  EXPECT_EQ(port.next_time_ns(), 10u);
  EXPECT_FALSE(port.pop_due(9).has_value());
  std::vector<u8> order;
  while (const auto frame = port.pop_due(20)) order.push_back(frame->bytes[0]);
  EXPECT_EQ(order, (std::vector<u8>{2, 4, 1, 3}));
  EXPECT_FALSE(port.pop_due(~u64{0}).has_value());
}

TEST(NetworkPort, PutsAStrangeStateInOrder) {
  VirtualClock clock;
  NetworkPort port(clock);
  port.set_state({{{30, frame_of(1)}, {10, frame_of(2)}, {30, frame_of(3)}}});
  EXPECT_EQ(port.next_time_ns(), 10u);
  EXPECT_EQ(port.state().frames[1].bytes[0], 1);
}

TEST(NetworkPort, SendsWithTheTimeAndToNobodyIfNobodyListens) {
  VirtualClock clock;
  NetworkPort port(clock);
  port.send_frame(frame_of(1));
  std::vector<u64> times;
  port.set_output([&](u64 time_ns, std::span<const u8>) { times.push_back(time_ns); });
  clock.set_instructions(1234);
  port.send_frame(frame_of(1));
  EXPECT_EQ(times, std::vector<u64>{1234});
}

TEST(MachineNetwork, AFrameComesInAtExactlyItsTime) {
  for (const Code& code : {test::spin(), idle()}) {
    auto machine = machine_of(code);
    machine->schedule_frame(70'000, frame_of(1));
    machine->schedule_frame(50'000, frame_of(2));
    EXPECT_EQ(machine->next_event_ns(), 50'000u);
    run_to(*machine, 50'000);
    EXPECT_EQ(frames_in(*machine), 0u) << "what is due at the limit comes after it";
    run_to(*machine, 50'001);
    EXPECT_EQ(frames_in(*machine), 1u);
    EXPECT_EQ(machine->next_event_ns(), 70'000u);
    run_to(*machine, 80'000);
    EXPECT_EQ(frames_in(*machine), 2u);
  }
}

TEST(MachineNetwork, FramesAreCountedWhereverTheyAre) {
  auto machine = machine_of(idle());
  machine->schedule_frame(50'000, frame_of(1));
  machine->schedule_frame(70'000, frame_of(2));
  EXPECT_EQ(machine->network_statistics().under_way, 2u);
  run_to(*machine, 60'000);
  EXPECT_EQ(machine->network_statistics().under_way, 1u);
  EXPECT_EQ(machine->network_statistics().card, NetCounters{.not_ready = 1}) << "nobody drives the card";
  EXPECT_EQ(machine->network_statistics().waiting, 0u);
  const Hash128 hash = machine->state_hash();
  EXPECT_EQ(machine->fork()->network_statistics().card, NetCounters{}) << "a report, and no state";
  EXPECT_EQ(machine->state_hash(), hash);
}

TEST(MachineNetwork, AnIdleMachineWaitsForItsFrame) {
  auto machine = machine_of(idle());
  EXPECT_EQ(run_to(*machine, 1'000'000).reason, StopReason::kHaltedForever);
  machine->schedule_frame(500'000, frame_of(1));
  RunLimits limits;
  limits.stop_when_idle = true;
  EXPECT_EQ(machine->run_until(limits).reason, StopReason::kIdle);
  machine->idle_until(900'000);
  EXPECT_EQ(machine->now_ns(), 500'000u) << "not beyond what comes in";
  EXPECT_EQ(run_to(*machine, 1'000'000).reason, StopReason::kHaltedForever);
  EXPECT_EQ(frames_in(*machine), 1u);
}

TEST(MachineNetwork, WhenAFrameWasScheduledLeavesNoTrace) {
  auto early = machine_of(test::store_loop(0));
  auto late = machine_of(test::store_loop(0));
  early->schedule_frame(90'000, frame_of(1));
  run_to(*early, 200'000);
  run_to(*late, 60'000);
  EXPECT_NE(early->state_hash(), late->state_hash());
  late->schedule_frame(90'000, frame_of(1));
  run_to(*late, 200'000);
  EXPECT_EQ(early->state_hash(), late->state_hash());
}

TEST(MachineNetwork, FramesUnderWayAreState) {
  auto machine = machine_of(test::store_loop(0));
  const Hash128 without = machine->state_hash();
  machine->schedule_frame(90'000, frame_of(1));
  const Hash128 with = machine->state_hash();
  EXPECT_NE(with, without);

  auto fork = machine->fork();
  EXPECT_EQ(fork->state_hash(), with);
  const std::string path =
      (std::filesystem::temp_directory_path() / ("bhvm-network-" + std::to_string(getpid()))).string();
  ASSERT_TRUE(machine->save(path).ok());
  auto loaded = Machine::load(path, {});
  std::filesystem::remove(path);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  EXPECT_EQ(loaded.value()->config().network->mac, machine->config().network->mac);
  EXPECT_EQ(loaded.value()->state_hash(), with);
  for (Machine* one : {machine.get(), fork.get(), loaded.value().get()}) {
    run_to(*one, 100'000);
    EXPECT_EQ(frames_in(*one), 1u);
    EXPECT_EQ(one->state_hash(), machine->state_hash());
  }
}

TEST(MachineNetwork, AMachineWithoutOneIsAsItWas) {
  MachineConfig config = config_of(test::spin());
  config.network.reset();
  auto machine = Machine::create(config).value();
  EXPECT_TRUE(machine->state().virtio.network.empty());
  EXPECT_EQ(machine->state().virtio.transports.size(), 2u);
  EXPECT_DEATH(machine->schedule_frame(10, frame_of(1)), "without a network card");
}

TEST(MachineNetwork, MistakesAreFound) {
  MachineConfig config = config_of(test::spin());
  config.network->mtu = 67;
  EXPECT_THAT(Machine::create(config).error().message, HasSubstr("MTU"));
  config = config_of(test::spin());
  config.disks.assign(14, std::string("/dev/null"));
  EXPECT_THAT(Machine::create(config).error().message, HasSubstr("at most 13"));
  auto machine = machine_of(test::spin());
  run_to(*machine, 1'000);
  EXPECT_DEATH(machine->schedule_frame(999, frame_of(1)), "past");
}

}  // namespace
}  // namespace bhvm
