#include "oracle/compare/explain.h"

namespace bhvm::oracle {

std::span<const MaskRow> native_masks() { return {}; }

}  // namespace bhvm::oracle
