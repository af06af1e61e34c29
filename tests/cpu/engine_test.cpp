// The engine around the instructions: counting, chaining, cutting, self-modifying code, devices.
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "base/random_stream.h"
#include "state/hash_state.h"
#include "tests/cpu/harness.h"

namespace bhvm::test {
namespace {

using Bytes = std::vector<u8>;

// mov ecx, 1000; loop: add rax, rcx; dec ecx; jnz loop; hlt
constexpr u8 kLoop[] = {0xB9, 0xE8, 0x03, 0x00, 0x00, 0x48, 0x01, 0xC8, 0xFF, 0xC9, 0x75, 0xF9, 0xF4};
constexpr u64 kLoopInstructions = 1 + 3 * 1000 + 1;

TEST(Engine, CountsEveryInstructionOnce) {
  Harness h;
  h.place(kCode, kLoop);
  EXPECT_EQ(h.cpu.run(1'000'000), RunExit::kHalted);
  EXPECT_EQ(h.reg(kRax), 500500u);
  EXPECT_EQ(h.cpu.s.instructions, kLoopInstructions);
  EXPECT_EQ(h.cpu.s.rip, kCode + sizeof(kLoop));
}

TEST(Engine, StopsExactlyAtTheLimit) {
  Harness whole;
  whole.place(kCode, kLoop);
  for (u64 n = 0; n < 40; ++n) {
    Harness cut;
    cut.place(kCode, kLoop);
    if (n != 0) {
      EXPECT_EQ(cut.cpu.run(n), RunExit::kLimit);
    }
    EXPECT_EQ(cut.cpu.s.instructions, n);
    if (n != 0) whole.cpu.run(1);
    EXPECT_EQ(hash_state(cut.cpu.s), hash_state(whole.cpu.s)) << "after " << n;
  }
}

TEST(Engine, CuttingARunChangesNothing) {
  Harness whole;
  whole.place(kCode, kLoop);
  whole.cpu.run(kLoopInstructions);
  RandomStream random(7, 0, "cuts");
  for (int round = 0; round < 20; ++round) {
    Harness cut;
    cut.place(kCode, kLoop);
    while (cut.cpu.s.instructions < kLoopInstructions) {
      cut.cpu.run(std::min(1 + random.below(97), kLoopInstructions - cut.cpu.s.instructions));
    }
    EXPECT_EQ(hash_state(cut.cpu.s), hash_state(whole.cpu.s));
    EXPECT_EQ(hash_state(cut.mmu.state()), hash_state(whole.mmu.state()));
  }
}

TEST(Engine, CodeThatChangesItselfRunsAsWritten) {
  Harness h;
  // mov byte [rip+1], 0x2A; mov al, 0x11 (patched to 0x2A, in the same block); hlt
  h.place(kCode, {0xC6, 0x05, 0x01, 0x00, 0x00, 0x00, 0x2A, 0xB0, 0x11, 0xF4});
  EXPECT_EQ(h.cpu.run(100), RunExit::kHalted);
  EXPECT_EQ(h.reg(kRax), 0x2Au);
  EXPECT_EQ(h.cpu.s.instructions, 3u);
}

TEST(Engine, AChangedLoopBodyIsSeenInTheNextRound) {
  Harness h;
  // mov ecx, 10; loop: add eax, 1 (its immediate is incremented each round); inc byte [rip-7+...]; dec ecx; jnz; hlt
  h.place(kCode, {0xB9, 0x0A, 0x00, 0x00, 0x00,        // mov ecx, 10
                  0x83, 0xC0, 0x01,                    // loop: add eax, 1
                  0xFE, 0x05, 0xF9, 0xFF, 0xFF, 0xFF,  // inc byte [rip-7]: the immediate
                  0xFF, 0xC9,                          // dec ecx
                  0x75, 0xF3,                          // jnz loop
                  0xF4});
  EXPECT_EQ(h.cpu.run(1000), RunExit::kHalted);
  EXPECT_EQ(h.reg(kRax), 55u);
}

TEST(Engine, ADeviceIsTouchedOnceAndAtItsInstruction) {
  Harness h;
  // nop; nop; mov eax, [kDevice]; nop; hlt
  h.place(kCode, {0x90, 0x90, 0x8B, 0x04, 0x25, 0x00, 0x00, 0x00, 0x20, 0x90, 0xF4});
  EXPECT_EQ(h.cpu.run(100), RunExit::kAttention);
  ASSERT_EQ(h.accesses.size(), 1u);
  EXPECT_EQ(h.accesses[0].instructions, 2u);
  EXPECT_EQ(h.accesses[0].size, 4u);
  EXPECT_EQ(h.reg(kRax), 0x55667788u);
  EXPECT_EQ(h.cpu.s.instructions, 3u);
  EXPECT_EQ(h.cpu.run(100), RunExit::kHalted);
  EXPECT_EQ(h.cpu.s.instructions, 5u);
}

TEST(Engine, AnInstructionAcrossTwoPagesRunsAndFollowsBoth) {
  Harness h;
  const u64 start = kCode + kPageSize - 2;
  h.place(start, {0xB8, 0x78, 0x56, 0x34, 0x12, 0xF4});  // mov eax, 0x12345678; hlt
  h.cpu.s.rip = start;
  EXPECT_EQ(h.cpu.run(10), RunExit::kHalted);
  EXPECT_EQ(h.reg(kRax), 0x12345678u);
  h.place(kCode + kPageSize, {0x00});  // a byte of the immediate in the second page: 0x56 becomes 0
  h.cpu.s.halted = false;
  h.cpu.s.rip = start;
  EXPECT_EQ(h.cpu.run(10), RunExit::kHalted);
  EXPECT_EQ(h.reg(kRax), 0x12340078u);
}

TEST(Engine, ALoopThroughAnInstructionAcrossTwoPagesSeesTheSecondPageChange) {
  Harness h;
  const u64 start = kCode + kPageSize - 6;
  h.place(start, {0xB9, 0x0A, 0x00, 0x00, 0x00,        // mov ecx, 10
                  0x05, 0x01, 0x00, 0x00, 0x00,        // loop: add eax, 1: the immediate is in the second page
                  0xFE, 0x05, 0xF6, 0xFF, 0xFF, 0xFF,  // inc byte [rip-10]: the immediate
                  0xFF, 0xC9,                          // dec ecx
                  0x75, 0xF1,                          // jnz loop
                  0xF4});
  h.cpu.s.rip = start;
  EXPECT_EQ(h.cpu.run(1000), RunExit::kHalted);
  EXPECT_EQ(h.reg(kRax), 55u);
  EXPECT_EQ(h.cpu.s.instructions, 42u);
}

TEST(Engine, ALoopThroughAnInstructionAcrossTwoPagesSeesTheSecondPageChangeAfterSomeRounds) {
  Harness h;
  const u64 start = kCode + kPageSize - 6;
  h.place(start, {0xB9, 0x0C, 0x00, 0x00, 0x00,        // mov ecx, 12
                  0x05, 0x01, 0x00, 0x00, 0x00,        // loop: add eax, 1: the immediate is in the second page
                  0xF6, 0xC1, 0x03,                    // test cl, 3
                  0x75, 0x06,                          // jnz over the next one
                  0xFE, 0x05, 0xF1, 0xFF, 0xFF, 0xFF,  // inc byte [rip-15]: the immediate
                  0xFF, 0xC9,                          // dec ecx
                  0x75, 0xEC,                          // jnz loop
                  0xF4});
  h.cpu.s.rip = start;
  EXPECT_EQ(h.cpu.run(1000), RunExit::kHalted);
  EXPECT_EQ(h.reg(kRax), 1u + 4 * 2 + 4 * 3 + 3 * 4);
  EXPECT_EQ(h.cpu.s.instructions, 65u);
}

TEST(Engine, ALoopThroughAnInstructionAcrossTwoPagesFaultsWhenTheSecondGoesAway) {
  Harness h;
  h.write64(kPageTables + 0x2000 + 8 * 3, kPageTables + 0x3000 + 3);  // 6 MiB to 8 MiB in small pages
  constexpr u64 kLinear = u64{6} << 20;
  h.write64(kPageTables + 0x3000, kCode | 3);
  h.write64(kPageTables + 0x3008, (kCode + kPageSize) | 3);
  constexpr u8 kEntry = 0x08;                                                   // the second page's entry, at 0x4008
  h.place(kCode + kPageSize - 18, {0xFF, 0xC9,                                  // loop: dec ecx
                                   0x0F, 0x44, 0xD3,                            // cmovz edx, ebx
                                   0x89, 0x14, 0x25, kEntry, 0x40, 0x00, 0x00,  // mov [entry], edx
                                   0x0F, 0x01, 0x3F,                            // invlpg [rdi]
                                   0xEB, 0x00,                                  // jmp to what follows
                                   0x05, 0x01, 0x00, 0x00,   0x00,              // add eax, 1: in both pages
                                   0xEB, 0xE8});                                // jmp loop
  h.reg(kRcx) = 5;
  h.reg(kRdx) = (kCode + kPageSize) | 3;
  h.reg(kRdi) = kLinear + kPageSize;
  h.cpu.s.rip = kLinear + kPageSize - 18;
  h.cpu.run(100);  // ends in a shutdown: there is no IDT
  EXPECT_EQ(h.cpu.s.cr2, kLinear + kPageSize);
  EXPECT_EQ(h.reg(kRax), 4u);
  EXPECT_EQ(h.cpu.s.rip, kLinear + kPageSize - 1);
}

TEST(Engine, RepeatedMovesKeepElementOrderWhenTheyOverlap) {
  Harness h;
  h.place(kCode, {0xF3, 0xA4, 0xF4});  // rep movsb; hlt
  h.place(kData, {0xAB});
  h.reg(kRsi) = kData;
  h.reg(kRdi) = kData + 1;
  h.reg(kRcx) = 9000;
  EXPECT_EQ(h.cpu.run(10), RunExit::kHalted);
  EXPECT_EQ(h.cpu.s.instructions, 2u);
  EXPECT_EQ(h.cpu.s.rep_iterations, 9000u);
  u8 last = 0;
  h.memory.read_value(PhysicalAddress{kData + 9000}, last);
  EXPECT_EQ(last, 0xAB);
  EXPECT_EQ(h.reg(kRcx), 0u);
}

TEST(Engine, AFaultInARepeatedComparisonKeepsRegistersOfTheLastElementAndTheFlagsBefore) {
  Harness h;
  h.place(kCode, {0xF3, 0xA6});                // repe cmpsb
  h.write64(kPageTables + 0x2000 + 8 * 2, 0);  // 4 MiB to 6 MiB: not present
  h.reg(kRsi) = (u64{4} << 20) - 3;
  h.reg(kRdi) = kData;
  h.reg(kRcx) = 100;
  const u64 flags = rflags::kCf | rflags::kOf | rflags::kSf;
  h.cpu.set_rflags(flags);
  h.cpu.run(1);  // the fault finds no IDT and shuts the processor down; what matters is what it found
  EXPECT_EQ(h.reg(kRsi), u64{4} << 20);
  EXPECT_EQ(h.reg(kRdi), kData + 3);
  EXPECT_EQ(h.reg(kRcx), 97u);
  EXPECT_EQ(h.cpu.s.rflags & rflags::kArithmetic, flags);
  EXPECT_EQ(h.cpu.s.rip, kCode);
}

TEST(Engine, FlushingTheCodeCacheChangesNothing) {
  Harness plain, flushed;
  plain.place(kCode, kLoop);
  flushed.place(kCode, kLoop);
  for (int i = 0; i < 30; ++i) {
    plain.cpu.run(100);
    flushed.cpu.run(100);
    flushed.cpu.code->flush();
    flushed.cpu.flush_jump_cache();
  }
  EXPECT_EQ(hash_state(plain.cpu.s), hash_state(flushed.cpu.s));
}

TEST(Engine, MoreCodeThanTheCacheHoldsStillRuns) {
  // Each round rewrites the immediate of a function in another page and calls it, so that decoded code piles up until
  // the cache is emptied; returns go through the jump cache all the while.
  Harness h;
  constexpr u64 kFunction = 0x200000;
  h.place(kCode, {0xFF, 0xD3,        // loop: call rbx
                  0xFE, 0x43, 0x01,  // inc byte [rbx+1]
                  0xFF, 0xC9,        // dec ecx
                  0x75, 0xF7,        // jnz loop
                  0xF4});
  std::vector<u8> function = {0xB0, 0x00, 0x01, 0xC2};                               // mov al, imm; add edx, eax
  for (int i = 0; i < 50; ++i) function.insert(function.end(), {0x83, 0xF6, 0x01});  // xor esi, 1
  function.push_back(0xC3);
  h.place(kFunction, function);
  h.reg(kRbx) = kFunction;
  constexpr u64 kRounds = 200'000;
  h.reg(kRcx) = kRounds;
  while (h.cpu.run(~u64{0}) != RunExit::kHalted) {
  }
  EXPECT_GT(h.cpu.code->statistics().flushes, 0u);
  u32 expected = 0;
  for (u64 i = 0; i < kRounds; ++i) expected += static_cast<u8>(i);
  EXPECT_EQ(static_cast<u32>(h.reg(kRdx)), expected);
}

TEST(Engine, WhatLedToCodeThatWasThrownAwayLeadsToItAgain) {
  // Pages of functions that all end with a jump to the start of their page, 1.3 times what the cache holds. First these
  // starts run, then all, so that the half with the starts is thrown away while functions of the other one lead there,
  // and then all backwards, those functions before they are thrown away.
  Harness h;
  constexpr u64 kFunctions = 0x200000;
  constexpr u64 kStride = 64;
  constexpr u64 kInPage = kPageSize / kStride;
  constexpr u64 kAdditions = 18;
  constexpr u64 kBlock = sizeof(Block) + kAdditions * sizeof(RegisterOp) + sizeof(JumpOp) + sizeof(OpDetails);
  constexpr u64 kPages = BlockArena::kBytes * 13 / 10 / kBlock / kInPage;
  static_assert(kFunctions + kPages * kPageSize < kRamSize);
  h.place(kCode, {0xFF, 0xD3,        // loop: call rbx
                  0x48, 0x01, 0xEB,  // add rbx, rbp
                  0xFF, 0xC9,        // dec ecx
                  0x75, 0xF7,        // jnz loop
                  0xF4});
  std::vector<u8> function;
  for (u64 i = 0; i < kAdditions; ++i) function.insert(function.end(), {0x83, 0xC6, 0x01});  // add esi, 1
  function.insert(function.end(), {0xE9, 0, 0, 0, 0});                                       // jmp to the page's start
  for (u64 at = kFunctions; at < kFunctions + kPages * kPageSize; at += kStride) {
    if (at % kPageSize == 0) {
      h.place(at, {0x83, 0xC2, 0x01, 0xC3});  // add edx, 1; ret
      continue;
    }
    const u32 distance = -static_cast<u32>(at % kPageSize + function.size());
    std::memcpy(&function[function.size() - sizeof distance], &distance, sizeof distance);
    h.place(at, function);
  }
  const auto call_all = [&](u64 first, u64 stride, u64 count) {
    h.reg(kRbx) = first;
    h.reg(kRbp) = stride;
    h.reg(kRcx) = count;
    h.cpu.s.rip = kCode;
    h.cpu.s.halted = false;
    while (h.cpu.run(~u64{0}) != RunExit::kHalted) {
    }
  };
  constexpr u64 kCalls = kPages * kInPage;
  call_all(kFunctions, kPageSize, kPages);
  call_all(kFunctions, kStride, kCalls);
  EXPECT_EQ(h.cpu.code->statistics().flushes, 1u);
  call_all(kFunctions + (kCalls - 1) * kStride, -kStride, kCalls);
  EXPECT_EQ(h.reg(kRdx), kPages + 2 * kCalls);
  EXPECT_EQ(h.reg(kRsi), 2 * (kCalls - kPages) * kAdditions);
}

TEST(Engine, CallsAndReturnsAcrossPages) {
  Harness h;
  // mov ecx, 50; loop: call far_away; dec ecx; jnz loop; hlt      far_away (next page): add eax, 2; ret
  h.place(kCode, {0xB9, 0x32, 0x00, 0x00, 0x00, 0xE8, 0xF6, 0x0F, 0x00, 0x00, 0xFF, 0xC9, 0x75, 0xF7, 0xF4});
  h.place(kCode + 0x1000, {0x83, 0xC0, 0x02, 0xC3});
  EXPECT_EQ(h.cpu.run(1000), RunExit::kHalted);
  EXPECT_EQ(h.reg(kRax), 100u);
  EXPECT_EQ(h.reg(kRsp), kStack);
  EXPECT_EQ(h.cpu.s.instructions, 1u + 50 * 5 + 1);
}

}  // namespace
}  // namespace bhvm::test
