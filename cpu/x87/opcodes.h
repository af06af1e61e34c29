// The x87 opcode map: escape opcodes D8 to DF by ModRM (SDM 2, appendix A.5), undocumented aliases included.
#pragma once

#include "cpu/op.h"

namespace bhvm::x87 {

struct Opcode {
  enum class Kind : u8 {
    kNone,    // no such instruction
    kPlain,   // an op
    kFlags,   // an op that writes the six arithmetic flags
    kSystem,  // a system instruction
  };
  Kind kind = Kind::kNone;
  Handler handler = nullptr;
  u16 variant = 0;  // Op::src
};

/// `escape`: low three bits of the opcode byte.
Opcode memory_opcode(unsigned escape, unsigned reg);
Opcode register_opcode(unsigned escape, unsigned reg, unsigned rm);

}  // namespace bhvm::x87
