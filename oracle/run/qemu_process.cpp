#include "oracle/run/qemu_process.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "oracle/guest/guest_image.h"
#include "oracle/protocol.h"
#include "oracle/qemu/cpu_model.h"

namespace bhvm::oracle {
namespace {

Result<int> memory_file(const char* name) {
  const int fd = memfd_create(name, MFD_CLOEXEC);
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

}  // namespace

Result<std::unique_ptr<QemuProcess>> QemuProcess::start(const std::string& program) {
  std::unique_ptr<QemuProcess> process(new QemuProcess);
  for (const auto& [name, fd] :
       {std::pair{"the guest's RAM", &process->ram_fd_}, std::pair{"the guest program", &process->kernel_fd_}}) {
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

  const std::array<int, 2> keep{process->ram_fd_, process->kernel_fd_};
  const std::vector<std::string> words = arguments(program, process->ram_fd_, process->kernel_fd_);
  if (Status started = process->child_.start(words, keep); !started) return started.error();
  return process;
}

QemuProcess::~QemuProcess() {
  if (ram_ != nullptr) munmap(ram_, kGuestRamBytes);
  for (const int fd : {ram_fd_, kernel_fd_}) {
    if (fd >= 0) close(fd);
  }
}

}  // namespace bhvm::oracle
