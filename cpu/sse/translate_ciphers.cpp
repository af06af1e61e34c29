// AES and carry-less multiplication.
#include "cpu/sse/aes.h"
#include "cpu/sse/carryless.h"
#include "cpu/sse/forms.h"
#include "cpu/sse/translate.h"

namespace bhvm::sse::inline BHVM_SSE_HOST {
namespace {

#if defined(__AES__)
namespace cipher = aes::host;
#else
namespace cipher = aes;
#endif

constexpr Row kRows[] = {
    {ZYDIS_MNEMONIC_AESENC, xmm_instruction<cipher::encrypt>},
    {ZYDIS_MNEMONIC_AESENCLAST, xmm_instruction<cipher::encrypt_last>},
    {ZYDIS_MNEMONIC_AESDEC, xmm_instruction<cipher::decrypt>},
    {ZYDIS_MNEMONIC_AESDECLAST, xmm_instruction<cipher::decrypt_last>},
    {ZYDIS_MNEMONIC_AESIMC, xmm_instruction<cipher::inverse_mix_columns>},
    {ZYDIS_MNEMONIC_AESKEYGENASSIST, xmm_instruction<cipher::key_assist>},
    {ZYDIS_MNEMONIC_PCLMULQDQ, xmm_instruction<carryless_multiply_quadwords>},
};

}  // namespace

void register_ciphers(TranslatorTable& table) {
  for (const Row& row : kRows) table.add(row.mnemonic, row.translator);
}

}  // namespace bhvm::sse::inline BHVM_SSE_HOST
