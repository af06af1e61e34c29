#include "state/diff.h"

#include <fmt/format.h>

namespace bhvm::state_shape {

std::string hex_text(u64 value, unsigned bytes) { return fmt::format("{:#0{}x}", value, 2 + 2 * bytes); }

}  // namespace bhvm::state_shape
