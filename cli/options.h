// The command line of `bhvm`, parsed and checked. docs/CLI.md describes it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "cli/quantities.h"

namespace bhvm::cli {

struct RunOptions {
  std::string kernel;
  std::string initrd;
  std::vector<std::string> disks;
  std::string append;
  u64 memory_bytes = u64{256} << 20;
  u64 seed = 0;
  u64 machine_id = 0;
  Rate rate;
  u64 rtc_epoch_s = 1'700'000'000;
  u64 time_limit_ns = ~u64{0};
  u64 instruction_limit = ~u64{0};
  std::string load;  // snapshot to start from
  std::string save;  // snapshot to write at the end
  std::string console;
  std::string input;
  std::string record;
  std::string stats;
  std::string hashes;
  u64 hash_every = 0;  // 0: never
  bool no_stdin = false;
  bool quiet = false;
};

struct SimOptions {
  std::string scenario;
  std::optional<u64> seed;  // unset: the scenario's, here and below
  std::optional<u64> max_time_ns;
  std::optional<u64> hash_every_ns;
  unsigned jobs = 1;
  std::string out;  // folder; empty: nothing is written
  bool no_faults = false;
  bool quiet = false;
};

struct ReplayOptions {
  std::string folder;
  unsigned jobs = 1;
  bool quiet = false;
};

struct Options {
  enum class Command { kNone, kRun, kInfo, kSim, kReplay };
  Command command = Command::kNone;  // kNone: --help or --version, whose text is in `text`
  RunOptions run;
  SimOptions sim;
  ReplayOptions replay;
  std::string text;
};

/// An error is a sentence for standard error, to be followed by exit status 2.
Result<Options> parse_options(int argc, const char* const* argv);

}  // namespace bhvm::cli
