// RDRAND and RDSEED: the machine's entropy stream, never exhausted (SDM 1, 7.3.17).
#pragma once

#include "cpu/system_op.h"

namespace bhvm {

bool random_number(Cpu& cpu, const Op& op);  // dst; size. CF = 1, the other arithmetic flags 0

}  // namespace bhvm
