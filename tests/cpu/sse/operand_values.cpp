#include "operand_values.h"

#include <cstring>

namespace bhvm::sse_test {
namespace {

/// Boundary values around which random ones are drawn: zero, the smallest and largest denormal, the smallest normal,
/// one, integers at the edge of 32 and 64 bits, the largest number, infinity, NaNs.
constexpr u32 kSingles[] = {0x00000000, 0x00000001, 0x007FFFFF, 0x00800000, 0x00800001, 0x3F000000,
                            0x3F800000, 0x3FC00000, 0x40200000, 0x4B000000, 0x4B7FFFFF, 0x4EFFFFFF,
                            0x4F000000, 0x5EFFFFFF, 0x5F000000, 0x7F000000, 0x7F7FFFFF, 0x7F800000,
                            0x7F800001, 0x7FA00000, 0x7FC00000, 0x7FC12345};
constexpr u64 kDoubles[] = {0x0000000000000000, 0x0000000000000001, 0x000FFFFFFFFFFFFF, 0x0010000000000000,
                            0x0010000000000001, 0x3FE0000000000000, 0x3FF0000000000000, 0x3FF8000000000000,
                            0x4004000000000000, 0x36A0000000000000, 0x3810000000000000, 0x380FFFFFF0000000,
                            0x41DFFFFFFFC00000, 0x41DFFFFFFFE00000, 0x41E0000000000000, 0x4330000000000001,
                            0x43DFFFFFFFFFFFFF, 0x43E0000000000000, 0x47EFFFFFE0000000, 0x47EFFFFFF0000000,
                            0x7FE0000000000000, 0x7FEFFFFFFFFFFFFF, 0x7FF0000000000000, 0x7FF0000000000001,
                            0x7FF4000000000000, 0x7FF8000000000000, 0x7FF8000012345678};
constexpr u64 kIntegers[] = {0,
                             1,
                             0x7F,
                             0x80,
                             0xFF,
                             0x7FFF,
                             0x8000,
                             0xFFFF,
                             0x7FFFFFFF,
                             0x80000000,
                             0xFFFFFFFF,
                             0x7FFFFFFFFFFFFFFF,
                             0x8000000000000000,
                             0xFFFFFFFFFFFFFFFF,
                             0x8000800080008000,
                             0x8080808080808080,
                             0x7F7F7F7F7F7F7F7F,
                             0x000000080000000F};

u64 random_quadword(RandomStream& random, Values values) {
  switch (values) {
    case Values::kSingles:
      return random_single(random) | u64{random_single(random)} << 32;
    case Values::kDoubles:
      return random_double(random);
    case Values::kStrings: {
      // A small alphabet with zeros, at byte or word positions.
      u64 value = 0;
      for (unsigned i = 0; i < 8; ++i) {
        const u64 pick = random.below(8);
        const u64 element = pick == 0 ? 0 : pick == 1 ? random.next() & 0xFF : 0x7E + random.below(4);
        value |= element << (8 * i);
      }
      return value;
    }
    case Values::kIntegers:
      break;
  }
  switch (random.below(4)) {
    case 0:
      return kIntegers[random.below(std::size(kIntegers))];
    case 1:
      return random.next() >> random.below(64);
    default:
      return random.next();
  }
}

}  // namespace

u32 random_single(RandomStream& random) {
  const u32 sign = static_cast<u32>(random.below(2)) << 31;
  switch (random.below(8)) {
    case 0:
      return static_cast<u32>(random.next());
    case 1:  // near another: exponents that meet
      return sign | (0x3F800000 + (static_cast<u32>(random.next()) & 0x01FFFFFF));
    case 2:  // around underflow of products
      return sign | (0x1F800000 + (static_cast<u32>(random.next()) & 0x03FFFFFF));
    case 3:
      return sign | (static_cast<u32>(random.next()) & 0x00FFFFFF);
    default: {
      const u32 value = kSingles[random.below(std::size(kSingles))];
      const u32 jitter = random.below(4) == 0 ? static_cast<u32>(random.below(5)) - 2 : 0;
      return sign | ((value + jitter) & 0x7FFFFFFF);
    }
  }
}

u64 random_double(RandomStream& random) {
  const u64 sign = random.below(2) << 63;
  switch (random.below(8)) {
    case 0:
      return random.next();
    case 1:
      return sign | (0x3FF0000000000000 + (random.next() & 0x003FFFFFFFFFFFFF));
    case 2:
      return sign | (0x1FF0000000000000 + (random.next() & 0x007FFFFFFFFFFFFF));
    case 3:
      return sign | (random.next() & 0x001FFFFFFFFFFFFF);
    default: {
      const u64 value = kDoubles[random.below(std::size(kDoubles))];
      const u64 jitter = random.below(4) == 0 ? random.below(5) - 2 : 0;
      return sign | ((value + jitter) & 0x7FFFFFFFFFFFFFFF);
    }
  }
}

MachineState random_state(RandomStream& random, Values values, bool unmasked) {
  MachineState s;
  for (u64& gpr : s.gpr) gpr = values == Values::kStrings ? random.below(24) - 4 : random_quadword(random, values);
  if (values == Values::kStrings && random.below(4) == 0) s.gpr[0] = random.next();
  for (auto& xmm : s.xmm) xmm = {random_quadword(random, values), random_quadword(random, values)};
  // Equal operands and small shift counts are commoner than chance makes them.
  if (random.below(8) == 0) s.xmm[1] = s.xmm[2] = s.xmm[3];
  if (random.below(4) == 0 && values == Values::kIntegers) s.xmm[random.below(4)][0] = random.below(70);
  for (u64& significand : s.significand) significand = random_quadword(random, values);
  if (random.below(4) == 0) s.significand[random.below(4)] = random.below(70);
  for (u16& sign_exponent : s.sign_exponent) sign_exponent = static_cast<u16>(random.next());
  s.x87_status = static_cast<u16>(random.below(8) << 11);
  s.x87_valid = static_cast<u8>(random.next());
  for (unsigned i = 0; i < kUsedData; i += 8) {
    const u64 value = random_quadword(random, values);
    std::memcpy(&s.memory[i], &value, 8);
  }
  if (random.below(4) == 0) {
    const u64 count = random.below(70);
    std::memcpy(&s.memory[0x20], &count, 8);
  }
  s.rflags = 2 | (random.next() & 0x8D5);
  s.mxcsr = 0x1F80 | static_cast<u32>(random.next() & 0xE07F);
  if (random.below(2) == 0) s.mxcsr &= ~u32{0x3F};
  if (random.below(2) == 0) s.mxcsr &= ~u32{0x8040};
  // A flag that is already set when it is unmasked raises nothing; LDMXCSR may leave such a state behind.
  if (unmasked) s.mxcsr ^= static_cast<u32>(random.next() & 0x1F80);
  s.rdi = kDataAddress + 0x40;
  return s;
}

std::string describe(const MachineState& s) {
  std::string text;
  for (unsigned i = 0; i < 4; ++i) {
    text += "  xmm" + std::to_string(i) + " " + hex(s.xmm[i][1]) + ":" + hex(s.xmm[i][0]) + "  mm" +
            hex(s.significand[i]) + "  gpr " + hex(s.gpr[i]) + "\n";
  }
  u64 low;
  u64 high;
  std::memcpy(&low, &s.memory[0x20], 8);
  std::memcpy(&high, &s.memory[0x28], 8);
  return text + "  memory " + hex(high) + ":" + hex(low) + "\n";
}

}  // namespace bhvm::sse_test
