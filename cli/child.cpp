#include "cli/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

extern "C" char** environ;

namespace bhvm::cli {

Result<std::string> output_of(const std::vector<std::string>& words) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) {
    return Error{fmt::format("No pipe to {} can be made: {}.", words[0], std::strerror(errno))};
  }
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
  pid_t child = -1;
  const int failed = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(pipe_ends[1]);
  std::string text;
  if (failed == 0) {
    std::array<char, 4096> bytes;
    for (;;) {
      const ssize_t got = read(pipe_ends[0], bytes.data(), bytes.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) break;
      text.append(bytes.data(), static_cast<std::size_t>(got));
    }
  }
  close(pipe_ends[0]);
  if (failed != 0) return Error{fmt::format("{} cannot be run: {}.", words[0], std::strerror(failed))};
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFSIGNALED(status)) return Error{fmt::format("{} was killed by signal {}.", words[0], WTERMSIG(status))};
  if (WEXITSTATUS(status) != 0) return Error{fmt::format("{} failed; what it said stands above.", words[0])};
  return text;
}

}  // namespace bhvm::cli
