// CLI STI PUSHF POPF STAC CLAC: the flags that system software keeps (SDM 2).
//
// The forms that a kernel executes all the time stay inside their block; they hand over to the system function when
// what they change is seen outside (an interrupt that waits, TF, AC).
#pragma once

#include "cpu/system_op.h"

namespace bhvm {

bool cli(Cpu& cpu, const Op& op);
bool sti(Cpu& cpu, const Op& op);
bool pushf(Cpu& cpu, const Op& op);  // Params::size
bool popf(Cpu& cpu, const Op& op);

// Op::disp is the instruction's length, Op::imm the Params of the system function.
BHVM_HANDLER(cli_inline);
BHVM_HANDLER(sti_inline);
BHVM_HANDLER(pushf64_inline);
BHVM_HANDLER(popf64_inline);
BHVM_HANDLER(stac);
BHVM_HANDLER(clac);

}  // namespace bhvm
