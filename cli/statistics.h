// What a run cost and how it ended: the closing line and the JSON file of --stats.
#pragma once

#include <string>

#include "base/types.h"
#include "cli/options.h"
#include "machine/machine_config.h"

namespace bhvm::cli {

struct RunReport {
  Stop stop;
  int exit_status = 0;
  MachineStatistics machine;
  u64 instructions_at_start = 0;  // not 0 when the run began from a snapshot
  double wall_s = 0;
  double cpu_s = 0;
  std::string state_hash;
  std::string command_line;
  u64 memory_bytes = 0;
  u64 memory_touched_bytes = 0;  // guest memory that was written, in whole pages
  u64 seed = 0;
  u64 machine_id = 0;
  u64 console_bytes = 0;

  /// Millions of instructions retired per second of host CPU time.
  double mips() const;
};

/// The exit status for a stop; docs/CLI.md has the table.
int exit_status_of(const Stop& stop);
std::string to_json(const RunReport& report);
std::string closing_line(const RunReport& report);

}  // namespace bhvm::cli
