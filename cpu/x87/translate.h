// The x87 instructions, EMMS, and the instructions that save and restore the FPU's and SSE's state.
#pragma once

#include "cpu/block_builder.h"

namespace bhvm {

/// Adds the group to the table.
void register_x87(TranslatorTable& table);

}  // namespace bhvm
