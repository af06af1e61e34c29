// Both runners on cases whose outcomes are known: the harness sees what it should see.
#include <gtest/gtest.h>

#include "oracle/run/bhvm_runner.h"
#include "oracle/run/qemu_runner.h"
#include "tests/oracle/run/known_cases.h"

namespace bhvm::oracle {
namespace {

constexpr u32 kPageFaultVector = 14;
constexpr u32 kBreakpointVector = 3;

/// What a runner must give for each known case.
struct Known {
  CaseGroup group;
  std::function<void(const Outcome&)> check;
};

std::vector<Known> known_cases() {
  std::vector<Known> known;
  const auto add = [&](CaseGroup group, std::function<void(const Outcome&)> check) {
    known.push_back({std::move(group), std::move(check)});
  };

  CaseGroup sum = test::plain_group(Mode::kUser64, {0x01, 0xC8});  // add eax, ecx
  sum.cases[0].gpr[0] = 0xFFFFFFFF;
  sum.cases[0].gpr[1] = 1;
  add(sum, [](const Outcome& o) {
    EXPECT_EQ(o.vector, kBreakpointVector);
    EXPECT_EQ(o.rip, kRegion + test::kCodeOffset + 3);
    EXPECT_EQ(o.gpr[0], 0U);
    EXPECT_EQ(o.rflags & 0x8D5, 0x55U);  // CF PF AF ZF
    EXPECT_EQ(o.cs, kUserCode64);
    EXPECT_EQ(o.change_count, 0U);
  });

  CaseGroup store = test::plain_group(Mode::kUser64, {0x48, 0x89, 0x03});  // mov [rbx], rax
  store.cases[0].gpr[3] = page_linear(8) - 4;
  store.cases[0].gpr[0] = 0x1122334455667788;
  add(store, [](const Outcome& o) {
    ASSERT_EQ(o.change_count, 2U);
    EXPECT_EQ(o.changes[0].qword, 8 * 512U - 1);
    EXPECT_EQ(o.changes[0].value, 0x55667788CCCCCCCCU);
    EXPECT_EQ(o.changes[1].value, 0xCCCCCCCC11223344U);
    EXPECT_EQ(o.dirty, 0b110000000U);
    EXPECT_EQ(o.accessed & 0b110000000, 0b110000000U);
  });

  CaseGroup fault = store;
  fault.cases[0].gpr[3] = page_linear(9) - 4;  // the second half is read-only
  add(fault, [](const Outcome& o) {
    EXPECT_EQ(o.vector, kPageFaultVector);
    EXPECT_EQ(o.error_code, 7U);
    EXPECT_EQ(o.cr2, page_linear(9));
    EXPECT_EQ(o.change_count, 0U);
    EXPECT_EQ(o.rip, kRegion + test::kCodeOffset);
  });

  CaseGroup compatibility = test::plain_group(Mode::kUser32, {0x50, 0x40});  // push eax; inc eax
  compatibility.cases[0].gpr[0] = 0x7FFFFFFF;
  add(compatibility, [](const Outcome& o) {
    EXPECT_EQ(o.cs, kUserCode32);
    EXPECT_EQ(o.gpr[0], 0x80000000U);
    EXPECT_EQ(o.gpr[4], page_linear(kStackTopPage) - 68);
    ASSERT_EQ(o.change_count, 1U);
    EXPECT_EQ(o.changes[0].value, 0x7FFFFFFFCCCCCCCCU);
  });

  // xor esp, esp; lidt [rbx]; int3 with an IDT of limit 0: a triple fault. The case after it must run all the same.
  CaseGroup shutdown = test::plain_group(Mode::kKernel64, {0x31, 0xE4, 0x0F, 0x01, 0x1B});
  shutdown.cases[0].gpr[3] = page_linear(7);
  shutdown.cases[0].patches[0] = Patch{static_cast<u32>(7 * kPageBytes), 10, {}};
  add(shutdown, [](const Outcome& o) { EXPECT_EQ(o.vector, kVectorShutdown); });
  add(sum, [](const Outcome& o) { EXPECT_EQ(o.gpr[0], 0U); });

  CaseGroup control = test::plain_group(Mode::kKernel64, {0x0F, 0x20, 0xC0});  // mov rax, cr0
  control.steps = {{{StepKind::kCr, 0, kStandardCr0 | 8}}};
  add(control, [](const Outcome& o) {
    EXPECT_EQ(o.gpr[0], kStandardCr0 | 8);
    EXPECT_EQ(o.system.cr0, kStandardCr0 | 8);
    EXPECT_EQ(o.system.cr4, kStandardCr4);
    EXPECT_EQ(o.system.dr7, 0x400U);
  });

  // sti; nop with an interrupt pending: it comes after the nop.
  CaseGroup interrupt = test::plain_group(Mode::kKernel64, {0xFB, 0x90, 0x90});
  interrupt.steps = {{{StepKind::kSelfIpi, 0x51, 0}}};
  add(interrupt, [](const Outcome& o) {
    EXPECT_EQ(o.vector, 0x51U);
    EXPECT_EQ(o.rip, kRegion + test::kCodeOffset + 2);
  });
  add(control, [](const Outcome& o) { EXPECT_EQ(o.vector, kBreakpointVector); });
  return known;
}

Batch batch_of(const std::vector<Known>& known) {
  Batch batch(test::filled_region());
  for (const Known& each : known) EXPECT_TRUE(batch.add(each.group));
  return batch;
}

void check_all(const std::vector<Known>& known, std::span<const Outcome> outcomes) {
  for (std::size_t i = 0; i < known.size(); ++i) {
    SCOPED_TRACE(i);
    known[i].check(outcomes[i]);
  }
}

TEST(BhvmRunner, KnownCases) {
  auto runner = BhvmRunner::create();
  ASSERT_TRUE(runner) << runner.error().message;
  const std::vector<Known> known = known_cases();
  const Batch batch = batch_of(known);
  for (int round = 0; round < 2; ++round) {
    const auto outcomes = runner.value()->run(batch);
    ASSERT_TRUE(outcomes) << outcomes.error().message;
    check_all(known, outcomes.value());
  }
}

TEST(BhvmRunner, ACaseWithoutEndIsHungAndTheNextOneRuns) {
  auto runner = BhvmRunner::create();
  ASSERT_TRUE(runner);
  Batch batch(test::filled_region());
  batch.add(test::plain_group(Mode::kUser64, {0xEB, 0xFE}));  // jmp to itself
  batch.add(test::plain_group(Mode::kUser64, {0x90}));
  const auto outcomes = runner.value()->run(batch);
  ASSERT_TRUE(outcomes);
  EXPECT_EQ(outcomes.value()[0].vector, kVectorHung);
  EXPECT_EQ(outcomes.value()[1].vector, kBreakpointVector);
}

TEST(QemuRunner, KnownCases) {
  auto runner = QemuRunner::create();
  ASSERT_TRUE(runner) << runner.error().message;
  const std::vector<Known> known = known_cases();
  const Batch batch = batch_of(known);
  for (int round = 0; round < 2; ++round) {
    ASSERT_TRUE(runner.value()->start(batch));
    const auto outcomes = runner.value()->finish();
    ASSERT_TRUE(outcomes) << outcomes.error().message;
    check_all(known, outcomes.value());
  }
}

TEST(QemuRunner, AMissingProgramIsASentence) {
  const auto runner = QemuRunner::create("no-such-qemu");
  ASSERT_FALSE(runner);
  EXPECT_NE(runner.error().message.find("no-such-qemu"), std::string::npos) << runner.error().message;
  EXPECT_NE(runner.error().message.find("qemu-system-x86"), std::string::npos) << runner.error().message;
}

TEST(QemuRunner, AProgramThatEndsIsASentence) {
  const auto runner = QemuRunner::create("false");
  ASSERT_FALSE(runner);
  EXPECT_NE(runner.error().message.find("status 1"), std::string::npos) << runner.error().message;
}

}  // namespace
}  // namespace bhvm::oracle
