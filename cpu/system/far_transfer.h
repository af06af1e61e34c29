// Far transfers of control: JMP, CALL, RET and IRET (SDM 2; SDM 3, 5.8).
//
// Hardware task switches (JMP, CALL or IRET to a task) and virtual-8086 mode are unsupported.
#pragma once

#include "cpu/system_op.h"

namespace bhvm {

// Params::size is the operand size. JMP and CALL take their target from memory at cpu.scratch_address, or from the
// instruction: Params::value is the offset and Op::dst the selector.
bool far_jump(Cpu& cpu, const Op& op);
bool far_call(Cpu& cpu, const Op& op);
bool far_return(Cpu& cpu, const Op& op);        // Params::value: bytes of parameters to drop
bool interrupt_return(Cpu& cpu, const Op& op);  // IRET, IRETD, IRETQ

}  // namespace bhvm
