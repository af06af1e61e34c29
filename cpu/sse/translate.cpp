#include "cpu/sse/translate.h"

namespace bhvm {

void register_sse(TranslatorTable& table) {
  sse::register_moves(table);
  sse::register_integer(table);
  sse::register_float(table);
  sse::register_convert(table);
  sse::register_strings_and_ciphers(table);
  sse::register_control(table);
  if (table.find(ZYDIS_MNEMONIC_MOVSD) == nullptr) table.add(ZYDIS_MNEMONIC_MOVSD, translate_sse_movsd);
  if (table.find(ZYDIS_MNEMONIC_CMPSD) == nullptr) table.add(ZYDIS_MNEMONIC_CMPSD, translate_sse_cmpsd);
}

}  // namespace bhvm
