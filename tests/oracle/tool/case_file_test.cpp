#include "oracle/tool/case_file.h"

#include <gtest/gtest.h>

#include "tests/oracle/run/known_cases.h"

namespace bhvm::oracle {
namespace {

StoredCase sample() {
  StoredCase stored;
  stored.name = "sample";
  stored.note = "a \"note\"";
  stored.group = test::plain_group(Mode::kUser32, {0x50, 0x40});
  stored.group.form = "push r32";
  stored.group.mnemonic = "push";
  stored.group.family = "stack";
  stored.group.native = true;
  Case& input = stored.group.cases[0];
  input.gpr[15] = ~u64{0};
  input.patches[1] = Patch{0x7008, 3, {1, 2, 3}};
  input.dirty = 0x80;
  stored.group.steps = {{{StepKind::kSelfIpi, 0x51, 0}, {StepKind::kPoke, 7, 9}}};
  auto region = std::make_shared<Pristine>(blank_region());
  (*region)[0x7FFF] = 0xAB;
  stored.pristine = region;
  stored.expected = {{"rax", 1}, {"mem[0x10007000]", ~u64{0}}};
  return stored;
}

TEST(CaseFile, ComesBackAsItWas) {
  const StoredCase before = sample();
  const auto read = parse_case(to_json(before), "sample");
  ASSERT_TRUE(read) << read.error().message;
  const StoredCase& after = read.value();
  EXPECT_EQ(after.note, before.note);
  EXPECT_EQ(after.group.form, before.group.form);
  EXPECT_EQ(after.group.native, before.group.native);
  EXPECT_EQ(std::memcmp(&after.group.group, &before.group.group, sizeof(Group)), 0);
  EXPECT_EQ(*after.pristine, *before.pristine);
  EXPECT_EQ(after.expected, before.expected);
  EXPECT_EQ(after.group.steps[0].size(), 2U);
  EXPECT_EQ(to_json(after), to_json(before));
}

TEST(CaseFile, WhatIsMalformedIsNamed) {
  const std::string good = to_json(sample());
  const auto broken = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    const auto read = parse_case(text, "sample");
    EXPECT_FALSE(read) << to;
    return read ? std::string() : read.error().message;
  };
  EXPECT_NE(broken("\"user32\"", "\"user16\"").find("user16"), std::string::npos);
  EXPECT_NE(broken("\"5040\"", "\"504\"").find("504"), std::string::npos);
  EXPECT_NE(broken("\"0x1100\"", "\"0xfffffff\"").find("region"), std::string::npos);
  EXPECT_NE(broken("\"self_ipi\"", "\"selfie\"").find("selfie"), std::string::npos);
  EXPECT_NE(broken("\"form\"", "\"from\"").find("form"), std::string::npos);
  EXPECT_FALSE(parse_case("{", "sample"));
  EXPECT_FALSE(parse_case("[]", "sample"));
}

}  // namespace
}  // namespace bhvm::oracle
