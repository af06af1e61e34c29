#include "cpu/flags.h"

namespace bhvm {

const u64 LazyFlags::kWideCarries = kCarryOut | kCarryIn | kAdjust;

}  // namespace bhvm
