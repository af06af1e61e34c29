#include "machine/input_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <thread>

#include "machine/file_io.h"

namespace bhvm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class InputFileTest : public testing::Test {
 protected:
  ~InputFileTest() override { std::filesystem::remove(path_); }
  const std::string path_ =
      (std::filesystem::temp_directory_path() / ("bhvm-input-file-" + std::to_string(getpid()))).string();
};

void expect_five_bytes(const InputFile& file) {
  EXPECT_EQ(file.size_bytes(), 5U);
  std::array<u8, 3> three{};
  EXPECT_TRUE(file.read_at(2, three));
  EXPECT_THAT(three, ElementsAre(3, 4, 5));
  EXPECT_FALSE(file.read_at(3, three));
  EXPECT_FALSE(file.read_at(~u64{0}, three));
  EXPECT_TRUE(file.read_at(5, {}));
}

TEST_F(InputFileTest, ReadsPiecesOfFilesAndOfBytes) {
  const std::vector<u8> bytes{1, 2, 3, 4, 5};
  expect_five_bytes(InputFile(bytes));
  ASSERT_TRUE(write_file(path_, bytes, "test file").ok());
  InputFile file = InputFile::open(path_, "test file").value();
  expect_five_bytes(file);
  const InputFile moved = std::move(file);
  expect_five_bytes(moved);
  ASSERT_EQ(truncate(path_.c_str(), 2), 0);
  std::array<u8, 3> three{};
  EXPECT_FALSE(moved.read_at(2, three));
}

TEST_F(InputFileTest, APipeIsReadAsAWhole) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  std::jthread writer([this] { EXPECT_TRUE(write_file(path_, std::vector<u8>{1, 2, 3, 4, 5}, "test file").ok()); });
  expect_five_bytes(InputFile::open(path_, "test file").value());
}

TEST_F(InputFileTest, FailuresAreSentences) {
  EXPECT_THAT(InputFile::open("/nonexistent", "kernel").error().message,
              HasSubstr("Cannot open the kernel /nonexistent: "));
  EXPECT_THAT(InputFile::open("/", "kernel").error().message, HasSubstr("directory"));
}

}  // namespace
}  // namespace bhvm
