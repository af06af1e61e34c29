#include "oracle/compare/comparer.h"

#include <gtest/gtest.h>

#include "tests/oracle/run/known_cases.h"

namespace bhvm::oracle {
namespace {

constexpr u64 kResumeFlag = 1 << 16;

struct Setting {
  Batch batch{test::filled_region()};
  std::vector<Outcome> ours, theirs, native;

  explicit Setting(std::initializer_list<u8> code) {
    CaseGroup group = test::plain_group(Mode::kUser64, code);
    group.native = true;
    batch.add(group);
    ours.resize(1);
    theirs.resize(1);
    native.resize(1);
  }
  std::vector<Finding> compare(Oracle oracle = Oracle::kQemu, bool with_native = false) {
    std::vector<Finding> findings;
    Comparer comparer;
    comparer.compare(batch, ours, theirs, oracle,
                     with_native ? std::span<const Outcome>(native) : std::span<const Outcome>(), findings);
    return findings;
  }
};

TEST(Comparer, FindsADifferentRegister) {
  Setting s{0x01, 0xC8};  // add eax, ecx
  s.theirs[0].gpr[0] = 1;
  const auto findings = s.compare();
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].differences[0].field, Field::kGpr);
}

TEST(Comparer, ARowExplainsItsBitsOnly) {
  Setting s{0x0F, 0x0B};  // ud2
  s.ours[0].vector = s.theirs[0].vector = 6;
  s.ours[0].rflags = 2 | kResumeFlag;
  s.theirs[0].rflags = 2;
  EXPECT_TRUE(s.compare().empty());
  s.theirs[0].rflags = 2 | 1;
  const auto findings = s.compare();
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].differences[0].bits(), 1U);
}

TEST(Comparer, TheHostContradictsARowThatCallsQemuWrong) {
  Setting s{0x0F, 0x0B};
  s.ours[0].vector = s.theirs[0].vector = s.native[0].vector = 6;
  s.ours[0].rflags = s.native[0].rflags = 2 | kResumeFlag;
  s.theirs[0].rflags = 2;
  EXPECT_TRUE(s.compare(Oracle::kQemu, true).empty());
  s.native[0].rflags = 2;
  EXPECT_EQ(s.compare(Oracle::kQemu, true).size(), 1U);
}

TEST(Comparer, ANativeRunKnowsNoPageTables) {
  Setting s{0x90};
  s.ours[0].accessed = 6;
  s.ours[0].system.cr0 = 1;
  EXPECT_TRUE(s.compare(Oracle::kNative).empty());
  s.ours[0].gpr[3] = 1;
  EXPECT_EQ(s.compare(Oracle::kNative).size(), 1U);
}

TEST(Comparer, ACaseThatTheHostDidNotRunIsNotCompared) {
  Setting s{0x90};
  s.theirs[0].vector = kVectorNotRun;
  EXPECT_TRUE(s.compare(Oracle::kNative).empty());
}

}  // namespace
}  // namespace bhvm::oracle
