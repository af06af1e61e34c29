// Control instructions: words, tags, the stack pointer.
#include "cpu/x87/instructions.h"
#include "cpu/x87/operations.h"

namespace bhvm::x87 {

bool wait(Cpu& cpu, const Operands&) { return !cpu.s.x87.exception_pending() || cpu.raise(vector::kX87); }
bool do_nothing(Cpu&, const Operands&) { return true; }

bool load_control_word_op(Cpu& cpu, const Operands& operands) {
  u16 value;
  if (!wait(cpu, operands) || !bhvm::load(cpu, operands.linear, value)) return false;
  load_control_word(cpu.s.x87, value);
  return true;
}
bool store_control_word(Cpu& cpu, const Operands& operands) {
  return bhvm::store(cpu, operands.linear, cpu.s.x87.control_word);
}
bool store_status_word(Cpu& cpu, const Operands& operands) {
  return bhvm::store(cpu, operands.linear, cpu.s.x87.status_word);
}
bool store_status_word_ax(Cpu& cpu, const Operands&) {
  u64& rax = cpu.s.gpr[kRax];
  rax = (rax & ~u64{0xFFFF}) | cpu.s.x87.status_word;
  return true;
}
bool initialize_op(Cpu& cpu, const Operands&) {
  initialize(cpu.s.x87);
  return true;
}
bool clear_exceptions_op(Cpu& cpu, const Operands&) {
  clear_exceptions(cpu.s.x87);
  return true;
}
bool rotate_up(Cpu& cpu, const Operands&) {
  rotate_stack(cpu.s.x87, 1);
  return true;
}
bool rotate_down(Cpu& cpu, const Operands&) {
  rotate_stack(cpu.s.x87, -1);
  return true;
}
bool free_st(Cpu& cpu, const Operands& operands) {
  free_register(cpu.s.x87, operands.i(), (operands.variant() & kStorePop) != 0);
  return true;
}
bool empty_mmx(Cpu& cpu, const Operands& operands) {
  if (!wait(cpu, operands)) return false;
  empty_mmx_state(cpu.s.x87);
  return true;
}

}  // namespace bhvm::x87
