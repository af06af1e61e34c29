// The guest of the end-to-end tests: the real kernel with the small initramfs, and what its init shall run.
//
// The files are named by BHVM_KERNEL and BHVM_INITRAMFS_TINY; a test without them skips itself with BHVM_NEEDS_GUEST.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "machine/file_io.h"
#include "machine/machine.h"

#define BHVM_NEEDS_GUEST                                                        \
  do {                                                                          \
    for (const char* name : {"BHVM_KERNEL", "BHVM_INITRAMFS_TINY"}) {           \
      const char* path = std::getenv(name);                                     \
      if (path == nullptr || *path == '\0') GTEST_SKIP() << name << " not set"; \
    }                                                                           \
  } while (false)

namespace bhvm::test {

/// A configuration that boots to `command`.
inline MachineConfig guest(const std::string& command, u64 seed = 0) {
  static const auto kernel = std::make_shared<const ElfImage>(ElfImage::open(std::getenv("BHVM_KERNEL")).value());
  static const auto initrd =
      std::make_shared<const std::vector<u8>>(read_file(std::getenv("BHVM_INITRAMFS_TINY"), "initrd").value());
  MachineConfig config;
  config.kernel = kernel;
  config.initrd = initrd;
  config.seed = seed;
  config.command_line = "quiet bhvm.command=\"" + command + "\"";
  return config;
}

inline std::unique_ptr<Machine> boot(const MachineConfig& config) {
  Result<std::unique_ptr<Machine>> machine = Machine::create(config);
  EXPECT_TRUE(machine.ok()) << machine.error().message;
  return std::move(machine).value();
}

/// A machine that writes its console into `text`, which must outlive it.
inline std::unique_ptr<Machine> boot(const MachineConfig& config, std::string& text) {
  std::unique_ptr<Machine> machine = boot(config);
  machine->set_console_output([&text](std::span<const u8> bytes) { text.append(bytes.begin(), bytes.end()); });
  return machine;
}

inline Stop run_to(Machine& machine, u64 instructions) {
  RunLimits limits;
  limits.instructions = instructions;
  return machine.run_until(limits);
}

inline Stop run_to_end(Machine& machine) { return run_to(machine, 20'000'000'000); }

/// A folder that goes away with the object.
class Folder {
 public:
  Folder() {
    std::string path = (std::filesystem::temp_directory_path() / "bhvm-end-to-end-XXXXXX").string();
    EXPECT_NE(mkdtemp(path.data()), nullptr);
    path_ = path;
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string file(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace bhvm::test
