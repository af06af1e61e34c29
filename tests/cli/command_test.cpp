#include "tests/cli/command.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

extern char** environ;

namespace bhvm::test {

void CommandTest::SetUp() {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  directory_ = std::filesystem::temp_directory_path() / ("bhvm-cli-" + std::to_string(getpid()) + "-" + info->name());
  std::filesystem::create_directories(directory_);
}

void CommandTest::TearDown() { std::filesystem::remove_all(directory_); }

std::string CommandTest::write(const std::string& name, const std::vector<u8>& bytes) const {
  std::ofstream(path(name), std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return path(name);
}

std::string CommandTest::read(const std::string& name) const {
  std::stringstream text;
  text << std::ifstream(path(name), std::ios::binary).rdbuf();
  return text.str();
}

CommandResult CommandTest::bhvm(const std::vector<std::string>& arguments, const std::string& input,
                                const std::string& redirect_out) const {
  std::vector<std::string> words{BHVM_COMMAND};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  write("stdin", {input.begin(), input.end()});
  const std::string out = redirect_out.empty() ? path("stdout") : redirect_out;

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, path("stdin").c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  posix_spawn_file_actions_addopen(&actions, 2, path("stderr").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  pid_t child = 0;
  EXPECT_EQ(posix_spawn(&child, BHVM_COMMAND, &actions, nullptr, argv.data(), environ), 0);
  posix_spawn_file_actions_destroy(&actions);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  CommandResult result;
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.out = redirect_out.empty() ? read("stdout") : std::string();
  result.err = read("stderr");
  return result;
}

CommandResult CommandTest::run(const Code& code, std::vector<std::string> arguments, const std::string& input) const {
  arguments.insert(arguments.begin(), {"run", "--kernel", kernel(code), "--memory", "64M"});
  return bhvm(arguments, input);
}

using testing::HasSubstr;

/// What every complaint is: one line on standard error that begins with "bhvm: ", nothing on standard output, status 2.
void expect_complaint(const CommandResult& result, const std::string& part) {
  EXPECT_EQ(result.status, 2) << result.err;
  EXPECT_EQ(result.out, "");
  EXPECT_EQ(result.err.rfind("bhvm: ", 0), 0u) << result.err;
  EXPECT_THAT(result.err, HasSubstr(part));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
}

TEST_F(CommandTest, HelpVersionAndInfo) {
  const CommandResult help = bhvm({"run", "--help"});
  EXPECT_EQ(help.status, 0);
  EXPECT_THAT(help.out, HasSubstr("--kernel"));
  EXPECT_THAT(help.out, HasSubstr("Examples:"));
  EXPECT_EQ(bhvm({"--help"}).status, 0);
  EXPECT_THAT(bhvm({"--version"}).out, testing::MatchesRegex("bhvm [0-9.]+\n"));
  const CommandResult info = bhvm({"info"});
  EXPECT_EQ(info.status, 0);
  EXPECT_THAT(info.out, HasSubstr("local APIC"));
  EXPECT_THAT(info.out, HasSubstr("GenuineIntel"));
}

TEST_F(CommandTest, EveryMistakeIsOneSentence) {
  const std::string good = kernel(spin());
  expect_complaint(bhvm({}), "Give a command");
  expect_complaint(bhvm({"walk"}), "walk");
  expect_complaint(bhvm({"run"}), "--kernel");
  expect_complaint(bhvm({"run", "--kernel"}), "--kernel");
  expect_complaint(bhvm({"run", "--kernel", good, "--nonsense"}), "--nonsense");
  expect_complaint(bhvm({"run", "--kernel", path("missing")}), "missing: No such file");
  expect_complaint(bhvm({"run", "--kernel", "/"}), "directory");
  expect_complaint(bhvm({"run", "--kernel", write("text", {'h', 'i'})}), "not an ELF file");
  expect_complaint(bhvm({"run", "--kernel", good, "--initrd", path("missing")}), "initrd");
  expect_complaint(bhvm({"run", "--kernel", good, "--disk", path("missing")}), "missing");
  expect_complaint(bhvm({"run", "--kernel", good, "--memory", "lots"}), "--memory: \"lots\" is not a size");
  expect_complaint(bhvm({"run", "--kernel", good, "--memory", "0"}), "");
  expect_complaint(bhvm({"run", "--kernel", good, "--memory", "4K"}), "too little");
  expect_complaint(bhvm({"run", "--kernel", good, "--memory", "1000G"}), "");
  expect_complaint(bhvm({"run", "--kernel", good, "--memory", "8M"}), "more memory");
  expect_complaint(bhvm({"run", "--kernel", good, "--seed", "-1"}), "--seed");
  expect_complaint(bhvm({"run", "--kernel", good, "--rate", "0"}), "--rate");
  expect_complaint(bhvm({"run", "--kernel", good, "--max-time", "soon"}), "--max-time");
  expect_complaint(bhvm({"run", "--kernel", good, "--append", std::string(3000, 'x')}), "2047");
  expect_complaint(bhvm({"run", "--kernel", good, "--hashes", path("h")}), "--hash-every");
  expect_complaint(bhvm({"run", "--kernel", good, "--input", path("a"), "--record", path("b")}), "exclude");
  expect_complaint(bhvm({"run", "--kernel", good, "--input", write("in", {'x'})}), "no recorded console input");
  expect_complaint(bhvm({"run", "--kernel", good, "--console", path("no/such/file")}), "console file");
  expect_complaint(bhvm({"run", "--load", path("missing")}), "missing");
  expect_complaint(bhvm({"run", "--load", good}), "no snapshot");
}

TEST_F(CommandTest, AFullDiskIsASentenceAndLeavesNothingHalfWritten) {
  if (access("/dev/full", W_OK) != 0) GTEST_SKIP() << "/dev/full is missing";
  const std::string guest = kernel(join({print("x"), exit_with(0), spin()}));
  const CommandResult console = bhvm({"run", "--kernel", guest, "--quiet"}, {}, "/dev/full");
  EXPECT_EQ(console.status, 2);
  EXPECT_EQ(console.err, "bhvm: Cannot write to standard output: No space left on device.\n");
  const CommandResult stats = bhvm({"run", "--kernel", guest, "--quiet", "--stats", "/dev/full"});
  EXPECT_EQ(stats.status, 2);
  EXPECT_THAT(stats.err, HasSubstr("Cannot write the statistics file /dev/full: No space left on device."));
  EXPECT_EQ(bhvm({"info"}, {}, "/dev/full").status, 2);
  EXPECT_EQ(bhvm({"run", "--help"}, {}, "/dev/full").status, 2);
}

}  // namespace bhvm::test
