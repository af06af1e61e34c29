#include "cli/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <thread>

namespace bhvm::cli {
namespace {

constexpr const char* kExamples = R"(
Examples:
  bhvm run --kernel vmlinux --initrd rootfs.cpio
  bhvm run --kernel vmlinux --disk root.img --append "root=/dev/vda ro" --memory 512M
  bhvm run --kernel vmlinux --initrd rootfs.cpio --seed 7 --max-time 60s --stats run.json < /dev/null
  bhvm run --kernel vmlinux --initrd rootfs.cpio --record session.txt
  bhvm run --kernel vmlinux --initrd rootfs.cpio --input session.txt --hash-every 100M --hashes hashes.txt

In a terminal, Ctrl-C ends the run, Ctrl-A X too, and Ctrl-A C sends the guest a Ctrl-C.
Exit status: the guest's own (exit port), 0 power-off, 2 bad usage or a failing host, 120 guest panic, 121 triple fault,
122 unsupported instruction, 123 limit reached, 124 halted for ever, 125 reset, 130 stopped by the user.)";

constexpr const char* kSimExamples = R"(
Examples:
  bhvm sim scenarios/redis-sentinel.toml
  bhvm sim scenarios/redis-sentinel.toml --seed 7 --out run7
  bhvm replay run7

docs/SCENARIO.md describes scenarios and what --out holds. Ctrl-C ends the run cleanly.
Exit status: 0 all properties held, 1 a property failed, 2 bad usage or a failing host, 130 stopped by the user.)";

constexpr const char* kReplayExamples = R"(
Exit status: 0 the same run, 1 another one, 2 it cannot be repeated, 130 stopped by the user.)";

// A value with a syntax of its own: parsed after CLI11, so that its complaint is the sentence the user reads.
template <class T>
struct Quantity {
  const char* option;
  std::string text;
  Result<T> (*parse)(const std::string&);
  T* value;
};

template <class T>
Status take(const Quantity<T>& quantity) {
  if (quantity.text.empty()) return success();
  Result<T> value = quantity.parse(quantity.text);
  if (!value) return Error{fmt::format("{}: {}", quantity.option, value.error().message)};
  *quantity.value = value.value();
  return success();
}

constexpr u64 kJobsMost = 256;

struct SimTexts {
  std::string seed, max_time, hash_every, jobs;
};

void add_sim_options(CLI::App& command, SimOptions& sim, SimTexts& texts) {
  command.footer(kSimExamples);
  command.add_option("scenario", sim.scenario, "Scenario file (TOML)")->type_name("FILE")->required();
  command.add_option("--seed", texts.seed, "Seed, instead of the scenario's")->type_name("N");
  command.add_option("--jobs", texts.jobs, "Threads [one for each of the host's processors]; the run is the same")
      ->type_name("N");
  command.add_option("--out", sim.out, "Folder for logs, capture, statistics and what repeats the run")
      ->type_name("DIR");
  command.add_option("--max-time", texts.max_time, "Virtual time that the run takes at most (60s)")->type_name("TIME");
  command.add_option("--hash-every", texts.hash_every, "Virtual time between two recorded state hashes (1s)")
      ->type_name("TIME");
  command.add_flag("--no-faults", sim.no_faults, "Leave out the scenario's faults and its fault mix");
  command.add_flag("--quiet", sim.quiet, "Only the closing lines");
}

void add_replay_options(CLI::App& command, ReplayOptions& replay, SimTexts& texts) {
  command.footer(kReplayExamples);
  command.add_option("folder", replay.folder, "Folder that bhvm sim --out wrote")->type_name("DIR")->required();
  command.add_option("--jobs", texts.jobs, "Threads [one for each of the host's processors]; the run is the same")
      ->type_name("N");
  command.add_flag("--quiet", replay.quiet, "Only the closing lines");
}

/// An option that was not given stays unset.
Status take_optional(const char* option, const std::string& text, Result<u64> (*parse)(const std::string&),
                     std::optional<u64>& value) {
  if (text.empty()) return success();
  u64 parsed = 0;
  if (Status status = take(Quantity<u64>{option, text, parse, &parsed}); !status) return status;
  value = parsed;
  return success();
}

Status take_jobs(const std::string& text, unsigned& jobs) {
  jobs = std::max(1U, std::thread::hardware_concurrency());
  if (text.empty()) return success();
  const Result<u64> value = parse_count(text);
  if (!value || value.value() < 1 || value.value() > kJobsMost) {
    return Error{fmt::format("--jobs: \"{}\" is no number of threads from 1 to {}.", text, kJobsMost)};
  }
  jobs = static_cast<unsigned>(value.value());
  return success();
}

}  // namespace

Result<Options> parse_options(int argc, const char* const* argv) {
  Options options;
  RunOptions& run = options.run;
  CLI::App app("bhvm, a deterministic x86-64 machine in software", "bhvm");
  app.set_version_flag("--version", "bhvm " BHVM_VERSION);
  app.require_subcommand(1);
  app.footer("See bhvm run --help for the options of a run, and docs/CLI.md for all of it.");

  CLI::App& info = *app.add_subcommand("info", "Describe the machine: CPU, devices, memory map");
  CLI::App& command = *app.add_subcommand("run", "Boot a kernel; its console is standard input and output");
  command.footer(kExamples);
  SimTexts texts;
  CLI::App& sim = *app.add_subcommand("sim", "Run a scenario: machines on a network, with faults and properties");
  add_sim_options(sim, options.sim, texts);
  CLI::App& replay = *app.add_subcommand("replay", "Repeat a run of bhvm sim and compare");
  add_replay_options(replay, options.replay, texts);

  Quantity<u64> quantities[] = {
      {"--memory", "", parse_size_bytes, &run.memory_bytes},
      {"--seed", "", parse_count, &run.seed},
      {"--machine-id", "", parse_count, &run.machine_id},
      {"--rtc-epoch", "", parse_count, &run.rtc_epoch_s},
      {"--max-time", "", parse_duration_ns, &run.time_limit_ns},
      {"--max-instructions", "", parse_count, &run.instruction_limit},
      {"--hash-every", "", parse_count, &run.hash_every},
  };
  Quantity<Rate> rate{"--rate", "", parse_rate, &run.rate};
  const auto add_quantity = [&](const char* name, const char* type, const char* help) {
    for (Quantity<u64>& quantity : quantities) {
      if (std::string_view(quantity.option) == name) command.add_option(name, quantity.text, help)->type_name(type);
    }
  };

  command.add_option("--kernel", run.kernel, "Kernel: an x86-64 vmlinux (ELF)")->type_name("FILE");
  command.add_option("--initrd", run.initrd, "Initial RAM disk")->type_name("FILE");
  command
      .add_option("--disk", run.disks, "Disk image (/dev/vda, then /dev/vdb, ...); the file is read and never written")
      ->type_name("FILE")
      ->expected(1)
      ->take_all();
  command.add_option("--append", run.append, "Kernel command line; console=ttyS0 is added unless it names a console")
      ->type_name("TEXT");
  add_quantity("--memory", "SIZE", "Guest memory [256M]");
  add_quantity("--seed", "N", "Seed of everything random in the machine [0]");
  add_quantity("--machine-id", "N", "Which machine of that seed this is [0]");
  command.add_option("--rate", rate.text, "Virtual nanoseconds per instruction, as N or N/M [1]")->type_name("NS");
  add_quantity("--rtc-epoch", "SECONDS", "The clock's date at power-on, in seconds since 1970 [1700000000]");
  add_quantity("--max-time", "TIME", "Stop at this virtual time (60s, 500ms)");
  add_quantity("--max-instructions", "N", "Stop after this many instructions (2000000, 500M)");
  command.add_option("--load", run.load, "Start from a snapshot file instead of power-on")->type_name("FILE");
  command.add_option("--save", run.save, "Write a snapshot file when the run ends")->type_name("FILE");
  command.add_option("--console", run.console, "Write the guest's console to a file instead of standard output")
      ->type_name("FILE");
  command.add_option("--input", run.input, "Replay console input recorded with --record; standard input is not read")
      ->type_name("FILE");
  command.add_option("--record", run.record, "Record console input with the instruction and time it arrived at")
      ->type_name("FILE");
  command.add_flag("--no-stdin", run.no_stdin, "Do not read standard input");
  command.add_option("--stats", run.stats, "Write statistics as JSON when the run ends")->type_name("FILE");
  add_quantity("--hash-every", "N", "Print \"instruction hash\" every N instructions");
  command.add_option("--hashes", run.hashes, "Where --hash-every prints [standard error]")->type_name("FILE");
  command.add_flag("--quiet", run.quiet, "No progress line and no closing line on standard error");

  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first.empty()) return Error{"Give a command, for example bhvm sim or bhvm run; see bhvm --help."};
  if (first[0] != '-' && first != "run" && first != "info" && first != "sim" && first != "replay") {
    return Error{
        fmt::format("\"{}\" is no command; the commands are sim, replay, run and info, see bhvm --help.", first)};
  }
  const auto parsed = [&]() -> CLI::App& {
    for (CLI::App* const one : {&command, &info, &sim, &replay}) {
      if (one->parsed()) return *one;
    }
    return app;
  };
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    options.text = parsed().help();
    return options;
  } catch (const CLI::CallForVersion& version) {
    options.text = std::string(version.what()) + "\n";
    return options;
  } catch (const CLI::ParseError& error) {
    std::string message = error.what();
    while (!message.empty() && (message.back() == '\n' || message.back() == '.')) message.pop_back();
    const std::string name = &parsed() == &app ? "" : " " + parsed().get_name();
    return Error{fmt::format("{}; see bhvm{} --help.", message, name)};
  }

  if (info.parsed()) {
    options.command = Options::Command::kInfo;
    return options;
  }
  if (sim.parsed()) {
    options.command = Options::Command::kSim;
    SimOptions& chosen = options.sim;
    for (const Status& status :
         {take_optional("--seed", texts.seed, parse_count, chosen.seed),
          take_optional("--max-time", texts.max_time, parse_duration_ns, chosen.max_time_ns),
          take_optional("--hash-every", texts.hash_every, parse_duration_ns, chosen.hash_every_ns),
          take_jobs(texts.jobs, chosen.jobs)}) {
      if (!status) return status.error();
    }
    return options;
  }
  if (replay.parsed()) {
    options.command = Options::Command::kReplay;
    if (Status status = take_jobs(texts.jobs, options.replay.jobs); !status) return status.error();
    return options;
  }
  options.command = Options::Command::kRun;
  for (const Quantity<u64>& quantity : quantities) {
    if (Status status = take(quantity); !status) return status.error();
  }
  if (Status status = take(rate); !status) return status.error();
  if (run.kernel.empty() && run.load.empty()) {
    return Error{"There is nothing to run: give --kernel FILE (a vmlinux) or --load FILE (a snapshot)."};
  }
  if (!run.hashes.empty() && run.hash_every == 0)
    return Error{"--hashes says where, but not how often: give --hash-every N too."};
  if (!run.input.empty() && !run.record.empty()) {
    return Error{"--input and --record exclude each other: a replayed run takes no other input."};
  }
  return options;
}

}  // namespace bhvm::cli
