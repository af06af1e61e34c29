#include "cpu/cpu.h"

#include "base/check.h"
#include "cpu/code_cache.h"
#include "cpu/mode.h"

namespace bhvm {

Cpu::Cpu(Mmu& mmu_, CpuPort& port_) : mmu(mmu_), port(port_), code(std::make_unique<CodeCache>(mmu_)) {
  mmu.set_code_listener(code.get());
  code_arena = code->arena().begin();
  flush_jump_cache();
  flags.set(s.rflags);
  update_mode();
}

Cpu::~Cpu() { mmu.set_code_listener(nullptr); }

void Cpu::set_state(const CpuState& state) {
  s = state;
  flags.set(s.rflags);
  interrupts_wanted = s.interrupt_line;
  flush_jump_cache();
  update_mode();
}

}  // namespace bhvm
