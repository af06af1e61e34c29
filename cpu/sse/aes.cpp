#include "cpu/sse/aes.h"

#include <array>

namespace bhvm::sse::aes {
namespace {

/// Multiplication in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197, 4.2).
constexpr u8 multiply(u8 a, u8 b) {
  unsigned product = 0;
  unsigned factor = a;
  for (unsigned i = 0; i < 8; ++i) {
    if (((b >> i) & 1) != 0) product ^= factor;
    factor = (factor << 1) ^ ((factor & 0x80) != 0 ? 0x11B : 0);
  }
  return static_cast<u8>(product);
}

using Box = std::array<u8, 256>;
using ColumnTable = std::array<u32, 256>;

/// SubBytes: the affine transformation of the multiplicative inverse (FIPS 197, 5.1.1).
constexpr Box substitution_box() {
  Box box{};
  // 3 generates the multiplicative group, and so does its inverse F6: p runs through all elements, q through theirs.
  u8 p = 1;
  u8 q = 1;
  do {
    p = multiply(p, 3);
    q = multiply(q, 0xF6);
    const auto rotated = [q](unsigned n) { return (q << n) | (q >> (8 - n)); };
    box[p] = static_cast<u8>(q ^ rotated(1) ^ rotated(2) ^ rotated(3) ^ rotated(4) ^ 0x63);
  } while (p != 1);
  box[0] = 0x63;
  return box;
}
constexpr Box kBox = substitution_box();

constexpr Box inverted(const Box& box) {
  Box inverse{};
  for (unsigned i = 0; i < 256; ++i) inverse[box[i]] = static_cast<u8>(i);
  return inverse;
}
constexpr Box kInverseBox = inverted(kBox);

/// The column that a byte in row 0 contributes, after the substitution `box` (nullptr: none) and a column mix whose
/// first column is `mix`. Other rows are rotations of it.
constexpr ColumnTable column_table(const Box* box, std::array<u8, 4> mix) {
  ColumnTable table{};
  for (unsigned i = 0; i < 256; ++i) {
    const u8 s = box != nullptr ? (*box)[i] : static_cast<u8>(i);
    for (unsigned row = 0; row < 4; ++row) table[i] |= u32{multiply(s, mix[row])} << (8 * row);
  }
  return table;
}
constexpr std::array<u8, 4> kMix = {2, 1, 1, 3};            // FIPS 197, 5.1.3
constexpr std::array<u8, 4> kInverseMix = {14, 9, 13, 11};  // FIPS 197, 5.3.3
constexpr ColumnTable kEncrypt = column_table(&kBox, kMix);
constexpr ColumnTable kDecrypt = column_table(&kInverseBox, kInverseMix);
constexpr ColumnTable kInverseMixOnly = column_table(nullptr, kInverseMix);

using State = std::array<u8, 16>;

/// Where ShiftRows takes column c's byte of row r from; the inverse shifts the other way.
constexpr unsigned shifted(unsigned column, unsigned row, bool inverse) {
  return 4 * ((column + (inverse ? 4 - row : row)) & 3) + row;
}

u8x16 full_round(u8x16 state, u8x16 round_key, const ColumnTable& table, bool inverse) {
  const State s = as<State>(state);
  u32x4 columns;
  for (unsigned c = 0; c < 4; ++c) {
    u32 column = 0;
    for (unsigned r = 0; r < 4; ++r) column ^= std::rotl(table[s[shifted(c, r, inverse)]], static_cast<int>(8 * r));
    columns[c] = column;
  }
  return as<u8x16>(columns) ^ round_key;
}

u8x16 last_round(u8x16 state, u8x16 round_key, const Box& box, bool inverse) {
  const State s = as<State>(state);
  State result;
  for (unsigned c = 0; c < 4; ++c) {
    for (unsigned r = 0; r < 4; ++r) result[4 * c + r] = box[s[shifted(c, r, inverse)]];
  }
  return as<u8x16>(result) ^ round_key;
}

u32 substitute_word(u32 word) {
  return u32{kBox[word & 0xFF]} | u32{kBox[(word >> 8) & 0xFF]} << 8 | u32{kBox[(word >> 16) & 0xFF]} << 16 |
         u32{kBox[word >> 24]} << 24;
}

}  // namespace

u8x16 encrypt(u8x16 state, u8x16 round_key) { return full_round(state, round_key, kEncrypt, false); }
u8x16 encrypt_last(u8x16 state, u8x16 round_key) { return last_round(state, round_key, kBox, false); }
u8x16 decrypt(u8x16 state, u8x16 round_key) { return full_round(state, round_key, kDecrypt, true); }
u8x16 decrypt_last(u8x16 state, u8x16 round_key) { return last_round(state, round_key, kInverseBox, true); }

u8x16 inverse_mix_columns(u8x16 round_key) {
  const State s = as<State>(round_key);
  u32x4 columns;
  for (unsigned c = 0; c < 4; ++c) {
    u32 column = 0;
    for (unsigned r = 0; r < 4; ++r) column ^= std::rotl(kInverseMixOnly[s[4 * c + r]], static_cast<int>(8 * r));
    columns[c] = column;
  }
  return as<u8x16>(columns);
}

u32x4 key_assist(u32x4 key, Imm round_constant) {
  const u32 word1 = substitute_word(key[1]);
  const u32 word3 = substitute_word(key[3]);
  return u32x4{word1, std::rotr(word1, 8) ^ round_constant.value, word3, std::rotr(word3, 8) ^ round_constant.value};
}

}  // namespace bhvm::sse::aes
