#include "oracle/system/system_generator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>

namespace bhvm::oracle {
namespace {

bool same(const CaseGroup& a, const CaseGroup& b) {
  if (a.form != b.form || a.family != b.family || a.cases.size() != b.cases.size() ||
      a.steps.size() != b.steps.size()) {
    return false;
  }
  if (std::memcmp(&a.group, &b.group, sizeof(Group)) != 0) return false;
  for (std::size_t i = 0; i < a.cases.size(); ++i) {
    if (std::memcmp(&a.cases[i], &b.cases[i], sizeof(Case)) != 0 || a.steps[i].size() != b.steps[i].size())
      return false;
    if (std::memcmp(a.steps[i].data(), b.steps[i].data(), a.steps[i].size() * sizeof(Step)) != 0) return false;
  }
  return true;
}

TEST(SystemGenerator, SameSeedSameGroups) {
  SystemGenerator a(7, nullptr);
  SystemGenerator b(7, nullptr);
  SystemGenerator other(8, nullptr);
  EXPECT_EQ(a.pristine(), b.pristine());
  std::size_t different = 0;
  for (std::size_t i = 0; i < 2 * a.forms().size(); ++i) {
    const CaseGroup group = a.next();
    ASSERT_TRUE(same(group, b.next())) << group.form;
    different += same(group, other.next()) ? 0 : 1;
  }
  EXPECT_GT(different, a.forms().size());
}

TEST(SystemGenerator, EveryScenarioInEveryRound) {
  SystemGenerator generator(1, nullptr);
  const std::set<std::string> forms(generator.forms().begin(), generator.forms().end());
  EXPECT_EQ(forms.size(), generator.forms().size()) << "two scenarios of one name";
  EXPECT_GE(forms.size(), 400u);
  for (int round = 0; round < 3; ++round) {
    std::set<std::string> seen;
    for (std::size_t i = 0; i < forms.size(); ++i) seen.insert(generator.next().form);
    EXPECT_EQ(seen, forms);
  }
}

TEST(SystemGenerator, AFilterLeavesTheGroupsOfAScenarioAsTheyAre) {
  const std::regex filter("^sysretq$");
  SystemGenerator filtered(3, &filter);
  ASSERT_THAT(filtered.forms(), testing::ElementsAre("sysretq"));
  const CaseGroup first = filtered.next();
  SystemGenerator all(3, nullptr);
  CaseGroup group = all.next();
  while (group.form != "sysretq") group = all.next();
  EXPECT_TRUE(same(group, first));
}

TEST(SystemGenerator, EveryCaseHasStepsAndFitsItsPage) {
  SystemGenerator generator(2, nullptr);
  for (std::size_t i = 0; i < generator.forms().size(); ++i) {
    const CaseGroup group = generator.next();
    EXPECT_FALSE(group.native) << group.form;
    EXPECT_FALSE(group.family.empty()) << group.form;
    EXPECT_LE(group.group.code_bytes, kMaxCode) << group.form;
    const PageKind kind = kPageKinds[group.group.code_offset / kPageBytes];
    EXPECT_TRUE(kind == PageKind::kCode || kind == PageKind::kSupervisorCode) << group.form;
    ASSERT_EQ(group.steps.size(), group.cases.size()) << group.form;
    for (const Steps& steps : group.steps) EXPECT_FALSE(steps.empty()) << group.form;
  }
}

}  // namespace
}  // namespace bhvm::oracle
