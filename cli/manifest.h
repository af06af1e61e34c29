// manifest.json: everything that is needed to repeat a run, and how it ended.
#pragma once

#include <string>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "cli/scenario_file.h"
#include "cluster/cluster.h"

namespace bhvm::cli {

struct ManifestFile {
  std::string role;  // "image redis: root disk"; a file's place in the scenario, and the same in every run of it
  std::string path;
  std::string hash;  // of its content
};

struct Manifest {
  std::string version;        // of bhvm
  std::string binary_hash;    // of the command itself
  std::string scenario_path;  // where the scenario lay
  u64 seed = 0;
  u64 max_time_ns = 0;
  u64 hash_every_ns = 0;
  bool no_faults = false;
  std::vector<ManifestFile> files;
  std::string end;
  u64 end_ns = 0;
  bool ok = false;
  std::string state_hash;
};

/// The scenario's files with their hashes; their paths must be filled in.
Result<std::vector<ManifestFile>> files_of(const ScenarioFile& file);
/// Sets the paths of the scenario's files from a manifest's. False when that does not name all of them.
bool use_files(const std::vector<ManifestFile>& files, ScenarioFile& file);
/// The hash of the running command.
Result<std::string> own_hash();

std::string to_json(const Manifest& manifest, const Scenario& scenario, const Cluster& cluster,
                    const std::string& repeat);
Result<Manifest> parse_manifest(const std::string& text, const std::string& path);

}  // namespace bhvm::cli
