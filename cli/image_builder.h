// Makes what a scenario's nodes boot: kernel, root file systems and data disks, by guest/rootfs/build and
// kernel-config/build, which keep what they made in a cache.
#pragma once

#include "base/hash.h"
#include "base/result.h"
#include "cli/scenario_file.h"

namespace bhvm::cli {

/// Fills in the paths of kernels, images and disks. What is not in the cache is made first, which takes seconds (a root
/// file system) to minutes (the kernel); it says on standard error what it does.
Status build_images(ScenarioFile& file);

/// The hash of a file's content.
Result<Hash128> hash_file(const std::string& path);

}  // namespace bhvm::cli
