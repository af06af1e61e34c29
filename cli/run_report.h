// What remains of a run: stats.json, the state hash, and the last lines for a person.
#pragma once

#include <string>
#include <vector>

#include "cli/run_log.h"
#include "cluster/cluster.h"

namespace bhvm::cli {

/// What a run cost on the host; no part of its outcome.
struct RunCost {
  double image_s = 0;  // making or finding the images
  double boot_s = 0;   // of wall time, for the templates
  double run_s = 0;    // of wall time
  double cpu_s = 0;    // of processor time, for the run without the boot
  u64 peak_memory_bytes = 0;
  unsigned jobs = 1;
};

std::string to_json(const Scenario& scenario, const ClusterResult& result, const RunCost& cost, u64 boot_ns,
                    std::size_t templates, const NodeNames& names);

/// `repeat` is the command that repeats the run.
std::string closing_lines(const Scenario& scenario, const ClusterResult& result, const RunCost& cost,
                          const NodeNames& names, const std::string& repeat);

}  // namespace bhvm::cli
