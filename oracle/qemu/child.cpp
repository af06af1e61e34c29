#include "oracle/qemu/child.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace bhvm::oracle {
namespace {

[[noreturn]] void become(std::span<char* const> argv, const std::string& missing, std::span<const int> keep,
                         int messages_fd, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  for (const int fd : keep) fcntl(fd, F_SETFD, 0);
  dup2(messages_fd, STDERR_FILENO);
  dup2(messages_fd, STDOUT_FILENO);
  const int nothing = open("/dev/null", O_RDONLY);
  if (nothing >= 0) dup2(nothing, STDIN_FILENO);
  execvp(argv[0], argv.data());
  if (write(STDERR_FILENO, missing.data(), missing.size()) < 0) _exit(126);
  _exit(127);
}

}  // namespace

QemuChild::~QemuChild() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (messages_fd_ >= 0) close(messages_fd_);
}

Status QemuChild::start(const std::vector<std::string>& words, std::span<const int> keep) {
  messages_fd_ = memfd_create("QEMU's messages", MFD_CLOEXEC);
  if (messages_fd_ < 0) {
    return Error{fmt::format("The host has no memory for QEMU's messages ({}).", std::strerror(errno))};
  }
  // Made before the fork: the child of a process with threads must not allocate.
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const std::string missing =
      fmt::format("'{}' cannot be run; install the Debian package qemu-system-x86.\n", words[0]);
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) return Error{fmt::format("QEMU could not be started ({}).", std::strerror(errno))};
  if (pid_ == 0) become(argv, missing, keep, messages_fd_, parent);
  return success();
}

bool QemuChild::alive() {
  if (pid_ <= 0) return false;
  if (waitpid(pid_, &status_, WNOHANG) != pid_) return true;
  pid_ = -1;
  return false;
}

std::string QemuChild::epitaph() {
  std::array<char, 2000> text{};
  const ssize_t size = pread(messages_fd_, text.data(), text.size() - 1, 0);
  std::string said(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!said.empty() && said.back() == '\n') said.pop_back();
  const std::string end = alive()                ? "is still running"
                          : WIFSIGNALED(status_) ? fmt::format("was ended by signal {}", WTERMSIG(status_))
                                                 : fmt::format("ended with status {}", WEXITSTATUS(status_));
  return said.empty() ? fmt::format("QEMU {} and said nothing.", end) : fmt::format("QEMU {} and said: {}", end, said);
}

}  // namespace bhvm::oracle
