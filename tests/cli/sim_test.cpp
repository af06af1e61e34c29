// `bhvm sim` and `bhvm replay` as a user meets them when something is wrong: no guest is needed for that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/cli/command.h"

namespace bhvm::test {
namespace {

using testing::HasSubstr;

std::vector<u8> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

TEST_F(CommandTest, AWrongScenarioIsStatusTwo) {
  const std::string path =
      write("s.toml", bytes_of("[images.a]\npackages = \"busybox-static\"\n[[node]]\nname = \"a\"\n"));
  const CommandResult result = bhvm({"sim", path});
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err, HasSubstr(path + ":3: \"node\" is no key of a scenario; did you mean \"nodes\"?"));
  EXPECT_EQ(bhvm({"sim", "/nonexistent.toml"}).status, 2);
  EXPECT_EQ(bhvm({"sim"}).status, 2);
}

TEST_F(CommandTest, AnotherFolderIsNotOverwritten) {
  std::filesystem::create_directories(path("full"));
  std::ofstream(path("full") + "/precious") << "data";
  const std::string scenario =
      write("s.toml", bytes_of("[images.a]\npackages = \"busybox-static\"\n[[nodes]]\nname = \"a\"\n"));
  const CommandResult result = bhvm({"sim", scenario, "--out", path("full")});
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err, HasSubstr("is neither empty nor the folder of an earlier run"));
  EXPECT_TRUE(std::filesystem::exists(path("full") + "/precious"));
}

TEST_F(CommandTest, ReplayWantsTheFolderOfARun) {
  EXPECT_THAT(bhvm({"replay", path("none")}).err, HasSubstr("There is no folder"));
  std::filesystem::create_directories(path("empty"));
  const CommandResult empty = bhvm({"replay", path("empty")});
  EXPECT_EQ(empty.status, 2);
  EXPECT_THAT(empty.err, HasSubstr("has no manifest.json"));
  std::ofstream(path("empty") + "/manifest.json") << "{\"format\": 1}";
  EXPECT_THAT(bhvm({"replay", path("empty")}).err, HasSubstr("is no manifest of a run"));
  std::ofstream(path("empty") + "/manifest.json") << "{\"format\": 99}";
  EXPECT_THAT(bhvm({"replay", path("empty")}).err, HasSubstr("has format 99"));
}

}  // namespace
}  // namespace bhvm::test
