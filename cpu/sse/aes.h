// AES rounds as AES-NI splits them (FIPS 197; SDM 2, AESENC and others).
//
// A state's byte 4 * column + row is the register's byte of that number. The S-box is computed from its definition at
// compile time, and with it one table a direction that joins SubBytes and MixColumns.
#pragma once

#if defined(__AES__)
#include <wmmintrin.h>
#endif

#include "cpu/sse/vector.h"

namespace bhvm::sse::aes {

/// One round (AESENC), and the last one, which mixes no columns (AESENCLAST).
u8x16 encrypt(u8x16 state, u8x16 round_key);
u8x16 encrypt_last(u8x16 state, u8x16 round_key);
/// One round of the equivalent inverse cipher (AESDEC), and the last one (AESDECLAST).
u8x16 decrypt(u8x16 state, u8x16 round_key);
u8x16 decrypt_last(u8x16 state, u8x16 round_key);
/// InvMixColumns, for the inverse cipher's round keys (AESIMC).
u8x16 inverse_mix_columns(u8x16 round_key);
/// AESKEYGENASSIST: SubWord and RotWord of the words 1 and 3, with the round constant.
u32x4 key_assist(u32x4 key, Imm round_constant);

#if defined(__AES__)
/// The same by the host's instructions.
namespace host {
BHVM_INLINE u8x16 encrypt(u8x16 state, u8x16 key) {
  return as<u8x16>(_mm_aesenc_si128(as<__m128i>(state), as<__m128i>(key)));
}
BHVM_INLINE u8x16 encrypt_last(u8x16 state, u8x16 key) {
  return as<u8x16>(_mm_aesenclast_si128(as<__m128i>(state), as<__m128i>(key)));
}
BHVM_INLINE u8x16 decrypt(u8x16 state, u8x16 key) {
  return as<u8x16>(_mm_aesdec_si128(as<__m128i>(state), as<__m128i>(key)));
}
BHVM_INLINE u8x16 decrypt_last(u8x16 state, u8x16 key) {
  return as<u8x16>(_mm_aesdeclast_si128(as<__m128i>(state), as<__m128i>(key)));
}
BHVM_INLINE u8x16 inverse_mix_columns(u8x16 key) { return as<u8x16>(_mm_aesimc_si128(as<__m128i>(key))); }
BHVM_INLINE u32x4 key_assist(u32x4 key, Imm round_constant) {
  const u32 constant = round_constant.value;
  return as<u32x4>(_mm_aeskeygenassist_si128(as<__m128i>(key), 0)) ^ u32x4 { 0, constant, 0, constant };
}
}  // namespace host
#endif

}  // namespace bhvm::sse::aes
