// `bhvm replay DIR`: repeats a run of `bhvm sim --out DIR` and says whether it was the same.
#pragma once

#include "cli/options.h"

namespace bhvm::cli {

/// Returns the exit status: 0 the same run, 1 another one, 2 it cannot be repeated, 130 stopped by the user.
int replay_command(const ReplayOptions& options);

}  // namespace bhvm::cli
