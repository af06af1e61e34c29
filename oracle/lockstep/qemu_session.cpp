#include "oracle/lockstep/qemu_session.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "oracle/lockstep/gdb_client.h"
#include "oracle/qemu_cpu_model.h"

namespace bhvm::lockstep {
namespace {

constexpr int kPipeBytes = 1 << 20;

std::string fd_path(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

[[noreturn]] void become(const std::vector<std::string>& words, std::span<const int> keep, int stderr_fd,
                         pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  for (const int fd : keep) fcntl(fd, F_SETFD, 0);
  dup2(stderr_fd, STDERR_FILENO);
  dup2(stderr_fd, STDOUT_FILENO);
  const int nothing = open("/dev/null", O_RDONLY);
  if (nothing >= 0) dup2(nothing, STDIN_FILENO);
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

std::vector<std::string> QemuSession::arguments(const QemuOptions& options, int ram_fd, int log_fd, int gdb_fd) {
  // bhvm's family and model, so that Linux takes the same ways; no ERMS, since REP STOSB prints a state for every byte.
  std::vector<std::string> words = {
      options.program,
      "-nodefaults",
      "-no-user-config",
      "-no-reboot",
      "-display",
      "none",
      "-serial",
      "null",
      "-monitor",
      "none",
      "-accel",
      "tcg,thread=single",
      "-cpu",
      oracle::qemu_cpu_model() + ",family=6,model=44,stepping=2,-erms",
      "-m",
      fmt::format("{}M", options.memory_bytes >> 20),
      "-object",
      fmt::format("memory-backend-file,id=ram,share=on,size={},mem-path={}", options.memory_bytes, fd_path(ram_fd)),
      "-machine",
      "microvm,memory-backend=ram,x-option-roms=off,isa-serial=on,acpi=off,rtc=on,pit=on,pic=on",
      "-icount",
      "shift=0,sleep=off",
      "-singlestep",
      "-S",
      "-chardev",
      fmt::format("socket,id=gdb,fd={}", gdb_fd),
      "-gdb",
      "chardev:gdb",
      "-D",
      fd_path(log_fd),
      "-kernel",
      options.kernel,
      "-append",
      options.append,
  };
  if (!options.initrd.empty()) words.insert(words.end(), {"-initrd", options.initrd});
  return words;
}

Status QemuSession::open_files(const QemuOptions& options, int& log_in, int& gdb_far) {
  ram_fd_ = memfd_create("bhvm-lockstep-ram", MFD_CLOEXEC);
  stderr_fd_ = memfd_create("bhvm-lockstep-messages", MFD_CLOEXEC);
  int log[2] = {-1, -1};
  int gdb[2] = {-1, -1};
  if (ram_fd_ < 0 || stderr_fd_ < 0 || pipe2(log, O_CLOEXEC) != 0 ||
      socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gdb) != 0) {
    return Error{fmt::format("The host gives no pipe or shared memory for QEMU ({}).", std::strerror(errno))};
  }
  log_fd_ = log[0];
  log_in = log[1];
  gdb_fd_ = gdb[0];
  gdb_far = gdb[1];
  fcntl(log_fd_, F_SETPIPE_SZ, kPipeBytes);  // a smaller pipe is slower, no more
  pipe_size_ = fcntl(log_fd_, F_GETPIPE_SZ);
  ram_size_ = options.memory_bytes;
  if (ftruncate(ram_fd_, static_cast<off_t>(ram_size_)) != 0) {
    return Error{fmt::format("The host has no {} MiB for QEMU's RAM ({}).", ram_size_ >> 20, std::strerror(errno))};
  }
  void* ram = mmap(nullptr, ram_size_, PROT_READ, MAP_SHARED, ram_fd_, 0);
  if (ram == MAP_FAILED) return Error{fmt::format("The host cannot map QEMU's RAM ({}).", std::strerror(errno))};
  ram_ = static_cast<u8*>(ram);
  return success();
}

Status QemuSession::reach_entry(const QemuOptions& options) {
  GdbClient gdb(gdb_fd_);
  if (Status run = gdb.run_to(options.entry); !run) return run;
  initial_ram_.assign(ram_, ram_ + ram_size_);
  auto firmware = gdb.read_memory(kFirmwareStart, kFirmwareEnd - kFirmwareStart);
  if (!firmware) return firmware.error();
  std::ranges::copy(firmware.value(), initial_ram_.begin() + kFirmwareStart);
  if (Status log = gdb.monitor(options.fpu ? "log cpu,int,nochain,fpu" : "log cpu,int,nochain"); !log) return log;
  return gdb.resume();
}

Result<std::unique_ptr<QemuSession>> QemuSession::start(const QemuOptions& options) {
  std::unique_ptr<QemuSession> session(new QemuSession);
  int log_in = -1;
  int gdb_far = -1;
  if (Status files = session->open_files(options, log_in, gdb_far); !files) return files.error();
  // Made before the fork: the child of a process with threads must not allocate.
  const auto words = arguments(options, session->ram_fd_, log_in, gdb_far);
  const std::array<int, 3> keep{session->ram_fd_, log_in, gdb_far};
  const pid_t parent = getpid();
  session->pid_ = fork();
  if (session->pid_ == 0) become(words, keep, session->stderr_fd_, parent);
  close(log_in);
  close(gdb_far);
  if (session->pid_ < 0) return Error{fmt::format("QEMU could not be started ({}).", std::strerror(errno))};
  if (Status entry = session->reach_entry(options); !entry) {
    return Error{
        fmt::format("QEMU did not reach the kernel's entry: {} {}", entry.error().message, session->epitaph())};
  }
  return session;
}

QemuSession::~QemuSession() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (ram_ != nullptr) munmap(ram_, ram_size_);
  for (const int fd : {ram_fd_, log_fd_, gdb_fd_, stderr_fd_}) {
    if (fd >= 0) close(fd);
  }
}

bool QemuSession::all_threads_sleep() const {
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid_), error)) {
    std::ifstream file(task.path() / "stat");
    std::string text;
    std::getline(file, text);
    const std::size_t name_end = text.rfind(") ");
    if (name_end == std::string::npos || text[name_end + 2] != 'S') return false;
  }
  return !error;
}

bool QemuSession::settled() const {
  int before = -1;
  for (int tries = 0; tries < 200; ++tries) {
    int now = 0;
    ioctl(log_fd_, FIONREAD, &now);
    // A write of less than a page goes into the pipe as a whole or not at all, so a full pipe has gaps.
    if (now == before && now > pipe_size_ / 2 && all_threads_sleep()) return true;
    before = now;
    usleep(5000);
  }
  return false;
}

std::string QemuSession::epitaph() {
  std::array<char, 2000> text{};
  if (pid_ > 0) {
    for (int tries = 0; tries < 20 && pid_ > 0; ++tries) {
      if (waitpid(pid_, &status_, WNOHANG) == pid_) {
        pid_ = -1;
      } else {
        usleep(10'000);
      }
    }
  }
  const ssize_t size = pread(stderr_fd_, text.data(), text.size() - 1, 0);
  std::string said(text.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!said.empty() && said.back() == '\n') said.pop_back();
  const std::string end = pid_ > 0               ? "is still running"
                          : WIFSIGNALED(status_) ? fmt::format("was ended by signal {}", WTERMSIG(status_))
                                                 : fmt::format("ended with status {}", WEXITSTATUS(status_));
  return said.empty() ? fmt::format("QEMU {} and said nothing.", end) : fmt::format("QEMU {} and said: {}", end, said);
}

}  // namespace bhvm::lockstep
