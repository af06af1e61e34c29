#include "cpu/system/random.h"

#include "cpu/system/operands.h"

namespace bhvm {

bool random_number(Cpu& cpu, const Op& op) {
  write_register(cpu, op.dst, Params::of(op).size, cpu.port.random());
  cpu.s.rflags = (cpu.s.rflags & ~rflags::kArithmetic) | rflags::kCf;
  return true;
}

}  // namespace bhvm
