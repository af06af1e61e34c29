#include "oracle/generate/values.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace bhvm::oracle {
namespace {

constexpr u64 kIntegers[] = {0,
                             0,
                             0,
                             1,
                             1,
                             2,
                             3,
                             4,
                             5,
                             7,
                             8,
                             9,
                             10,
                             15,
                             16,
                             17,
                             31,
                             32,
                             33,
                             63,
                             64,
                             65,
                             99,
                             100,
                             127,
                             128,
                             129,
                             254,
                             255,
                             256,
                             0x7FFE,
                             0x7FFF,
                             0x8000,
                             0x8001,
                             0xFFFE,
                             0xFFFF,
                             0x10000,
                             0x7FFFFFFE,
                             0x7FFFFFFF,
                             0x80000000,
                             0x80000001,
                             0xFFFFFFFE,
                             0xFFFFFFFF,
                             0x100000000,
                             0x7FFFFFFFFFFFFFFE,
                             0x7FFFFFFFFFFFFFFF,
                             0x8000000000000000,
                             0x8000000000000001,
                             ~u64{0},
                             ~u64{0},
                             ~u64{1},
                             ~u64{127},
                             ~u64{128},
                             ~u64{0x7FFF},
                             ~u64{0x8000},
                             ~u64{0x7FFFFFFF},
                             ~u64{0x80000000},
                             0x5555555555555555,
                             0xAAAAAAAAAAAAAAAA,
                             0x0123456789ABCDEF,
                             0x8080808080808080,
                             0x7F7F7F7F7F7F7F7F,
                             0x8000800080008000,
                             0x7FFF7FFF7FFF7FFF,
                             0x8000000080000000,
                             0x0001000100010001,
                             0x0101010101010101,
                             0x00FF00FF00FF00FF,
                             0xFF00FF00FF00FF00,
                             0x9999999999999999,
                             0x3030303030303030,
                             0x00000000FFFFFFFF,
                             0xFFFFFFFF00000000};

constexpr u32 kFloat32s[] = {
    0x00000000, 0x80000000, 0x00000000, 0x3F800000, 0xBF800000, 0x3F800001, 0x3F7FFFFF, 0x40000000, 0xC0000000,
    0x3F000000, 0xBF000000, 0x3EFFFFFF, 0x3F000001, 0x3FC00000, 0xBFC00000, 0x40200000, 0x00000001, 0x80000001,
    0x007FFFFF, 0x807FFFFF, 0x00800000, 0x80800000, 0x00800001, 0x00400000, 0x7F7FFFFF, 0xFF7FFFFF, 0x7F7FFFFE,
    0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC00000, 0x7FFFFFFF, 0x7F800001, 0xFF800001, 0x7FBFFFFF, 0x7FC12345,
    0x7FA12345, 0x4EFFFFFF, 0x4F000000, 0x4F000001, 0xCF000000, 0xCF000001, 0x4F7FFFFF, 0x4F800000, 0x5EFFFFFF,
    0x5F000000, 0xDF000000, 0xDF000001, 0x46FFFE00, 0x47000000, 0xC7000000, 0xC7000100, 0x4B7FFFFF, 0x4B800000,
    0x4B000001, 0x1F800000, 0x20000000, 0x5F800000, 0x40490FDB, 0x402DF854};

constexpr u64 kFloat64s[] = {
    0x0000000000000000, 0x8000000000000000, 0x3FF0000000000000, 0xBFF0000000000000, 0x3FF0000000000001,
    0x3FEFFFFFFFFFFFFF, 0x4000000000000000, 0xC000000000000000, 0x3FE0000000000000, 0xBFE0000000000000,
    0x3FDFFFFFFFFFFFFF, 0x3FE0000000000001, 0x3FF8000000000000, 0xBFF8000000000000, 0x4004000000000000,
    0x0000000000000001, 0x8000000000000001, 0x000FFFFFFFFFFFFF, 0x800FFFFFFFFFFFFF, 0x0010000000000000,
    0x8010000000000000, 0x0010000000000001, 0x0008000000000000, 0x7FEFFFFFFFFFFFFF, 0xFFEFFFFFFFFFFFFF,
    0x7FF0000000000000, 0xFFF0000000000000, 0x7FF8000000000000, 0xFFF8000000000000, 0x7FFFFFFFFFFFFFFF,
    0x7FF0000000000001, 0xFFF0000000000001, 0x7FF7FFFFFFFFFFFF, 0x7FF8000012345678, 0x7FF4000012345678,
    0x41DFFFFFFFC00000, 0x41DFFFFFFFDFFFFF, 0x41DFFFFFFFE00000, 0x41E0000000000000, 0xC1E0000000000000,
    0xC1E0000000200000, 0xC1E0000000100000, 0x41EFFFFFFFE00000, 0x43DFFFFFFFFFFFFF, 0x43E0000000000000,
    0xC3E0000000000000, 0xC3E0000000000001, 0x40DFFFC000000000, 0x40E0000000000000, 0xC0E0000000000000,
    0x47EFFFFFE0000000, 0x47EFFFFFF0000000, 0x47EFFFFFEFFFFFFF, 0x3810000000000000, 0x380FFFFFE0000000,
    0x36A0000000000000, 0x3690000000000000, 0x3690000000000001, 0x433FFFFFFFFFFFFF, 0x4340000000000000,
    0x4330000000000001, 0x3FF0000010000000, 0x3FF0000030000000, 0x3FF000000FFFFFFF, 0x400921FB54442D18};

struct Extended {
  u16 sign_exponent;
  u64 significand;
};
constexpr u64 kOne = u64{1} << 63;
constexpr Extended kFloat80s[] = {{0, 0},
                                  {0x8000, 0},
                                  {0x3FFF, kOne},
                                  {0xBFFF, kOne},
                                  {0x3FFF, kOne | 1},
                                  {0x3FFE, ~u64{0}},
                                  {0x4000, kOne},
                                  {0x3FFE, kOne},
                                  {0xBFFE, kOne},
                                  {0x3FFF, kOne | kOne >> 1},
                                  {0x4000, kOne | kOne >> 2},
                                  {0x3FFD, ~u64{0}},
                                  {0, 1},
                                  {0x8000, 1},
                                  {0, kOne - 1},
                                  {0, kOne >> 1},
                                  {1, kOne},
                                  {0x8001, kOne},
                                  {1, kOne | 1},
                                  {0x7FFE, ~u64{0}},
                                  {0xFFFE, ~u64{0}},
                                  {0x7FFF, kOne},
                                  {0xFFFF, kOne},
                                  {0x7FFF, kOne | kOne >> 1},
                                  {0xFFFF, kOne | kOne >> 1},
                                  {0x7FFF, ~u64{0}},
                                  {0x7FFF, kOne | 1},
                                  {0xFFFF, kOne | 0x1234567},
                                  {0x7FFF, kOne | kOne >> 1 | 0x7654321},
                                  {0, kOne},
                                  {0x8000, kOne | 1},  // pseudo-denormals
                                  {0x3FFF, 1},
                                  {0x4001, kOne >> 1},
                                  {0x7FFE, 0},  // unnormals, pseudo-zeros among them
                                  {0x7FFF, 0},
                                  {0xFFFF, 0},  // pseudo-infinities
                                  {0x7FFF, 1},
                                  {0xFFFF, kOne >> 1},
                                  {0x7FFF, 0x42},  // pseudo-NaNs
                                  {0x401D, 0xFFFFFFFE00000000},
                                  {0x401D, 0xFFFFFFFF00000000},
                                  {0x401E, kOne},
                                  {0xC01E, kOne},
                                  {0xC01E, kOne | u64{1} << 32},
                                  {0x403D, ~u64{1}},
                                  {0x403D, ~u64{0}},
                                  {0x403E, kOne},
                                  {0xC03E, kOne},
                                  {0xC03E, kOne | 1},
                                  {0x400D, 0xFFFE000000000000},
                                  {0x400D, 0xFFFF000000000000},
                                  {0x400E, kOne},
                                  {0xC00E, kOne},
                                  {0x407E, 0xFFFFFF0000000000},
                                  {0x407E, 0xFFFFFF8000000000},
                                  {0x3F81, kOne},
                                  {0x3F6A, kOne},
                                  {0x3F69, kOne | 1},
                                  {0x43FE, 0xFFFFFFFFFFFFF800},
                                  {0x43FE, 0xFFFFFFFFFFFFFC00},
                                  {0x3C01, kOne},
                                  {0x3BCD, kOne},
                                  {0x3BCC, kOne | 1},
                                  {0x403A, 0xDE0B6B3A763FFFF0},
                                  {0x403A, 0xDE0B6B3A76400000},  // FBSTP's limit: 10^18 - 1, 10^18
                                  {0x4000, 0xC90FDAA22168C235},
                                  {0x3FFF, 0xB504F333F9DE6484},
                                  {0x3FFE, 0xB17217F7D1CF79AC},
                                  {0x403E, kOne | 12345},
                                  {0x4005, 0xC800000000000000},
                                  {0x3FC0, kOne},
                                  {0x3FBF, kOne}};

u64 random_near_one(Dice& dice, unsigned mantissa_bits, u64 bias, unsigned spread) {
  const u64 r = dice.bits();
  const u64 exponent = bias - spread + dice.below(2 * spread + 1);
  u64 mantissa = r & ((u64{1} << mantissa_bits) - 1);
  if ((r >> 60 & 3) == 0) mantissa &= ~u64{0} << (mantissa_bits / 2);  // few significant bits: exact results
  return exponent << mantissa_bits | mantissa;
}

template <class T>
void put(std::span<u8> bytes, T (*value)(Dice&), Dice& dice) {
  std::size_t at = 0;
  for (; at + sizeof(T) <= bytes.size(); at += sizeof(T)) {
    const T v = value(dice);
    std::memcpy(bytes.data() + at, &v, sizeof(T));
  }
  for (; at < bytes.size(); ++at) bytes[at] = static_cast<u8>(dice.bits());
}

void put_bcd(Dice& dice, std::span<u8> bytes) {
  const u32 kind = dice.below(8);
  for (u8& byte : bytes) {
    const u64 r = dice.bits();
    if (kind == 0) byte = static_cast<u8>(r);
    if (kind == 1) byte = 0x99;
    if (kind == 2) byte = 0;
    if (kind > 2) byte = static_cast<u8>((r & 0xF) % 10 | (r >> 4 & 0xF) % 10 << 4);
  }
  if (kind > 3 && bytes.size() >= 10) bytes[9] = static_cast<u8>(dice.bits() & 0x80);
}

void put_text(Dice& dice, std::span<u8> bytes) {
  const u32 alphabet = 2 + dice.below(6);
  for (u8& byte : bytes) byte = static_cast<u8>(dice.below(12) == 0 ? 0 : 'a' + dice.below(alphabet));
}

/// Changes one element of `width` bytes as its kind does at its boundaries.
void relate(Dice& dice, ValueKind kind, u8* element, unsigned width) {
  u64 value = 0;
  std::memcpy(&value, element, std::min(width, 8U));
  switch (dice.below(6)) {
    case 0:
      break;
    case 1:
      value += 1;
      break;
    case 2:
      value -= 1;
      break;
    case 3:
      if (kind == ValueKind::kFloat80)
        element[9] ^= 0x80;
      else if (kind == ValueKind::kInteger)
        value = 0 - value;
      else
        value ^= u64{1} << (8 * width - 1);
      break;
    case 4:  // as large, with another fraction
      value ^= dice.bits() & ((u64{1} << (width == 4 ? 22 : 50)) - 1);
      break;
    default:
      if (kind == ValueKind::kFloat80)
        element[8] = static_cast<u8>(element[8] + dice.between(-3, 3));
      else
        value ^= u64{1} << dice.below(8 * std::min(width, 8U));
      break;
  }
  std::memcpy(element, &value, std::min(width, 8U));
}

unsigned element_bytes(ValueKind kind, std::size_t size) {
  switch (kind) {
    case ValueKind::kFloat32:
      return 4;
    case ValueKind::kFloat64:
      return 8;
    case ValueKind::kFloat80:
    case ValueKind::kBcd:
      return 10;
    default:
      return size >= 8 ? 8 : static_cast<unsigned>(size);
  }
}

}  // namespace

u64 integer_value(Dice& dice) {
  const u64 r = dice.bits();
  const u64 table = kIntegers[(r >> 32) % std::size(kIntegers)];
  switch (r & 15) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      return table;
    case 5:
      return u64{1} << (r >> 8 & 63);
    case 6:
      return (u64{1} << (r >> 8 & 63)) - 1;
    case 7:
      return (r & ~u64{0xFF}) | (table & 0xFF);  // a boundary under random high bits
    case 8:
      return (r & ~u64{0xFFFF}) | (table & 0xFFFF);
    case 9:
      return (r << 32) | (table & 0xFFFFFFFF);
    case 10:
      return r >> 8 & 0xFF;
    default:
      return dice.bits();
  }
}

u32 float32_value(Dice& dice) {
  const u32 r = dice.below(16);
  if (r < 6) return dice.pick(kFloat32s);
  const u32 sign = static_cast<u32>(dice.bits()) & 0x80000000;
  if (r < 12) return sign | static_cast<u32>(random_near_one(dice, 23, 127, r < 9 ? 3 : 60));
  if (r == 12) return sign | static_cast<u32>(random_near_one(dice, 23, 157, 10));
  return static_cast<u32>(dice.bits());
}

u64 float64_value(Dice& dice) {
  const u32 r = dice.below(16);
  if (r < 6) return dice.pick(kFloat64s);
  const u64 sign = dice.bits() & u64{1} << 63;
  if (r < 11) return sign | random_near_one(dice, 52, 1023, r < 9 ? 3 : 500);
  if (r == 11) return sign | random_near_one(dice, 52, 1054, 12);
  if (r == 12) return sign | random_near_one(dice, 52, 1023 - 138, 20);  // around float32's denormals
  if (r == 13) return sign | random_near_one(dice, 52, 1023 + 127, 2);   // and its largest
  return dice.bits();
}

void float80_value(Dice& dice, u8* bytes) {
  const u32 r = dice.below(16);
  Extended v{};
  if (r < 6) {
    v = dice.pick(kFloat80s);
  } else {
    const u64 bits = dice.bits();
    const u16 sign = static_cast<u16>(bits & 0x8000);
    v.significand = dice.bits() | kOne;
    if ((bits & 0x30000) == 0) v.significand &= ~u64{0} << 40;
    if ((bits & 0x70000) == 0x10000) v.significand &= ~u64{0} << 11;
    int exponent = 0x3FFF;
    if (r < 10) exponent += static_cast<int>(dice.between(-4, 4));
    if (r >= 10 && r < 13) exponent += static_cast<int>(dice.between(-70, 70));
    if (r == 13) exponent = static_cast<int>(dice.below(0x8000));
    if (r == 14) exponent = static_cast<int>(dice.coin() ? dice.below(70) : 0x7FFE - dice.below(70));
    if (r == 15) {
      v.significand = dice.bits();
      exponent = static_cast<int>(dice.below(0x8000));
    }
    v.sign_exponent = static_cast<u16>(sign | exponent);
  }
  std::memcpy(bytes, &v.significand, 8);
  std::memcpy(bytes + 8, &v.sign_exponent, 2);
}

void fill_values(Dice& dice, ValueKind kind, std::span<u8> bytes) {
  switch (kind) {
    case ValueKind::kInteger:
      if (bytes.size() >= 8) return put<u64>(bytes, integer_value, dice);
      {
        const u64 v = integer_value(dice);
        std::memcpy(bytes.data(), &v, bytes.size());
      }
      return;
    case ValueKind::kFloat32:
      return put<u32>(bytes, float32_value, dice);
    case ValueKind::kFloat64:
      return put<u64>(bytes, float64_value, dice);
    case ValueKind::kFloat80: {
      std::array<u8, 10> v{};
      for (std::size_t at = 0; at < bytes.size(); at += v.size()) {
        float80_value(dice, v.data());
        std::memcpy(bytes.data() + at, v.data(), std::min(v.size(), bytes.size() - at));
      }
      return;
    }
    case ValueKind::kBcd:
      return put_bcd(dice, bytes);
    case ValueKind::kText:
      return put_text(dice, bytes);
  }
}

void fill_related(Dice& dice, ValueKind kind, std::span<const u8> other, std::span<u8> bytes) {
  fill_values(dice, kind, bytes);
  if (dice.coin()) return;
  const unsigned width = element_bytes(kind, bytes.size());
  for (std::size_t at = 0; at + width <= std::min(bytes.size(), other.size()); at += width) {
    std::memcpy(bytes.data() + at, other.data() + at, width);
    if (kind != ValueKind::kBcd && kind != ValueKind::kText) relate(dice, kind, bytes.data() + at, width);
  }
}

}  // namespace bhvm::oracle
