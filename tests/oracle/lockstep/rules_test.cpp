#include "oracle/lockstep/rules.h"

#include <gtest/gtest.h>

#include <set>

#include "cpu/flags.h"

namespace bhvm::lockstep {
namespace {

using namespace rflags;

TEST(Rules, EveryRuleHasOneRowWithAReason) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kRuleCount; ++i) {
    const RuleRow& row = row_of(static_cast<Rule>(i));
    EXPECT_EQ(i, static_cast<std::size_t>(row.rule));
    EXPECT_FALSE(row.what.empty());
    EXPECT_FALSE(row.reason.empty()) << row.name;
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
  }
}

TEST(Rules, ShiftCountsDecideWhatIsUndefined) {
  const auto flags = [](ZydisMnemonic mnemonic, u64 count, unsigned width) {
    return undefined_flags(mnemonic, {count, width}).flags;
  };
  EXPECT_EQ(0u, flags(ZYDIS_MNEMONIC_SHL, 0, 32));
  EXPECT_EQ(0u, flags(ZYDIS_MNEMONIC_SHL, 32, 32));  // masked to 0
  EXPECT_EQ(kAf, flags(ZYDIS_MNEMONIC_SHL, 1, 32));
  EXPECT_EQ(kAf | kOf, flags(ZYDIS_MNEMONIC_SHR, 5, 64));
  EXPECT_EQ(kAf | kOf, flags(ZYDIS_MNEMONIC_SHR, 63, 64));
  EXPECT_EQ(kAf | kOf | kCf, flags(ZYDIS_MNEMONIC_SHR, 9, 8));
  EXPECT_EQ(kAf | kOf | kCf, flags(ZYDIS_MNEMONIC_SHR, 8, 8));
  EXPECT_EQ(kAf | kOf, flags(ZYDIS_MNEMONIC_SAR, 9, 8));
  EXPECT_EQ(kArithmetic, flags(ZYDIS_MNEMONIC_SHLD, 17, 16));
  EXPECT_EQ(0u, flags(ZYDIS_MNEMONIC_ROL, 1, 32));
  EXPECT_EQ(kOf, flags(ZYDIS_MNEMONIC_RCR, 3, 32));
}

TEST(Rules, NoOtherInstructionLosesFlags) {
  EXPECT_EQ(0u, undefined_flags(ZYDIS_MNEMONIC_ADD, {}).flags);
  EXPECT_EQ(0u, undefined_flags(ZYDIS_MNEMONIC_CMP, {}).flags);
  EXPECT_EQ(kAf, undefined_flags(ZYDIS_MNEMONIC_TEST, {}).flags);
  EXPECT_EQ(kSf | kZf | kAf | kPf, undefined_flags(ZYDIS_MNEMONIC_IMUL, {}).flags);
  EXPECT_EQ(0u, undefined_flags(ZYDIS_MNEMONIC_BSF, {}).flags & kZf);
}

TEST(Rules, RegistersThatSystemCodeDependsOnAreCompared) {
  for (const u32 index : {0xC0000080u, 0xC0000082u, 0xC0000101u, 0x277u}) EXPECT_TRUE(msr_is_compared(index));
  for (const u32 index : {0x1Bu, 0x10u, 0x48u, 0xCEu}) EXPECT_FALSE(msr_is_compared(index));
}

}  // namespace
}  // namespace bhvm::lockstep
