// A few instructions again and again in a CPU with RAM and nothing else: what one kind of instruction costs.
#pragma once

#include <benchmark/benchmark.h>

#include <vector>

#include "tests/cpu/system/system_machine.h"

namespace bhvm::bench {

using Bytes = std::vector<u8>;

/// The counter of a benchmark that retired so many guest instructions.
inline void count_mips(benchmark::State& state, u64 instructions) {
  state.counters["MIPS"] = benchmark::Counter(static_cast<double>(instructions) / 1e6, benchmark::Counter::kIsRate);
}

/// CPL 0, 64-bit mode; RSI and RDI point to memory, RBX is 7, RSP to a stack; linear addresses from 16 MiB to 32 MiB
/// are the RAM once more.
class GuestLoop : public test::SystemMachine {
 public:
  static constexpr u64 kRepeats = 64;
  static constexpr u64 kSlice = 100'000;  // instructions an iteration of the benchmark

  /// `body`, kRepeats times, and a jump back.
  explicit GuestLoop(const Bytes& body, u64 repeats = kRepeats) {
    Bytes code;
    for (u64 i = 0; i < repeats; ++i) code.insert(code.end(), body.begin(), body.end());
    const auto back = static_cast<u32>(-static_cast<i32>(code.size() + 5));
    code.push_back(0xE9);
    for (unsigned shift = 0; shift < 32; shift += 8) code.push_back(static_cast<u8>(back >> shift));
    place(test::kCode, code);
    constexpr u64 kPageDirectory = test::kPageTables + 0x2000;
    for (u64 i = 8; i < 16; ++i) write64(kPageDirectory + 8 * i, ((i - 8) << 21) | 0x87);
    CpuState s = cpu.s;
    s.gpr[kRsi] = test::kData;
    s.gpr[kRdi] = test::kData + 0x2000;
    s.gpr[kRbx] = 7;
    cpu.set_state(s);
    cpu.flush_tlb_all();
  }

  /// Runs slices of the loop and counts instructions.
  void measure(benchmark::State& state) {
    const u64 before = cpu.s.instructions;
    for (auto _ : state) {
      const u64 end = cpu.s.instructions + kSlice;
      while (cpu.s.instructions < end) {
        if (cpu.run(end - cpu.s.instructions) == RunExit::kHalted) {
          state.SkipWithError("the guest halted: the loop is wrong");
          return;
        }
      }
    }
    count_mips(state, cpu.s.instructions - before);
  }
};

}  // namespace bhvm::bench
