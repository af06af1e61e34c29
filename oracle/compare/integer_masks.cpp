#include "oracle/compare/explain.h"

namespace bhvm::oracle {

std::span<const MaskRow> integer_masks() { return {}; }

}  // namespace bhvm::oracle
