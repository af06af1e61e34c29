#include "oracle/run/qemu_process.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "oracle/guest/guest_image.h"
#include "oracle/protocol.h"
#include "oracle/qemu_cpu_model.h"

namespace bhvm::oracle {
namespace {

Result<int> memory_file(const char* name) {
  const int fd = memfd_create(name, 0);
  if (fd < 0) return Error{fmt::format("The host gave no shared memory for {} ({}).", name, std::strerror(errno))};
  return fd;
}

std::string fd_path(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

std::vector<std::string> arguments(const std::string& program, int ram_fd, int kernel_fd) {
  return {
      program,
      "-nodefaults",
      "-no-user-config",
      "-display",
      "none",
      "-serial",
      "none",
      "-monitor",
      "none",
      "-accel",
      "tcg,thread=single,tb-size=64",
      "-cpu",
      qemu_cpu_model(),
      "-m",
      fmt::format("{}M", kGuestRamBytes >> 20),
      "-object",
      fmt::format("memory-backend-file,id=ram,share=on,size={}M,mem-path={}", kGuestRamBytes >> 20, fd_path(ram_fd)),
      "-machine",
      "microvm,memory-backend=ram,x-option-roms=off,isa-serial=off,acpi=off,rtc=off,pit=off,pic=off",
      "-kernel",
      fd_path(kernel_fd),
  };
}

[[noreturn]] void become(const std::vector<std::string>& words, int stderr_fd, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  dup2(stderr_fd, STDERR_FILENO);
  dup2(stderr_fd, STDOUT_FILENO);
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  execvp(argv[0], argv.data());
  const std::string message = fmt::format("'{}' cannot be run ({}); install the Debian package qemu-system-x86.\n",
                                          words[0], std::strerror(errno));
  if (write(STDERR_FILENO, message.data(), message.size()) < 0) _exit(126);
  _exit(127);
}

}  // namespace

Result<std::unique_ptr<QemuProcess>> QemuProcess::start(const std::string& program) {
  std::unique_ptr<QemuProcess> process(new QemuProcess);
  for (const auto& [name, fd] :
       {std::pair{"the guest's RAM", &process->ram_fd_}, std::pair{"the guest program", &process->kernel_fd_},
        std::pair{"QEMU's messages", &process->stderr_fd_}}) {
    auto file = memory_file(name);
    if (!file) return file.error();
    *fd = file.value();
  }
  const std::span<const u8> image = guest_image();
  if (ftruncate(process->ram_fd_, static_cast<off_t>(kGuestRamBytes)) != 0 ||
      write(process->kernel_fd_, image.data(), image.size()) != static_cast<ssize_t>(image.size())) {
    return Error{fmt::format("The host has no memory for QEMU's guest ({}).", std::strerror(errno))};
  }
  void* ram = mmap(nullptr, kGuestRamBytes, PROT_READ | PROT_WRITE, MAP_SHARED, process->ram_fd_, 0);
  if (ram == MAP_FAILED) return Error{fmt::format("The host cannot map QEMU's RAM ({}).", std::strerror(errno))};
  process->ram_ = static_cast<u8*>(ram);

  // Made before the fork: the child of a process with threads must not allocate.
  const std::vector<std::string> words = arguments(program, process->ram_fd_, process->kernel_fd_);
  const pid_t parent = getpid();
  process->pid_ = fork();
  if (process->pid_ < 0) return Error{fmt::format("QEMU could not be started ({}).", std::strerror(errno))};
  if (process->pid_ == 0) become(words, process->stderr_fd_, parent);
  return process;
}

QemuProcess::~QemuProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (ram_ != nullptr) munmap(ram_, kGuestRamBytes);
  for (const int fd : {ram_fd_, kernel_fd_, stderr_fd_}) {
    if (fd >= 0) close(fd);
  }
}

bool QemuProcess::alive() {
  if (pid_ <= 0) return false;
  if (waitpid(pid_, &status_, WNOHANG) != pid_) return true;
  pid_ = -1;
  return false;
}

std::string QemuProcess::epitaph() {
  std::array<char, 2000> text{};
  const ssize_t size = pread(stderr_fd_, text.data(), text.size() - 1, 0);
  std::string said(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!said.empty() && said.back() == '\n') said.pop_back();
  const std::string end = pid_ > 0               ? "is still running"
                          : WIFSIGNALED(status_) ? fmt::format("was ended by signal {}", WTERMSIG(status_))
                                                 : fmt::format("ended with status {}", WEXITSTATUS(status_));
  return said.empty() ? fmt::format("QEMU {} and said nothing.", end) : fmt::format("QEMU {} and said: {}", end, said);
}

}  // namespace bhvm::oracle
