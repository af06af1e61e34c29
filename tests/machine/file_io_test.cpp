#include "machine/file_io.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

namespace bhvm {
namespace {

using testing::HasSubstr;

TEST(FileIo, WritesWholeFilesOrNothing) {
  const auto directory = std::filesystem::temp_directory_path() / ("bhvm-file-io-" + std::to_string(getpid()));
  std::filesystem::create_directories(directory);
  const std::string path = (directory / "file").string();
  const std::vector<u8> bytes{1, 2, 3};
  ASSERT_TRUE(write_file(path, bytes, "test file").ok());
  EXPECT_EQ(read_file(path, "test file").value(), bytes);
  ASSERT_TRUE(write_file(path, {}, "test file").ok());
  EXPECT_TRUE(read_file(path, "test file").value().empty());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory), {}), 1) << "no temporary file is left";
  std::filesystem::remove_all(directory);
}

TEST(FileIo, FailuresAreSentences) {
  EXPECT_THAT(read_file("/nonexistent", "kernel").error().message, HasSubstr("Cannot open the kernel /nonexistent: "));
  EXPECT_THAT(read_file("/", "kernel").error().message, HasSubstr("directory"));
  EXPECT_THAT(write_file("/nonexistent/file", {}, "statistics file").error().message, HasSubstr("/nonexistent/file"));
  if (access("/dev/full", W_OK) == 0) {
    const std::vector<u8> bytes(10);
    EXPECT_THAT(write_file("/dev/full", bytes, "statistics file").error().message, HasSubstr("No space left"));
  }
}

}  // namespace
}  // namespace bhvm
