// Instructions that are done in rounds (REP): leaving between two rounds.
#pragma once

#include "cpu/handler.h"

namespace bhvm {

/// Leaves with RIP at the instruction itself. The round counts as one instruction, so that time passes.
BHVM_HANDLER(leave_for_another_round);

}  // namespace bhvm
