// Segment registers and descriptor tables: loading, storing, probing (SDM 2; SDM 3, chapters 3 and 5).
#pragma once

#include "cpu/system/descriptors.h"
#include "cpu/system/operands.h"

namespace bhvm {

/// Loads ES, SS, DS, FS or GS as MOV does, with all checks.
bool load_segment(Cpu& cpu, SegmentIndex index, u16 selector);

// System functions (cpu/system_op.h).
bool mov_to_segment(Cpu& cpu, const Op& op);    // r/m16; number
bool mov_from_segment(Cpu& cpu, const Op& op);  // r/m; number
bool push_segment(Cpu& cpu, const Op& op);      // size, number
bool pop_segment(Cpu& cpu, const Op& op);
bool load_far_pointer(Cpu& cpu, const Op& op);  // LDS LES LFS LGS LSS: dst, number
bool lar(Cpu& cpu, const Op& op);               // dst, r/m16
bool lsl(Cpu& cpu, const Op& op);
bool verr(Cpu& cpu, const Op& op);
bool verw(Cpu& cpu, const Op& op);
bool arpl(Cpu& cpu, const Op& op);  // r/m16, dst is the source register
bool lldt(Cpu& cpu, const Op& op);
bool ltr(Cpu& cpu, const Op& op);
bool sldt(Cpu& cpu, const Op& op);
bool str(Cpu& cpu, const Op& op);
bool lgdt(Cpu& cpu, const Op& op);  // size: 8, 4 or 2 (24-bit base)
bool lidt(Cpu& cpu, const Op& op);
bool sgdt(Cpu& cpu, const Op& op);
bool sidt(Cpu& cpu, const Op& op);

}  // namespace bhvm
