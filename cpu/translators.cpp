// The instruction set: which group translates what.
#include "cpu/block_builder.h"
#include "cpu/integer/translate.h"
#include "cpu/sse/translate.h"
#include "cpu/system/translate.h"
#include "cpu/x87/translate.h"

namespace bhvm {
namespace integer {

void register_integer(TranslatorTable& table) {
  register_alu(table);
  register_moves(table);
  register_shifts(table);
  register_multiply(table);
  register_bits(table);
  register_stack(table);
  register_jumps(table);
  register_conditional(table);
  register_strings(table);
  register_atomics(table);
  register_flags(table);
  register_decimal(table);
}

}  // namespace integer

const TranslatorTable& translators() {
  static const TranslatorTable table = [] {
    TranslatorTable t;
    integer::register_integer(t);
    register_sse(t);
    register_x87(t);
    register_system(t);
    return t;
  }();
  return table;
}

}  // namespace bhvm
