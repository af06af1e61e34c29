#include "cpu/sse/translate.h"

namespace bhvm {

bool sse::has_sse42_host() {
#if BHVM_SSE_HOSTS
  return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul");
#else
  return false;
#endif
}

namespace {

/// The parts that use what the host's processor has. Which of them run changes nothing but speed.
void register_for_host(TranslatorTable& table) {
#if BHVM_SSE_HOSTS
  if (sse::has_sse42_host()) {
    sse::sse42_host::register_integer(table);
    sse::sse42_host::register_ciphers(table);
    return;
  }
#endif
  sse::any_host::register_integer(table);
  sse::any_host::register_ciphers(table);
}

}  // namespace

void register_sse(TranslatorTable& table) {
  sse::register_moves(table);
  register_for_host(table);
  sse::register_float(table);
  sse::register_convert(table);
  sse::register_strings(table);
  sse::register_control(table);
  if (table.find(ZYDIS_MNEMONIC_MOVSD) == nullptr) table.add(ZYDIS_MNEMONIC_MOVSD, translate_sse_movsd);
  if (table.find(ZYDIS_MNEMONIC_CMPSD) == nullptr) table.add(ZYDIS_MNEMONIC_CMPSD, translate_sse_cmpsd);
}

}  // namespace bhvm
