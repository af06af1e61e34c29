#include "cli/input_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bhvm::cli {
namespace {

using testing::HasSubstr;

TEST(InputRecord, WhatIsWrittenIsRead) {
  const std::vector<u8> bytes{'h', 0x00, 0xFF};
  const std::string text = input_file_header() + format_input_record(5, 70, bytes) + format_input_record(5, 80, bytes);
  const auto records = parse_input_file(text, "file");
  ASSERT_TRUE(records.ok()) << records.error().message;
  ASSERT_EQ(records.value().size(), 2u);
  EXPECT_EQ(records.value()[1].instructions, 5u);
  EXPECT_EQ(records.value()[1].time_ns, 80u);
  EXPECT_EQ(records.value()[1].bytes, bytes);
}

TEST(InputRecord, CommentsAndEmptyLinesAreSkipped) {
  EXPECT_EQ(parse_input_file("# a\n\nbhvm-input 1\r\n# b\n1 2 41\n", "file").value().size(), 1u);
  EXPECT_TRUE(parse_input_file("bhvm-input 1", "file").value().empty());
}

TEST(InputRecord, MistakesNameTheLine) {
  EXPECT_THAT(parse_input_file("", "f").error().message, HasSubstr("no recorded console input"));
  EXPECT_THAT(parse_input_file("bhvm-input 2\n", "f").error().message, HasSubstr("no recorded console input"));
  for (const char* bad : {"1 2", "1 2 4", "1 2 4g", "1 2 41 x", "-1 2 41", "1 x 41", "1 2 0x41"}) {
    const std::string text = std::string("bhvm-input 1\n0 0 41\n") + bad + "\n";
    EXPECT_THAT(parse_input_file(text, "f").error().message, HasSubstr("f, line 3")) << bad;
  }
  EXPECT_THAT(parse_input_file("bhvm-input 1\n5 5 41\n4 6 41\n", "f").error().message, HasSubstr("ascend"));
}

}  // namespace
}  // namespace bhvm::cli
