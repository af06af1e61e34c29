// A scenario file: TOML text -> cluster/scenario.h and recipes for what has to be made first (images, disks).
// docs/SCENARIO.md describes the format.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cluster/scenario.h"

namespace bhvm::cli {

/// What a node's root file system is made of. Exactly one of packages, folder and oci is given.
struct ImageRecipe {
  std::string name;
  std::vector<std::string> packages;                       // Debian packages; their dependencies come along
  std::string folder;                                      // a root file system
  std::string oci;                                         // an OCI image: a tar archive or a folder
  std::string tag;                                         // of the OCI image; empty: the only one
  std::vector<std::pair<std::string, std::string>> added;  // folders laid over it: from the host, to in the guest
  std::vector<std::string> programs;                       // C files, compiled into /usr/local/bin
  u64 size_bytes = 0;                                      // of the file system; 0: a quarter more than it needs
  std::string kernel;                                      // a vmlinux; empty: the project's
};

/// A data disk to be made: an empty file system. Disks that name an image file have no recipe.
struct DiskRecipe {
  u32 node = 0;
  u32 disk = 0;
  u64 size_bytes = 0;
};

struct ScenarioFile {
  std::string path;
  std::string text;
  /// Complete but for the paths of images and made disks.
  Scenario scenario;
  std::vector<ImageRecipe> images;  // one for each of scenario.images
  std::vector<DiskRecipe> disks;
};

/// Whether folders and files that a scenario names must be there: not when it is read again to repeat a run.
enum class HostFiles { kCheck, kIgnore };

/// Paths in the file are relative to its folder; in the result they stand as absolute ones. An error has a line for
/// each thing that is wrong, with file and line number.
Result<ScenarioFile> parse_scenario(const std::string& text, const std::string& path,
                                    HostFiles host_files = HostFiles::kCheck);
/// Leaves out the scenario's faults and its fault mix.
void remove_faults(Scenario& scenario);
Result<ScenarioFile> read_scenario(const std::string& path);

}  // namespace bhvm::cli
