#include "cpu/sse/translate.h"

namespace bhvm {

void register_sse(TranslatorTable& table) {
  sse::register_moves(table);
  sse::register_integer(table);
}

}  // namespace bhvm
