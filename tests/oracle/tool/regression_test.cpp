// Every stored case ends in bhvm as it is recorded, and no oracle disagrees without a reason that the table states.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "oracle/tool/minimise.h"

namespace bhvm::oracle {
namespace {

std::vector<std::string> case_files() {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(BHVM_CASES)) files.push_back(entry.path().string());
  std::sort(files.begin(), files.end());
  return files;
}

TEST(RegressionCases, AreThere) { EXPECT_GE(case_files().size(), 10U); }

TEST(RegressionCases, EndInBhvmAsRecorded) {
  auto runner = BhvmRunner::create();
  ASSERT_TRUE(runner) << runner.error().message;
  for (const std::string& file : case_files()) {
    SCOPED_TRACE(file);
    const auto stored = read_case(file);
    ASSERT_TRUE(stored) << stored.error().message;
    ASSERT_FALSE(stored.value().expected.empty()) << "nothing is recorded";
    Batch batch(stored.value().pristine);
    ASSERT_TRUE(batch.add(stored.value().group));
    const auto outcomes = runner.value()->run(batch);
    ASSERT_TRUE(outcomes) << outcomes.error().message;
    EXPECT_EQ(expected_words(outcomes.value().front(), *stored.value().pristine), stored.value().expected);
  }
}

TEST(RegressionCases, NoOracleDisagrees) {
  auto bench = Bench::create("qemu-system-x86_64", true);
  ASSERT_TRUE(bench) << bench.error().message;
  for (const std::string& file : case_files()) {
    SCOPED_TRACE(file);
    const auto stored = read_case(file);
    ASSERT_TRUE(stored) << stored.error().message;
    const auto trial = bench.value()->run(stored.value().group, stored.value().pristine);
    ASSERT_TRUE(trial) << trial.error().message;
    EXPECT_TRUE(trial.value().findings.empty());
  }
}

}  // namespace
}  // namespace bhvm::oracle
