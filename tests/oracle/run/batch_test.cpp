#include <gtest/gtest.h>

#include "tests/oracle/run/known_cases.h"

namespace bhvm::oracle {
namespace {

TEST(Batch, NumbersGroupsCasesAndSteps) {
  Batch batch(test::filled_region());
  ASSERT_TRUE(batch.add(test::plain_group(Mode::kUser64, {0x90}, 3)));
  CaseGroup with_steps = test::plain_group(Mode::kKernel64, {0x90}, 2);
  with_steps.steps = {{{StepKind::kMsr, 1, 2}}, {{StepKind::kMsr, 3, 4}, {StepKind::kCr, 8, 5}}};
  ASSERT_TRUE(batch.add(with_steps));

  EXPECT_EQ(batch.case_count(), 5U);
  EXPECT_EQ(batch.group_index_of(2), 0U);
  EXPECT_EQ(batch.group_index_of(3), 1U);
  const CaseGroup& second = batch.groups()[1];
  EXPECT_EQ(second.group.first_case, 3U);
  EXPECT_EQ(second.cases[1].first_step, 1U);
  EXPECT_EQ(second.cases[1].step_count, 2U);

  const std::vector<u8> image = batch.image();
  BatchHeader header;
  std::memcpy(&header, image.data(), sizeof(header));
  EXPECT_EQ(header.case_count, 5U);
  EXPECT_EQ(header.step_count, 3U);
  EXPECT_EQ(header.cases_offset % 16, 0U);
  Step last;
  std::memcpy(&last, image.data() + header.steps_offset + 2 * sizeof(Step), sizeof(last));
  EXPECT_EQ(last.value, 5U);
  EXPECT_EQ(image.size(), header.steps_offset + 3 * sizeof(Step));
}

TEST(Batch, RefusesWhatDoesNotFit) {
  Batch batch(test::filled_region());
  ASSERT_TRUE(batch.add(test::plain_group(Mode::kUser64, {0x90}, kMaxCases)));
  EXPECT_FALSE(batch.add(test::plain_group(Mode::kUser64, {0x90})));
  EXPECT_EQ(batch.case_count(), kMaxCases);
  EXPECT_EQ(batch.groups().size(), 1U);
}

}  // namespace
}  // namespace bhvm::oracle
