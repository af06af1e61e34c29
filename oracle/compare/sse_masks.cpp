#include "oracle/compare/explain.h"

namespace bhvm::oracle {

std::span<const MaskRow> sse_masks() { return {}; }

}  // namespace bhvm::oracle
