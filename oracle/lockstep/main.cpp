// bhvm-lockstep: a kernel's boot in QEMU and in bhvm, compared after every instruction.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/quantities.h"
#include "machine/file_io.h"
#include "oracle/lockstep/report.h"

namespace bhvm::lockstep {
namespace {

constexpr int kSame = 0;
constexpr int kDiverged = 1;
constexpr int kFailed = 2;

int fail(const std::string& message) {
  fmt::print(stderr, "bhvm-lockstep: {}\n", message);
  return kFailed;
}

/// The physical address of the PVH entry (Xen's x86/HVM direct boot ABI), which QEMU starts the kernel at.
Result<u64> pvh_entry(const ElfImage& kernel) {
  const auto pvh = kernel.find_symbol("pvh_start_xen");
  const auto start = kernel.find_symbol("startup_64");
  if (!pvh || !start) {
    return Error{"The kernel has no symbols pvh_start_xen and startup_64: build it with CONFIG_PVH=y, unstripped."};
  }
  return *pvh - *start + kernel.entry().value;
}

struct Texts {
  std::string instructions = "20M";
  std::string memory = "64M";
  std::string compare_ram = "2M";
  std::string json;
  bool quiet = false;
};

int run(RunOptions& options, const Texts& texts) {
  const auto instructions = cli::parse_count(texts.instructions);
  if (!instructions) return fail("--instructions: " + instructions.error().message);
  const auto memory = cli::parse_size_bytes(texts.memory);
  if (!memory) return fail("--memory: " + memory.error().message);
  const auto compare_ram = cli::parse_count(texts.compare_ram);
  if (!compare_ram) return fail("--compare-ram-every: " + compare_ram.error().message);
  options.instructions = instructions.value();
  options.qemu.memory_bytes = memory.value();
  options.compare_ram_every = compare_ram.value();
  auto kernel = ElfImage::open(options.qemu.kernel);
  if (!kernel) return fail(kernel.error().message);
  const auto entry = pvh_entry(kernel.value());
  if (!entry) return fail(entry.error().message);
  options.qemu.entry = entry.value();

  const bool terminal = isatty(STDERR_FILENO) != 0;
  LockstepRun lockstep(options, kernel.value());
  const Status status = lockstep.run([&](const RunReport& report) {
    if (texts.quiet || (!terminal && report.instructions % 1'000'000 >= 100'000)) return;
    fmt::print(stderr, "{}{:.1f} M instructions, {:.0f} s{}", terminal ? "\r" : "",
               static_cast<double>(report.instructions) / 1e6, report.seconds, terminal ? "\x1b[K" : "\n");
  });
  if (terminal && !texts.quiet) fmt::print(stderr, "\r\x1b[K");
  const RunReport& report = lockstep.report();
  const std::string error = status ? "" : status.error().message;
  fmt::print("{}{}{}", divergence_text(report), report.divergence ? "\n" : "", summary_text(report));
  if (!texts.json.empty()) {
    const std::string text = report_json(options, report, error);
    const std::span<const u8> bytes(reinterpret_cast<const u8*>(text.data()), text.size());
    if (Status written = write_file(texts.json, bytes, "report"); !written) return fail(written.error().message);
  }
  if (report.divergence) return kDiverged;
  if (!status) return fail(error);
  if (!report.ended_early.empty()) return fail("QEMU's log ended before the last instruction. " + report.ended_early);
  fmt::print("No unexplained divergence.\n");
  return kSame;
}

int main_(int argc, char** argv) {
  RunOptions options;
  Texts texts;
  options.qemu.append = "console=ttyS0 quiet tsc_early_khz=1000000";
  CLI::App app{"Boots a Linux kernel in QEMU and in bhvm and compares the two after every instruction.",
               "bhvm-lockstep"};
  app.add_option("--kernel", options.qemu.kernel, "vmlinux with a PVH entry and symbols")->required();
  app.add_option("--initrd", options.qemu.initrd, "Initial RAM disk");
  app.add_option("--append", options.qemu.append, "Kernel command line")->capture_default_str();
  app.add_option("--instructions", texts.instructions, "How many to compare")->capture_default_str();
  app.add_option("--memory", texts.memory, "Guest memory")->capture_default_str();
  app.add_option("--compare-ram-every", texts.compare_ram, "Compare all RAM about so often and at the end; 0: never")
      ->capture_default_str();
  app.add_flag("--fpu", options.qemu.fpu, "Compare x87 and SSE registers too; QEMU prints three times as much");
  app.add_option("--qemu", options.qemu.program, "QEMU's program")->capture_default_str();
  app.add_option("--json", texts.json, "Write the report here");
  app.add_flag("--quiet", texts.quiet, "No progress");
  app.footer(
      "Exit status: 0 no unexplained divergence, 1 a divergence, 2 bad usage, or QEMU is missing, dies or hangs.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kSame : kFailed;
  }
  return run(options, texts);
}

}  // namespace
}  // namespace bhvm::lockstep

int main(int argc, char** argv) { return bhvm::lockstep::main_(argc, argv); }
