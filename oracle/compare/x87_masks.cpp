#include "oracle/compare/explain.h"

namespace bhvm::oracle {

std::span<const MaskRow> x87_masks() { return {}; }

}  // namespace bhvm::oracle
