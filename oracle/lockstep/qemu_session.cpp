#include "oracle/lockstep/qemu_session.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "oracle/lockstep/gdb_client.h"
#include "oracle/qemu/cpu_model.h"

namespace bhvm::lockstep {
namespace {

constexpr int kPipeBytes = 1 << 20;

std::string fd_path(int fd) { return fmt::format("/proc/self/fd/{}", fd); }

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
  int log[2] = {-1, -1};
  int gdb[2] = {-1, -1};
  if (ram_fd_ < 0 || pipe2(log, O_CLOEXEC) != 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gdb) != 0) {
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
  const auto words = arguments(options, session->ram_fd_, log_in, gdb_far);
  const std::array<int, 3> keep{session->ram_fd_, log_in, gdb_far};
  const Status started = session->child_.start(words, keep);
  close(log_in);
  close(gdb_far);
  if (!started) return started.error();
  if (Status entry = session->reach_entry(options); !entry) {
    return Error{
        fmt::format("QEMU did not reach the kernel's entry: {} {}", entry.error().message, session->epitaph())};
  }
  return session;
}

QemuSession::~QemuSession() {
  if (ram_ != nullptr) munmap(ram_, ram_size_);
  for (const int fd : {ram_fd_, log_fd_, gdb_fd_}) {
    if (fd >= 0) close(fd);
  }
}

bool QemuSession::all_threads_sleep() const {
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator(fmt::format("/proc/{}/task", child_.pid()), error)) {
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
  for (int tries = 0; tries < 20 && child_.alive(); ++tries) usleep(10'000);  // it may be about to end
  return child_.epitaph();
}

}  // namespace bhvm::lockstep
