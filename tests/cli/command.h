// The bhvm command as a child process, its output collected.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/types.h"
#include "tests/machine/guest_code.h"

namespace bhvm::test {

struct CommandResult {
  int status = -1;  // exit status, or 128 + signal
  std::string out;
  std::string err;
};

/// A temporary directory for each test, and the command run in it.
class CommandTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  std::string write(const std::string& name, const std::vector<u8>& bytes) const;
  std::string read(const std::string& name) const;
  std::string kernel(const Code& code) const { return write("kernel", kernel_of(code)); }

  /// Runs `bhvm` with the arguments; standard input holds `input`. `redirect_out` replaces standard output.
  CommandResult bhvm(const std::vector<std::string>& arguments, const std::string& input = {},
                     const std::string& redirect_out = {}) const;
  /// `bhvm run` of a kernel made of `code`, with further arguments.
  CommandResult run(const Code& code, std::vector<std::string> arguments = {}, const std::string& input = {}) const;

 private:
  std::filesystem::path directory_;
};

}  // namespace bhvm::test
