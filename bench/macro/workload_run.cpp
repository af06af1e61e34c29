#include "bench/macro/workload_run.h"

#include <ctime>
#include <stdexcept>
#include <string>

#include "bhvm/bhvm.h"

namespace bhvm::bench {
namespace {

double seconds_of(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// What has been counted and spent so far.
struct Reading {
  double cpu_s = seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  double wall_s = seconds_of(CLOCK_MONOTONIC);
  VmStatistics statistics;
};

/// A workload is the command of bhvm's init. `boot` is the disk's own one, which has a service that does the rest; no
/// login on the console, for what is printed there is compared.
std::string command_line(std::string_view name, std::string_view argument) {
  std::string line = "quiet root=/dev/vda rw ";
  if (name == "boot") return line + "init=/sbin/init systemd.getty_auto=no";
  line.append("init=/sbin/bhvm-init bhvm.command=\"/workloads/run ").append(name);
  if (!argument.empty()) line.append(" ").append(argument);
  return line + "\"";
}

}  // namespace

WorkloadResult run_workload(const WorkloadImages& images, std::string_view name, std::string_view argument) {
  const Reading start;
  VmConfig config;
  config.kernel = images.kernel;
  config.disks = {images.disk};
  config.memory_bytes = std::uint64_t{512} << 20;
  config.command_line = command_line(name, argument);
  Vm vm(config);

  const std::string begin = "workload " + std::string(name) + ": begin";
  const std::string end = "workload " + std::string(name) + ": end";
  WorkloadResult result;
  Reading first, last;
  bool running = false, done = false;
  std::string line;
  const auto take_line = [&] {
    if (line == begin) {
      running = true;
      first = {.statistics = vm.statistics()};
    }
    if (running) result.output.append(line).append("\n");
    if (line == end) {
      last = {.statistics = vm.statistics()};
      running = false;
      done = true;
    }
    line.clear();
  };
  vm.on_console([&](std::string_view text) {
    for (const char c : text) {
      if (c == '\n') {
        take_line();
      } else if (c != '\r') {
        line += c;
      }
    }
  });
  const VmStop stop = vm.run();
  if (stop.reason != VmStopReason::kPowerOff || !done) {
    throw std::runtime_error("The workload " + std::string(name) + " ended by " + std::string(to_string(stop.reason)) +
                             ": " + stop.message + "\n" + result.output + line);
  }
  const Reading finish{.statistics = vm.statistics()};
  if (name == "boot") {
    first = start;
    last = finish;
  }
  result.instructions = last.statistics.instructions - first.statistics.instructions;
  result.rep_iterations = last.statistics.rep_iterations - first.statistics.rep_iterations;
  result.cpu_s = last.cpu_s - first.cpu_s;
  result.wall_s = last.wall_s - first.wall_s;
  result.total_instructions = finish.statistics.instructions;
  result.total_cpu_s = finish.cpu_s - start.cpu_s;
  return result;
}

}  // namespace bhvm::bench
