// AES against FIPS 197, carry-less multiplication against its definition and published products.
#include <gtest/gtest.h>

#include <string_view>

#include "base/random_stream.h"
#include "cpu/sse/aes.h"
#include "cpu/sse/carryless.h"

namespace bhvm::sse {
namespace {

/// Bytes in the order FIPS 197 writes them, which is memory order.
u8x16 bytes(std::string_view hex) {
  u8x16 v{};
  for (unsigned i = 0; i < 16; ++i) v[i] = static_cast<u8>(std::stoul(std::string(hex.substr(2 * i, 2)), nullptr, 16));
  return v;
}
testing::AssertionResult same(u8x16 a, u8x16 b) {
  const u64x2 x = as<u64x2>(a);
  const u64x2 y = as<u64x2>(b);
  if (x[0] == y[0] && x[1] == y[1]) return testing::AssertionSuccess();
  return testing::AssertionFailure() << std::hex << x[1] << ":" << x[0] << " is not " << y[1] << ":" << y[0];
}

/// The key schedule of FIPS 197, 5.2, for 128 bits, from AESKEYGENASSIST.
std::array<u8x16, 11> round_keys(u8x16 key) {
  std::array<u8x16, 11> keys{};
  keys[0] = key;
  u8 constant = 1;
  for (unsigned i = 1; i < 11; ++i) {
    const u32x4 previous = as<u32x4>(keys[i - 1]);
    const u32 assist = aes::key_assist(previous, Imm{constant})[3];
    u32x4 next{};
    next[0] = previous[0] ^ assist;
    for (unsigned w = 1; w < 4; ++w) next[w] = previous[w] ^ next[w - 1];
    keys[i] = as<u8x16>(next);
    constant = static_cast<u8>(constant << 1 ^ ((constant & 0x80) != 0 ? 0x1B : 0));
  }
  return keys;
}

TEST(Aes, KeyScheduleOfFips197AppendixA1) {
  const auto keys = round_keys(bytes("2b7e151628aed2a6abf7158809cf4f3c"));
  EXPECT_TRUE(same(keys[1], bytes("a0fafe1788542cb123a339392a6c7605")));
  EXPECT_TRUE(same(keys[10], bytes("d014f9a8c9ee2589e13f0cc8b6630ca6")));
}

TEST(Aes, CipherOfFips197AppendixB) {
  const auto keys = round_keys(bytes("2b7e151628aed2a6abf7158809cf4f3c"));
  u8x16 state = bytes("3243f6a8885a308d313198a2e0370734") ^ keys[0];
  state = aes::encrypt(state, keys[1]);
  EXPECT_TRUE(same(state, bytes("a49c7ff2689f352b6b5bea43026a5049")));
  for (unsigned i = 2; i < 10; ++i) state = aes::encrypt(state, keys[i]);
  EXPECT_TRUE(same(aes::encrypt_last(state, keys[10]), bytes("3925841d02dc09fbdc118597196a0b32")));
}

TEST(Aes, CipherAndEquivalentInverseCipherOfFips197AppendixC1) {
  const auto keys = round_keys(bytes("000102030405060708090a0b0c0d0e0f"));
  const u8x16 plain = bytes("00112233445566778899aabbccddeeff");
  u8x16 state = plain ^ keys[0];
  for (unsigned i = 1; i < 10; ++i) state = aes::encrypt(state, keys[i]);
  state = aes::encrypt_last(state, keys[10]);
  EXPECT_TRUE(same(state, bytes("69c4e0d86a7b0430d8cdb78070b4c55a")));

  state = state ^ keys[10];
  for (unsigned i = 9; i > 0; --i) state = aes::decrypt(state, aes::inverse_mix_columns(keys[i]));
  EXPECT_TRUE(same(aes::decrypt_last(state, keys[0]), plain));
}

TEST(Carryless, PublishedProducts) {
  // Intel's carry-less multiplication white paper, the operands of its PCLMULQDQ examples.
  const u64x2 a{0x63746f725d53475d, 0x7b5b546573745665};
  const u64x2 b{0x5b477565726f6e5d, 0x4869285368617929};
  const auto product = [&](u8 imm) { return carryless_multiply_quadwords(a, b, Imm{imm}); };
  EXPECT_EQ(product(0x00)[0], 0x929633d5d36f0451u);
  EXPECT_EQ(product(0x00)[1], 0x1d4d84c85c3440c0u);
  EXPECT_EQ(product(0x10)[0], 0x7fa540ac2a281315u);
  EXPECT_EQ(product(0x10)[1], 0x1bd17c8d556ab5a1u);
  EXPECT_EQ(product(0x11)[0], 0xd66ee03e410fd4edu);
  EXPECT_EQ(product(0x11)[1], 0x1d1e1f2c592e7c45u);
}

TEST(Carryless, AgreesWithTheDefinition) {
  RandomStream random(1, 0, "carryless");
  for (unsigned i = 0; i < 1000; ++i) {
    const u64 a = random.next();
    const u64 b = random.next() >> random.below(64);
    u128 expected = 0;
    for (unsigned k = 0; k < 64; ++k) {
      if (((b >> k) & 1) != 0) expected ^= u128{a} << k;
    }
    ASSERT_TRUE(carryless_multiply(a, b) == expected) << std::hex << a << " times " << b;
  }
}

}  // namespace
}  // namespace bhvm::sse
