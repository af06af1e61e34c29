// `bhvm sim`: runs a scenario.
#pragma once

#include "cli/options.h"

namespace bhvm::cli {

/// Returns the exit status: 0 all properties held, 1 one failed, 2 bad usage or a host that fails, 130 stopped by the
/// user.
int sim_command(const SimOptions& options);

}  // namespace bhvm::cli
