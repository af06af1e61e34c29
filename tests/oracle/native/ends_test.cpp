// Cases that do not end, that would call the kernel, that destroy the child; and what is refused.
#include <signal.h>

#include <chrono>

#include "native_case.h"
#include "oracle/native/arena.h"

namespace bhvm::oracle::test {
namespace {

class NativeEnds : public NativeTest {
 protected:
  /// The runner still works, and leaves nothing of the cases before behind.
  void expect_sound() {
    const CaseGroup group = make_group({0x48, 0xFF, 0xC0});  // inc rax
    const Case input = make_case(group);
    const Outcome out = run(group, input);
    EXPECT_EQ(out.vector, kBreakpoint);
    EXPECT_EQ(out.gpr[kRax], input.gpr[kRax] + 1);
    EXPECT_EQ(out.change_count, 0u);
  }
};

TEST_F(NativeEnds, AHangIsDetectedAndTheNextCaseRuns) {
  CaseGroup group =
      make_group({0xFE, 0x07, 0x48, 0xFF, 0xC9, 0x75, 0xF9});  // again: inc byte [rdi]; dec rcx; jnz again
  Case input = make_case(group);
  input.gpr[kRdi] = page_linear(5);
  Case endless = input;
  endless.gpr[kRcx] = 0;
  input.gpr[kRcx] = 5;
  group.cases = {input, endless, input, endless, input};
  const pid_t child = runner_->child();
  const std::vector<Outcome> outcomes = run(group);
  for (unsigned i = 0; i < 5; ++i) {
    EXPECT_EQ(outcomes[i].vector, i % 2 == 0 ? kBreakpoint : kVectorHung);
    EXPECT_EQ(outcomes[i].change_count, i % 2 == 0 ? 1u : 0u);
  }
  EXPECT_EQ(runner_->child(), child);
}

TEST_F(NativeEnds, ALongCaseIsNotTakenForAHang) {
  // again: inc rax; dec ecx; jnz again
  const CaseGroup group = make_group({0x48, 0xFF, 0xC0, 0xFF, 0xC9, 0x75, 0xF9});
  Case input = make_case(group);
  input.gpr[kRax] = 0;
  input.gpr[kRcx] = 1'000'000;
  const Outcome out = run(group, input);
  EXPECT_EQ(out.vector, kBreakpoint);
  EXPECT_EQ(out.gpr[kRax], 1'000'000u);
}

TEST_F(NativeEnds, CallsOutOfTheProcessAreRefusedAtAnyByte) {
  const CaseGroup calls[] = {make_group({0x0F, 0x05}),       make_group({0xCD, 0x80}),
                             make_group({0x0F, 0x34}),       make_group({0x0F, 0x01, 0xC1}),
                             make_group({0x0F, 0x01, 0xD9}), make_group({0xB8, 0x0F, 0x05, 0x00, 0x00})};
  for (const CaseGroup& group : calls) {
    EXPECT_TRUE(NativeRunner::refusal(group));
    EXPECT_EQ(run(group, make_case(group)).vector, kVectorNotRun);
  }
}

TEST_F(NativeEnds, ASystemCallMadeAtRunTimeNeverReachesTheKernel) {
  for (const u16 call : {u16{0x050F}, u16{0x80CD}}) {
    // mov [rdi], ax; jmp rdi
    const CaseGroup group = make_group({0x66, 0x89, 0x07, 0xFF, 0xE7});
    Case input = make_case(group);
    input.gpr[kRdi] = page_linear(27);
    input.gpr[kRax] = call;  // were it called, neither number would exist
    EXPECT_EQ(run(group, input).vector, kVectorNotRun);
    expect_sound();
  }
}

TEST_F(NativeEnds, ACaseThatRunsIntoTheChildIsNotCounted) {
  const CaseGroup group = make_group({0xFF, 0xE7});  // jmp rdi
  Case input = make_case(group);
  input.gpr[kRdi] = native::kChildImage + 0x20000;  // its data
  EXPECT_EQ(run(group, input).vector, kVectorNotRun);
  expect_sound();
}

TEST_F(NativeEnds, ACaseThatDestroysTheChildIsFoundAmongItsNeighbours) {
  // A system call of the child's own, found by its bytes: exit_group(0).
  const u8 code[] = {0x66, 0x81, 0x3F, 0x0F, 0x05, 0x74, 0x05, 0x48, 0xFF, 0xC7, 0xEB, 0xF4, 0xFF, 0xE7};
  CaseGroup group = make_group({});
  // again: cmp word [rdi], 050Fh; je found; inc rdi; jmp again; found: jmp rdi. The bytes of SYSCALL come by a patch.
  std::ranges::copy(code, group.group.code);
  group.group.code[3] = group.group.code[4] = 0x90;
  group.group.code_bytes = sizeof(code);
  Case input = make_case(group);
  input.gpr[kRdi] = native::kChildImage;
  input.gpr[kRax] = 231;
  input.patches[0] = {kCodeOffset + 3, 2, {0x0F, 0x05}};
  Case harmless = input;
  harmless.rip = kRegion + kCodeOffset + sizeof(code);
  group.cases = {harmless, input, harmless, input, harmless};
  const pid_t child = runner_->child();
  const std::vector<Outcome> outcomes = run(group);
  for (unsigned i = 0; i < 5; ++i) EXPECT_EQ(outcomes[i].vector, i % 2 == 0 ? kBreakpoint : kVectorNotRun) << i;
  EXPECT_NE(runner_->child(), child);
  expect_sound();
}

TEST_F(NativeEnds, AChildThatFallsSilentIsStartedAgain) {
  Result<std::unique_ptr<NativeRunner>> own = NativeRunner::create({.silence = std::chrono::milliseconds(50)});
  ASSERT_TRUE(own.ok());
  runner_ = own.value().get();
  const CaseGroup group = make_group({0x90});
  const pid_t child = runner_->child();
  ASSERT_EQ(kill(child, SIGSTOP), 0);
  EXPECT_EQ(run(group, make_case(group)).vector, kBreakpoint);
  EXPECT_NE(runner_->child(), child);
  expect_sound();
}

TEST_F(NativeEnds, AChildThatWasKilledIsStartedAgain) {
  ASSERT_EQ(kill(runner_->child(), SIGKILL), 0);
  expect_sound();
}

TEST_F(NativeEnds, WhatAProcessCannotRunIsRefused) {
  const CaseGroup group = make_group({0x90});
  const Case good = make_case(group);
  EXPECT_FALSE(NativeRunner::refusal(group, good));
  const auto expect_refused = [&](const CaseGroup& code, auto change) {
    Case bad = good;
    change(bad);
    EXPECT_TRUE(NativeRunner::refusal(code, bad));
    EXPECT_EQ(run(code, bad).vector, kVectorNotRun);
  };
  const auto nothing = [](Case&) {};
  expect_refused(make_group({0x90}, Mode::kKernel64), nothing);
  CaseGroup unmarked = group;
  unmarked.native = false;
  expect_refused(unmarked, nothing);
  expect_refused(group, [](Case& bad) { bad.rflags |= 0x3000; });  // IOPL
  expect_refused(group, [](Case& bad) { bad.rflags &= ~kIf; });
  expect_refused(group, [](Case& bad) { bad.fs_base = u64{1} << 63; });
  expect_refused(group, [](Case& bad) { bad.gs_base = u64{1} << 47; });
  expect_refused(group, [](Case& bad) { bad.rip = u64{1} << 47; });
  expect_refused(group, [](Case& bad) { bad.cs = kUserCode32; });
  expect_refused(group, [](Case& bad) { bad.ss = 3; });
  expect_refused(group, [](Case& bad) { put<u32>(bad.fx, kMxcsr, 0x10000); });
  CaseGroup stepped = group;
  stepped.cases = {good};
  stepped.steps = {{Step{}}};
  EXPECT_EQ(run(stepped).front().vector, kVectorNotRun);
}

TEST_F(NativeEnds, CodeAndPatchesOutsideTheRegionAreErrors) {
  CaseGroup group = make_group({0x90, 0x90});
  group.cases = {make_case(group)};
  std::vector<Outcome> outcomes(1);
  group.group.code_offset = kRegionBytes - 1;
  EXPECT_FALSE(runner_->run(group, pristine_, outcomes).ok());
  group.group.code_offset = kCodeOffset;
  group.cases[0].patches[1] = {kRegionBytes - 4, 8, {}};
  EXPECT_FALSE(runner_->run(group, pristine_, outcomes).ok());
}

}  // namespace
}  // namespace bhvm::oracle::test
