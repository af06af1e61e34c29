#include "samples.h"

#include <cstring>

namespace bhvm::test {
namespace {

constexpr u16 kExponents[] = {0,
                              1,
                              2,
                              24,
                              63,
                              16383 - 1075,
                              16383 - 1023,
                              16383 - 1022,
                              16383 - 150,
                              16383 - 127,
                              16383 - 126,
                              16383 - 65,
                              16383 - 2,
                              16383 - 1,
                              16383,
                              16383 + 1,
                              16383 + 14,
                              16383 + 15,
                              16383 + 30,
                              16383 + 31,
                              16383 + 59,
                              16383 + 62,
                              16383 + 63,
                              16383 + 64,
                              16383 + 127,
                              16383 + 128,
                              16383 + 1023,
                              16383 + 1024,
                              0x7FFD,
                              0x7FFE,
                              0x7FFF};
constexpr u64 kSignificands[] = {0,
                                 1,
                                 0x4000000000000000,
                                 0x7FFFFFFFFFFFFFFF,
                                 0x8000000000000000,
                                 0x8000000000000001,
                                 0x8000008000000000,
                                 0x8000000000000400,
                                 0xBFFFFFFFFFFFFFFF,
                                 0xC000000000000000,
                                 0xC000000000000001,
                                 0xFFFFFF7FFFFFFFFF,
                                 0xFFFFFFFFFFFFFC00,
                                 0xFFFFFFFFFFFFFFFF};

u64 random_significand(RandomStream& random) {
  u64 value = random.next() | float80::kIntegerBit;
  switch (random.below(6)) {
    case 0:
      value &= ~u64{0} << random.below(64);
      break;
    case 1:
      value |= ~u64{0} >> random.below(63);
      break;
    case 2:
      value &= ~(u64{1} << 63) ^ (random.next() & 1) << 63;
      break;
    default:
      break;
  }
  return value;
}

}  // namespace

const std::vector<Float80>& boundary_values() {
  static const std::vector<Float80> values = [] {
    std::vector<Float80> all;
    for (const u16 sign : {u16{0}, float80::kSignBit}) {
      for (const u16 exponent : kExponents) {
        for (const u64 significand : kSignificands) {
          // One unnormal is like another.
          if (exponent != 0 && exponent != 0x7FFF && exponent != 16383 && significand >> 63 == 0) continue;
          all.push_back({significand, static_cast<u16>(sign | exponent)});
        }
      }
    }
    return all;
  }();
  return values;
}

Float80 random_value(RandomStream& random) {
  const u16 sign = (random.next() & 1) != 0 ? float80::kSignBit : u16{0};
  switch (random.below(8)) {
    case 0:
      return boundary_values()[random.below(boundary_values().size())];
    case 1:
      return {random.next(), static_cast<u16>(random.next())};
    case 2:
      return {random.next() >> random.below(64), sign};
    case 3:
      return {random_significand(random), static_cast<u16>(sign | (1 + random.below(0x7FFE)))};
    case 4:
      return {random_significand(random), static_cast<u16>(sign | (16383 - 70 + random.below(140)))};
    default:
      return {random_significand(random), static_cast<u16>(sign | (16383 - 8 + random.below(16)))};
  }
}

HostMemory random_memory(RandomStream& random) {
  HostMemory memory{};
  const u64 noise[2] = {random.next(), random.next()};
  std::memcpy(memory.data(), noise, sizeof noise);
  const u64 sign = random.next() << 63;
  switch (random.below(6)) {
    case 0: {  // 80 bits
      const Float80 value = random_value(random);
      std::memcpy(memory.data(), &value.significand, 8);
      std::memcpy(memory.data() + 8, &value.sign_exponent, 2);
      break;
    }
    case 1: {  // 64 bits, exponents at the edges
      constexpr u64 kEdges[] = {0, 1, 1022, 1023, 1024, 2046, 2047};
      const u64 value =
          sign | (kEdges[random.below(7)] << 52) | ((random.next() >> 12) << random.below(53) & 0xFFFFFFFFFFFFF);
      std::memcpy(memory.data(), &value, 8);
      break;
    }
    case 2: {  // 32 bits
      constexpr u32 kEdges[] = {0, 1, 126, 127, 128, 254, 255};
      const u32 value = static_cast<u32>(sign >> 32) | (kEdges[random.below(7)] << 23) |
                        (static_cast<u32>(random.next() >> 41) << random.below(24) & 0x7FFFFF);
      std::memcpy(memory.data(), &value, 4);
      break;
    }
    case 3: {  // small integers of every width
      const u64 value = static_cast<u64>(static_cast<i64>(random.next()) >> (48 + random.below(16)));
      std::memcpy(memory.data(), &value, 8);
      break;
    }
    case 4: {  // decimal digits
      for (unsigned i = 0; i < 9; ++i) memory[i] = static_cast<u8>(random.below(10) << 4 | random.below(10));
      memory[9] = static_cast<u8>(sign >> 56);
      break;
    }
    default:
      break;
  }
  return memory;
}

X87State random_state(RandomStream& random, u16 masks) {
  X87State x87;
  const bool gaps = random.below(4) == 0;
  x87.valid_mask = gaps ? static_cast<u8>(random.next()) : 0xFF;
  if (!gaps && (random.next() & 1) != 0) x87.valid_mask = 0x7F;
  for (Float80& value : x87.regs) value = random_value(random);
  x87.control_word = static_cast<u16>(x87_control::kReservedOne | masks | (random.below(16) << 8));
  const u16 flags = static_cast<u16>(random.next() & x87.control_word & x87_status::kExceptions);
  x87.status_word = static_cast<u16>((random.next() & (x87_status::kConditions | x87_status::kTopMask)) | flags);
  if (!gaps && x87.valid_mask == 0x7F) {  // the one below the top is free: pushes succeed
    x87.valid_mask = static_cast<u8>(~(1u << ((x87.top() + 7) & 7)));
  }
  x87.fop = static_cast<u16>(random.next() & 0x7FF);
  x87.fip = random.next() & 0x7FFFFFFFFFFF;
  x87.fdp = random.next() & 0x7FFFFFFFFFFF;
  return x87;
}

}  // namespace bhvm::test
