#include "cpu/x87/instructions.h"
#include "cpu/x87/register_stack.h"

namespace bhvm::x87 {

using namespace x87_status;

void initialize(X87State& x87) {
  X87State initial;
  initial.regs = x87.regs;
  x87 = initial;
}

void empty_mmx_state(X87State& x87) {
  x87.set_top(0);
  x87.valid_mask = 0;
}

void clear_exceptions(X87State& x87) {
  x87.status_word = static_cast<u16>(x87.status_word & ~(kExceptions | kStackFault | kErrorSummary | kBusy));
}

void load_control_word(X87State& x87, u16 value) {
  x87.control_word = static_cast<u16>((value & x87_control::kWritable) | x87_control::kReservedOne);
  x87.update_summary();
}

void rotate_stack(X87State& x87, int by) {
  set_condition(x87, kC1, false);
  x87.set_top(x87.top() + static_cast<unsigned>(by));
}

void free_register(X87State& x87, unsigned i, bool pops) {
  set_condition(x87, kC1, false);
  x87.valid_mask = static_cast<u8>(x87.valid_mask & ~(1u << x87.physical(i)));
  if (pops) pop(x87);
}

}  // namespace bhvm::x87
