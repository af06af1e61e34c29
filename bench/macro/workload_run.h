// Runs one workload of bench/workloads in a machine and measures it between the two lines that it prints.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace bhvm::bench {

/// `boot` is measured as a whole, from power-on to power-off.
inline constexpr std::array<std::string_view, 14> kWorkloads = {"boot",    "integer",  "float", "python", "awk",
                                                                "shell",   "syscalls", "ext4",  "gzip",   "zstd",
                                                                "openssl", "sqlite",   "gcc",   "redis"};

struct WorkloadImages {
  std::string kernel;
  std::string disk;  // of `guest/build-image bench.ext4`
};

struct WorkloadResult {
  std::string output;                // the lines from "begin" to "end"
  std::uint64_t instructions = 0;    // retired in between
  std::uint64_t rep_iterations = 0;  // of REP instructions in between, counted apart
  double cpu_s = 0;                  // of this process in between
  double wall_s = 0;
  std::uint64_t total_instructions = 0;  // power-on to power-off
  double total_cpu_s = 0;

  double mips() const { return static_cast<double>(instructions) / cpu_s / 1e6; }
};

/// Throws bhvm::VmError when an image is wrong, or std::runtime_error when the workload did not come to its end.
WorkloadResult run_workload(const WorkloadImages& images, std::string_view name, std::string_view argument = "");

}  // namespace bhvm::bench
