#include "cpu/translated_shapes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "cpu/flags.h"
#include "cpu/joined_ops.h"

namespace bhvm {
namespace {

constexpr std::size_t kRoom = InstructionShape::kReadable;
constexpr u32 kMode = mode::kCode64 | mode::kFpuUsable | mode::kSseUsable | mode::kXsave;

BHVM_HANDLER(flags_needed) { BHVM_LEAVE; }
BHVM_HANDLER(flags_not_needed) { BHVM_LEAVE; }

/// Translates with the cache and without, and compares the ops and what they make of the flags around them.
class TranslatedShapesTest : public testing::Test {
 protected:
  /// One producer of flags for each flag, which tell what is read behind them.
  static void before(BlockBuilder& block) {
    block.begin(kMode);
    block.start_undecodable(0);
    for (const u64 flag : {rflags::kCf, rflags::kPf, rflags::kAf, rflags::kZf, rflags::kSf, rflags::kOf}) {
      block.emit(flags_needed, false);
      block.flags({.writes = static_cast<u16>(flag), .without_flags = flags_not_needed});
    }
  }
  /// Somebody who writes `writes`, so that what the instruction writes itself is seen.
  static void behind(BlockBuilder& block, u16 writes) {
    block.start_undecodable(0);
    block.emit(flags_needed, false);
    block.flags({.writes = writes});
    block.finish();
  }
  /// As they stand in a block: joined.
  static bool same_ops(BlockBuilder& a, BlockBuilder& b) {
    std::vector<OpKind> a_kinds(a.ops().size()), b_kinds(b.ops().size());
    join_ops(a.ops(), a.notes(), a_kinds);
    join_ops(b.ops(), b.notes(), b_kinds);
    return a_kinds == b_kinds && std::memcmp(a.ops().data(), b.ops().data(), a.ops().size() * sizeof(Op)) == 0;
  }

  void compare(std::span<const u8> bytes, u16 page_offset) {
    Instruction* insn = nullptr;
    const InstructionShape shape = InstructionShape::of(bytes);
    if (decodings_.decode(bytes, shape, true, insn) != Decoded::kYes) {
      BlockBuilder block;
      block.begin(kMode);
      if (shape) ASSERT_EQ(shapes_.repeat(block, shape, bytes.data(), page_offset), 0U);
      return;
    }
    insn->page_offset = page_offset;
    insn->mode = kMode;
    const Translator translator = translators().find(insn->z.mnemonic);
    if (translator == nullptr) return;
    const u16 writes_behind =
        static_cast<u16>(random_() % 2 == 0 ? rflags::kArithmetic : random_() & rflags::kArithmetic);

    BlockBuilder repeated;
    before(repeated);
    const unsigned length = shape ? shapes_.repeat(repeated, shape, bytes.data(), page_offset) : 0;
    BlockBuilder fresh;
    before(fresh);
    fresh.start_instruction(*insn);
    const bool known = translator(fresh, *insn);
    if (known && decodings_.numbers() != nullptr) {
      if (!shapes_.keep(fresh, *insn, bytes.data(), *decodings_.numbers())) decodings_.keep();
    }
    if (length == 0) return;
    repeats_ += 1;
    behind(repeated, writes_behind);
    behind(fresh, writes_behind);
    ASSERT_TRUE(known) << describe(bytes, *insn);
    ASSERT_EQ(length, insn->length()) << describe(bytes, *insn);
    ASSERT_TRUE(same_ops(fresh, repeated)) << describe(bytes, *insn);
  }

  static std::string describe(std::span<const u8> bytes, const Instruction& insn) {
    std::string text = ZydisMnemonicGetString(insn.z.mnemonic);
    for (unsigned i = 0; i < insn.length(); ++i) text += " " + std::to_string(bytes[i]);
    return text + " at " + std::to_string(insn.page_offset);
  }

  std::mt19937_64 random_{1};
  DecodedShapes decodings_;
  TranslatedShapes shapes_;
  unsigned repeats_ = 0;
};

TEST_F(TranslatedShapesTest, EveryOpcodeWithOtherNumbersAtAnotherPlace) {
  const std::array<std::vector<u8>, 9> prefixes = {
      {{}, {0x48}, {0x66}, {0xF2}, {0xF3}, {0x66, 0x4D}, {0x67, 0x45}, {0x64, 0xF0, 0x41}, {0x65, 0x48}}};
  const std::array<std::vector<u8>, 4> maps = {{{}, {0x0F}, {0x0F, 0x38}, {0x0F, 0x3A}}};
  for (const auto& prefix : prefixes) {
    for (const auto& map : maps) {
      for (unsigned opcode = 0; opcode < 256; ++opcode) {
        for (unsigned modrm = 0; modrm < 256; modrm += 3) {
          const u8 sib = static_cast<u8>(random_());
          for (unsigned round = 0; round < 4; ++round) {
            std::array<u8, kRoom> bytes{};
            for (u8& byte : bytes) byte = static_cast<u8>(random_() % 3 == 0 ? random_() % 3 : random_());
            auto at = std::ranges::copy(prefix, bytes.begin()).out;
            at = std::ranges::copy(map, at).out;
            *at++ = static_cast<u8>(opcode);
            *at++ = static_cast<u8>(modrm);
            if ((modrm & 0xC0) != 0xC0 && (modrm & 7) == 4) *at = sib;
            ASSERT_NO_FATAL_FAILURE(compare(bytes, static_cast<u16>(random_() % kPageSize)));
          }
        }
      }
    }
  }
  EXPECT_GT(repeats_, 100'000U);
}

TEST_F(TranslatedShapesTest, AnAddressBeyondWhatAnOpHoldsIsTranslatedAnew) {
  std::array<u8, kRoom> bytes{0x48, 0x8B, 0x05};  // MOV RAX, [RIP + disp32]
  compare(bytes, 0x10);
  compare(bytes, 0x20);
  EXPECT_EQ(repeats_, 1U);
  for (unsigned i = 3; i < 7; ++i) bytes[i] = i == 6 ? 0x7F : 0xFF;
  compare(bytes, 0x20);
  EXPECT_EQ(repeats_, 1U);
}

TEST_F(TranslatedShapesTest, AnotherModeIsAnotherTranslation) {
  std::array<u8, kRoom> bytes{0x0F, 0x58, 0xC1};  // ADDPS XMM0, XMM1
  compare(bytes, 0);
  BlockBuilder block;
  block.begin(kMode & ~mode::kSseUsable);
  const InstructionShape shape = InstructionShape::of(bytes);
  EXPECT_EQ(shapes_.repeat(block, shape, bytes.data(), 0), 0U);
  block.begin(kMode);
  EXPECT_EQ(shapes_.repeat(block, shape, bytes.data(), 0), 3U);
}

}  // namespace
}  // namespace bhvm
