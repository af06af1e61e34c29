// Another program, run to its end, its standard output collected.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace bhvm::cli {

/// Runs `words` with standard error passed on and nothing on standard input. An error when it cannot be run, is killed
/// or ends with another status than 0.
Result<std::string> output_of(const std::vector<std::string>& words);

}  // namespace bhvm::cli
