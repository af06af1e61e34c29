// What happens between instructions: blocks built, blocks found, exceptions and interrupts delivered.
#include "bench/micro/guest_loop.h"

namespace bhvm::bench {
namespace {

using test::handler_of;
using test::kCode;

const Bytes kReturn = {0x48, 0xCF};  // iretq

void place_bytes(GuestLoop& loop, u64 address, const Bytes& bytes) { loop.place(address, std::span<const u8>(bytes)); }

/// Two pages that jump to each other: a chain that is checked against the fetch translation.
void chain_across_pages(benchmark::State& state) {
  GuestLoop loop({0x90}, 1);
  place_bytes(loop, kCode, {0xE9, 0xFB, 0x0F, 0, 0});                 // jmp $+1000h
  place_bytes(loop, kCode + 0x1000, {0xE9, 0xFB, 0xEF, 0xFF, 0xFF});  // jmp $-1000h
  loop.measure(state);
}
BENCHMARK(chain_across_pages)->Name("block/chain_across_pages");

/// Two targets by turns from one jump, over and over, more of them than are remembered anywhere: every jump looks its
/// block up.
void chain_miss(benchmark::State& state) {
  GuestLoop loop({0x90}, 1);
  // lea rax, [rip+9]; ...: 256 KiB of `add rax, 64; jmp rax` in steps of 64 bytes, the last one jumps to the first
  constexpr u64 kFirst = 0x200000, kStep = 64, kSteps = 16384;
  for (u64 i = 0; i + 1 < kSteps; ++i) place_bytes(loop, kFirst + i * kStep, {0x48, 0x83, 0xC0, 0x40, 0xFF, 0xE0});
  place_bytes(loop, kFirst + (kSteps - 1) * kStep,
              {0xB8, 0x00, 0x00, 0x20, 0x00, 0xFF, 0xE0});  // mov eax, first; jmp rax
  place_bytes(loop, kCode, {0xB8, 0x00, 0x00, 0x20, 0x00, 0xFF, 0xE0});
  loop.measure(state);
}
BENCHMARK(chain_miss)->Name("block/indirect_over_1_MiB");

/// A store into the code that comes next: 32 instructions are decoded again each time.
void build(benchmark::State& state) {
  GuestLoop loop({0x90}, 1);
  Bytes code = {0xC6, 0x05, 0xF9, 0x0F, 0, 0, 0xB8,  // mov byte [rip+0FF9h], 0B8h: the first byte of the block below
                0xE9, 0xF4, 0x0F, 0,    0};          // jmp to it
  place_bytes(loop, kCode, code);
  Bytes block = {0xB8, 1, 0, 0, 0};  // mov eax, 1
  for (unsigned i = 0; i < 30; ++i) block.insert(block.end(), {0x48, 0x8D, 0x44, 0x9E, 0x08});
  const auto back = static_cast<u32>(-static_cast<i32>(0x1000 + block.size() + 5));
  block.push_back(0xE9);
  for (unsigned shift = 0; shift < 32; shift += 8) block.push_back(static_cast<u8>(back >> shift));
  place_bytes(loop, kCode + 0x1000, block);
  loop.measure(state);
}
BENCHMARK(build)->Name("block/build_32_instructions");

/// INT3 and IRETQ.
void exception(benchmark::State& state) {
  GuestLoop loop({0xCC});
  place_bytes(loop, handler_of(3), kReturn);
  loop.measure(state);
}
BENCHMARK(exception)->Name("delivery/exception_and_iret");

/// #PF of a load, a handler that skips it.
void page_fault(benchmark::State& state) {
  GuestLoop loop({0x48, 0x8B, 0x04, 0x25, 0, 0, 0, 0x40});  // mov rax, [40000000h]: not mapped
  // add qword [rsp+8], 8; add rsp, 8; iretq
  place_bytes(loop, handler_of(14), {0x48, 0x83, 0x44, 0x24, 0x08, 0x08, 0x48, 0x83, 0xC4, 0x08, 0x48, 0xCF});
  loop.measure(state);
}
BENCHMARK(page_fault)->Name("delivery/page_fault");

/// An external interrupt every 100 instructions.
void interrupt(benchmark::State& state) {
  GuestLoop loop({0x89, 0xD8});
  place_bytes(loop, handler_of(0x55), kReturn);
  loop.pending_vector = 0x55;
  loop.cpu.set_rflags(rflags::kIf | 2);
  const u64 before = loop.cpu.s.instructions;
  u64 interrupts = 0;
  for (auto _ : state) {
    loop.cpu.set_interrupt_line(true);
    loop.run();
    ++interrupts;
  }
  count_mips(state, loop.cpu.s.instructions - before);
  state.counters["interrupts"] = benchmark::Counter(static_cast<double>(interrupts), benchmark::Counter::kIsRate);
}
BENCHMARK(interrupt)->Name("delivery/interrupt");

}  // namespace
}  // namespace bhvm::bench
