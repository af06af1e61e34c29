// A whole machine: idle time skipped, state hashed, snapshots and forks.
#include <benchmark/benchmark.h>

#include "bench/micro/guest_loop.h"
#include "cpu/system/cpuid.h"
#include "machine/machine.h"
#include "tests/machine/guest_code.h"

namespace bhvm::bench {
namespace {

using test::Code;

std::unique_ptr<Machine> machine_of(const Code& code, u64 memory_bytes = u64{256} << 20) {
  MachineConfig config;
  config.memory_bytes = memory_bytes;
  config.kernel = std::make_shared<const ElfImage>(ElfImage::parse(test::kernel_of(code), "guest").value());
  return Machine::create(config).value();
}

RunLimits after(const Machine& machine, u64 instructions) {
  RunLimits limits;
  limits.instructions = machine.instructions() + instructions;
  return limits;
}

/// What run_until() costs, for 100 instructions.
void run_slice(benchmark::State& state) {
  auto machine = machine_of(test::spin());
  const u64 before = machine->instructions();
  for (auto _ : state) benchmark::DoNotOptimize(machine->run_until(after(*machine, 100)));
  count_mips(state, machine->instructions() - before);
}
BENCHMARK(run_slice)->Name("machine/run_100_instructions");

/// HLT until the local APIC's timer interrupts a millisecond later: the time between is skipped, the interrupt
/// delivered and ended.
void halt_skipped(benchmark::State& state) {
  auto machine = machine_of(test::timer_ticks(kCrystalHz / 1000));
  const u64 before = machine->instructions();
  RunLimits limits;
  limits.time_ns = 500'000;
  for (auto _ : state) {
    limits.time_ns += 1'000'000;
    benchmark::DoNotOptimize(machine->run_until(limits));
  }
  count_mips(state, machine->instructions() - before);
}
BENCHMARK(halt_skipped)->Name("machine/halt_skipped_to_timer");

/// A machine with nothing to wait for is taken 1 ms further.
void idle(benchmark::State& state) {
  auto machine = machine_of(test::halt_forever());
  machine->run_until({});
  u64 now = machine->now_ns();
  for (auto _ : state) machine->idle_until(now += 1'000'000);
}
BENCHMARK(idle)->Name("machine/idle_until");

/// The state hash with range(0) pages changed since the last one.
void state_hash(benchmark::State& state) {
  auto machine = machine_of(test::spin());
  const std::vector<u8> bytes(kPageSize, 0x5A);
  u64 round = 0;
  for (auto _ : state) {
    state.PauseTiming();
    ++round;
    for (i64 page = 0; page < state.range(0); ++page) {
      machine->memory().write({0x2000000 + static_cast<u64>(page) * kPageSize}, &round, sizeof(round));
    }
    state.ResumeTiming();
    benchmark::DoNotOptimize(machine->state_hash());
  }
}
BENCHMARK(state_hash)->Name("machine/state_hash")->Arg(0)->Arg(16)->Arg(1024);

void snapshot(benchmark::State& state) {
  auto machine = machine_of(test::spin());
  for (auto _ : state) benchmark::DoNotOptimize(machine->snapshot());
}
BENCHMARK(snapshot)->Name("machine/snapshot");

void fork(benchmark::State& state) {
  auto machine = machine_of(test::spin());
  machine->run_until(after(*machine, 1000));
  for (auto _ : state) benchmark::DoNotOptimize(machine->fork());
}
BENCHMARK(fork)->Name("machine/fork")->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace bhvm::bench
