// Fuzz target: any bytes as code, in 64-bit, 32-bit and 16-bit segments, with the registers pointing at memory.
// Whatever they decode to must run to its end without a crash, and must leave the same machine whether it ran in pieces
// or at once. The first byte picks the mode and the size of the pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "state/hash_state.h"
#include "tests/cpu/harness.h"

namespace bhvm {
namespace {

constexpr u64 kInstructions = 500;
constexpr u64 kRepIterations = 20'000;  // where a run is ended: repeated string instructions do a lot of work
constexpr unsigned kRunsMax = 2000;     // a run that retires nothing (attention) must not go on for ever

void set_mode(CpuState& s, unsigned mode) {
  if (mode == 0) return;
  s.cr0 &= ~(u64{1} << 31);  // no paging, so no long mode
  s.msr.efer = 0;
  s.segments[kCs].attributes = mode == 1 ? 0xC09B : 0x809B;  // D: 32-bit or 16-bit code
}

struct Outcome {
  Hash128 hash;
  u64 limit = 0;  // what another run must be given to end at the same place
};

Outcome run(u8 variant, std::span<const u8> code, u64 piece, u64 limit) {
  // One machine for all runs, made fresh by hand: a code cache is too large to make for each.
  static test::Harness machine;
  static GuestMemory blank = GuestMemory::create(test::kRamSize).value();
  machine.memory = blank.fork();
  machine.mmu.set_state({});
  machine.cpu.code->flush();
  machine.accesses.clear();
  machine.random_value = 0;
  machine.reset();
  machine.place(test::kCode, code);
  CpuState s = machine.cpu.s;
  for (unsigned i = 0; i < 16; ++i) {
    if (i != kRsp) s.gpr[i] = test::kData + i * 0x1001;
  }
  s.gpr[kRcx] = 5;
  if ((variant & 4) != 0) s.cr0 |= 8;  // TS
  set_mode(s, variant & 3);
  machine.cpu.set_state(s);
  machine.cpu.flush_tlb_all();

  RunExit exit = RunExit::kLimit;
  for (unsigned i = 0; i < kRunsMax && machine.cpu.s.instructions < limit; ++i) {
    exit = machine.cpu.run(std::min(piece, limit - machine.cpu.s.instructions));
    if (exit != RunExit::kLimit && exit != RunExit::kAttention) break;
    if (piece < limit && machine.cpu.s.rep_iterations > kRepIterations) break;
  }
  const bool ended_itself = exit != RunExit::kLimit && exit != RunExit::kAttention;
  return {hash_state(machine.cpu.s) + hash_state(machine.mmu.state()) + machine.memory.hash(),
          ended_itself ? limit : machine.cpu.s.instructions};
}

}  // namespace
}  // namespace bhvm

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace bhvm;
  if (size == 0) return 0;
  const std::span<const u8> code(data + 1, size - 1);
  const Outcome pieces = run(data[0], code, 1 + (data[0] >> 4) % 4, kInstructions);
  if (pieces.limit == 0) return 0;
  const Outcome whole = run(data[0], code, pieces.limit, pieces.limit);
  BHVM_CHECK(whole.hash == pieces.hash, "a run in pieces left another machine than the same run at once");
  return 0;
}
