// AES rounds as AES-NI splits them (FIPS 197; SDM 2, AESENC and others).
//
// A state's byte 4 * column + row is the register's byte of that number. The S-box is computed from its definition at
// compile time, and with it one table a direction that joins SubBytes and MixColumns.
#pragma once

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

}  // namespace bhvm::sse::aes
