// `bhvm run`: a machine between the user's files, the terminal and the clock on the wall.
#pragma once

#include "cli/options.h"

namespace bhvm::cli {

/// Runs to the end and returns the exit status; says on standard error what went wrong.
int run_command(const RunOptions& options);

}  // namespace bhvm::cli
