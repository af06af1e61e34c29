#include "cpu/decoded_shapes.h"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <random>
#include <span>
#include <vector>

namespace bhvm {
namespace {

constexpr std::size_t kRoom = 32;  // bytes: an instruction, and what the cache wants to see behind it

/// Decodes with the cache and without, compares everything that Zydis says, and keeps it.
class DecodedShapesTest : public testing::Test {
 protected:
  void compare(std::span<const u8> bytes, bool code64 = true) {
    Instruction plain{};
    Instruction* cached = nullptr;
    const Decoded expected = decoder_.decode(bytes, code64, plain);
    ASSERT_EQ(shapes_.decode(bytes, InstructionShape::of(bytes), code64, cached), expected);
    if (expected != Decoded::kYes) return;
    decoded_ += 1;
    shapes_.keep();
    ASSERT_EQ(std::memcmp(&plain.z, &cached->z, sizeof plain.z), 0) << describe(bytes, plain);
    for (unsigned i = 0; i < plain.z.operand_count; ++i) {
      ASSERT_EQ(std::memcmp(&plain.operands[i], &cached->operands[i], sizeof plain.operands[i]), 0)
          << describe(bytes, plain) << " operand " << i;
    }
  }

  static std::string describe(std::span<const u8> bytes, const Instruction& insn) {
    std::string text = ZydisMnemonicGetString(insn.z.mnemonic);
    for (unsigned i = 0; i < insn.length(); ++i) text += " " + std::to_string(bytes[i]);
    return text;
  }

  Decoder decoder_;
  DecodedShapes shapes_;
  unsigned decoded_ = 0;
};

TEST_F(DecodedShapesTest, NumbersBehindTheSameShapeAreReadAnew) {
  std::array<u8, kRoom> bytes{0x48, 0xC7, 0x84, 0x8B};  // MOV QWORD [RBX + RCX * 4 + disp32], imm32
  for (const unsigned number : {0x01U, 0x7FU, 0x80U, 0xFFU}) {
    for (unsigned at = 4; at < 12; ++at) {
      bytes[at] = static_cast<u8>(number);
      compare(bytes);
    }
  }
  EXPECT_EQ(decoded_, 32U);
}

TEST_F(DecodedShapesTest, EveryOpcodeWithEveryKindOfNumber) {
  std::mt19937_64 random(1);
  const std::array<std::vector<u8>, 8> prefixes = {
      {{}, {0x48}, {0x66}, {0xF2}, {0xF3}, {0x66, 0x4D}, {0x67, 0x45}, {0x64, 0xF0, 0x41}}};
  const std::array<std::vector<u8>, 4> maps = {{{}, {0x0F}, {0x0F, 0x38}, {0x0F, 0x3A}}};
  for (const auto& prefix : prefixes) {
    for (const auto& map : maps) {
      for (unsigned opcode = 0; opcode < 256; ++opcode) {
        for (unsigned modrm = 0; modrm < 256; modrm += 3) {
          for (unsigned round = 0; round < 2; ++round) {
            std::array<u8, kRoom> bytes{};
            for (u8& byte : bytes) byte = static_cast<u8>(random());
            auto at = std::ranges::copy(prefix, bytes.begin()).out;
            at = std::ranges::copy(map, at).out;
            *at++ = static_cast<u8>(opcode);
            *at = static_cast<u8>(modrm);
            ASSERT_NO_FATAL_FAILURE(compare(bytes));
          }
        }
      }
    }
  }
  EXPECT_GT(decoded_, 500'000U);
}

TEST_F(DecodedShapesTest, AnyBytesInBothModesAndAtTheEnd) {
  std::mt19937_64 random(2);
  for (unsigned i = 0; i < 400'000; ++i) {
    std::array<u8, kRoom> bytes{};
    for (u8& byte : bytes) byte = static_cast<u8>(random());
    const bool code64 = random() % 4 != 0;
    const std::size_t size = random() % 4 != 0 ? bytes.size() : random() % bytes.size();
    ASSERT_NO_FATAL_FAILURE(compare(std::span(bytes).first(size), code64));
  }
}

TEST_F(DecodedShapesTest, WhatIsToBeKeptIs) {
  const std::array<u8, kRoom> add{0x01, 0xC8}, sub{0x29, 0xC8};
  const auto decode = [&](std::span<const u8> bytes) {
    Instruction* insn = nullptr;
    EXPECT_EQ(shapes_.decode(bytes, InstructionShape::of(bytes), true, insn), Decoded::kYes);
    EXPECT_NE(shapes_.numbers(), nullptr);
    return insn;
  };
  decode(add);
  shapes_.keep();
  const Instruction* const kept = decode(add);
  decode(sub);
  EXPECT_EQ(kept->z.mnemonic, ZYDIS_MNEMONIC_ADD);
  EXPECT_EQ(decode(add), kept);
  EXPECT_EQ(decode(sub)->z.mnemonic, ZYDIS_MNEMONIC_SUB);
}

TEST_F(DecodedShapesTest, ShapesAreTheBytesInFrontOfTheNumbers) {
  const auto size = [](std::vector<u8> bytes) {
    bytes.resize(kRoom, 0xFF);
    return unsigned{InstructionShape::of(bytes).size};
  };
  EXPECT_EQ(size({0x90}), 1U);                                      // NOP
  EXPECT_EQ(size({0x74, 0x10}), 1U);                                // JZ rel8
  EXPECT_EQ(size({0x48, 0x8B, 0x44, 0x24, 0x08}), 4U);              // MOV RAX, [RSP + 8]
  EXPECT_EQ(size({0x66, 0x0F, 0x3A, 0x17, 0x44, 0x24, 1, 2}), 6U);  // EXTRACTPS [RSP + 1], XMM0, 2
  EXPECT_EQ(size({0xF0, 0x65, 0xF2, 0x4E, 0x0F, 0x38, 0xF0, 0x00}), 8U);
  EXPECT_EQ(size({0xF0, 0x65, 0xF2, 0x4E, 0x0F, 0x38, 0xF0, 0x04, 0x00}), 0U);  // nine
  EXPECT_EQ(size({0xC5, 0xF8, 0x77}), 0U);                                      // VEX
  EXPECT_EQ(size({0x0F, 0x0F, 0xC0, 0x9E}), 0U);                                // 3DNow
  const std::vector<u8> few(InstructionShape::kReadable - 1, 0x90);
  EXPECT_FALSE(InstructionShape::of(few));
}

}  // namespace
}  // namespace bhvm
