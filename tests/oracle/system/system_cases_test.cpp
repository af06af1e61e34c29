// System cases in bhvm alone: they end as cases do, and what some of them must come to.
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>

#include "oracle/run/bhvm_runner.h"
#include "oracle/system/system_generator.h"

namespace bhvm::oracle {
namespace {

constexpr u32 kInvalidOpcode = 6, kDoubleFault = 8, kGeneralProtection = 13, kBreakpoint = 3;

class SystemCases : public testing::Test {
 protected:
  void SetUp() override {
    auto created = BhvmRunner::create();
    ASSERT_TRUE(created) << created.error().message;
    runner_ = std::move(created.value());
  }

  std::unique_ptr<BhvmRunner> runner_;
};

TEST_F(SystemCases, EndWithoutTrouble) {
  SystemGenerator generator(11, nullptr);
  std::set<std::string> families;
  std::map<std::string, std::set<u32>> vectors;
  u32 cases = 0;
  u32 shutdowns = 0;
  std::size_t left = generator.forms().size();
  while (left > 0) {
    Batch batch(generator.shared_pristine());
    constexpr std::size_t kGroupsAtOnce = 100;
    for (std::size_t i = 0; i < kGroupsAtOnce && left > 0; ++i, --left) ASSERT_TRUE(batch.add(generator.next()));
    const auto outcomes = runner_->run(batch);
    ASSERT_TRUE(outcomes) << outcomes.error().message;
    for (u32 i = 0; i < batch.case_count(); ++i) {
      const CaseGroup& group = batch.group_of(i);
      const u32 vector = outcomes.value()[i].vector;
      EXPECT_LE(vector, kVectorShutdown) << group.form << ": neither an exception nor a shutdown";
      shutdowns += vector == kVectorShutdown ? 1 : 0;
      families.insert(group.family);
      vectors[group.family].insert(vector);
    }
    cases += batch.case_count();
  }
  EXPECT_GT(cases, 5000u);
  EXPECT_EQ(families.size(), 17u);
  EXPECT_LT(shutdowns, cases / 100) << "a shutdown costs QEMU a reset";
  EXPECT_GT(shutdowns, 0u);
  EXPECT_TRUE(vectors["nested faults"].contains(kDoubleFault));
  for (const auto& [family, seen] : vectors) EXPECT_GT(seen.size(), 1u) << family << " always ends the same way";
}

TEST_F(SystemCases, TheSameTwice) {
  std::array<std::vector<Outcome>, 2> outcomes;
  for (std::vector<Outcome>& run : outcomes) {
    SystemGenerator generator(5, nullptr);
    Batch batch(generator.shared_pristine());
    for (int i = 0; i < 60; ++i) ASSERT_TRUE(batch.add(generator.next()));
    auto result = runner_->run(batch);
    ASSERT_TRUE(result) << result.error().message;
    run = std::move(result.value());
  }
  ASSERT_EQ(outcomes[0].size(), outcomes[1].size());
  for (std::size_t i = 0; i < outcomes[0].size(); ++i) {
    EXPECT_EQ(std::memcmp(&outcomes[0][i], &outcomes[1][i], sizeof(Outcome)), 0) << i;
  }
}

/// A vector that a scenario must end in at times, beside #BP.
struct Expected {
  const char* form;
  u32 vector;
};

TEST_F(SystemCases, ScenariosReachWhatTheyAreAbout) {
  constexpr Expected kExpected[] = {
      {"^mov ds, r16$", kGeneralProtection},
      {"^mov cr0, r$", kGeneralProtection},
      {"^wrmsr ia32_lstar$", kGeneralProtection},
      {"^syscall$", kInvalidOpcode},
      {"^page entries under a write$", 14},
      {"^fld1 under its controls$", 7},
      {"^stack at its segment's ends$", 12},
      {"^mov ss, r16$", 12},
      {"^ret far$", 11},
      {"^call far through a gate$", 10},
      {"^single step over nop$", 1},
      {"^int n through gates$", 11},
  };
  for (const Expected& expected : kExpected) {
    const std::regex filter(expected.form);
    SystemGenerator generator(1, &filter);
    ASSERT_EQ(generator.forms().size(), 1u) << expected.form;
    Batch batch(generator.shared_pristine());
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(batch.add(generator.next()));
    const auto outcomes = runner_->run(batch);
    ASSERT_TRUE(outcomes) << outcomes.error().message;
    std::set<u32> seen;
    for (const Outcome& outcome : outcomes.value()) seen.insert(outcome.vector);
    EXPECT_TRUE(seen.contains(expected.vector)) << expected.form;
    if (expected.vector != 1) {
      EXPECT_TRUE(seen.contains(kBreakpoint)) << expected.form;
    }
  }
}

}  // namespace
}  // namespace bhvm::oracle
