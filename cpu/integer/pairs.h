// Two ops with one dispatch between them and the next.
#pragma once

#include <span>

#include "cpu/op.h"

namespace bhvm::integer {

/// Where two of the most frequent ops follow each other, gives the first one a handler that does both. The second one
/// stays as it is, for a fault in it and for whoever comes to it alone. To be called last on a block's ops, data among
/// them included (their handler is nullptr).
void pair_ops(std::span<Op> ops);

}  // namespace bhvm::integer
