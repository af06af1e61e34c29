#include "cpu/x87/images.h"

#include <gtest/gtest.h>

#include <cstring>

namespace bhvm::x87 {
namespace {

X87State sample() {
  X87State x87;
  x87.control_word = 0x0F7F;
  x87.status_word = 0x3800;
  x87.regs[7] = float80::kOne;
  x87.regs[0] = float80::kPositiveZero;
  x87.regs[1] = float80::infinity(true);
  x87.valid_mask = 0x83;
  x87.fop = 0x5A5;
  x87.fip = 0x12345678;
  x87.fcs = 0x10;
  x87.fdp = 0x9ABCDEF0;
  x87.fds = 0x18;
  return x87;
}

template <class T>
T at(const std::array<u8, 28>& bytes, unsigned offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

TEST(X87Images, TagWordIsComputedFromTheContents) {
  // R7 valid (00), R1 infinity is special (10), R0 zero (01), the others empty.
  EXPECT_EQ(sample().tag_word(), 0b00'11'11'11'11'11'10'01);
  X87State x87;
  x87.set_tag_word(0b00'11'01'11'10'11'11'00);
  EXPECT_EQ(x87.valid_mask, 0b10101001);
}

TEST(X87Images, ProtectedModeEnvironment) {
  std::array<u8, 28> bytes;
  put_environment(sample(), {.wide = true, .protect = true}, bytes);
  EXPECT_EQ(at<u32>(bytes, 0), 0xFFFF0F7Fu);
  EXPECT_EQ(at<u32>(bytes, 4), 0xFFFF3800u);
  EXPECT_EQ(at<u32>(bytes, 12), 0x12345678u);
  EXPECT_EQ(at<u32>(bytes, 16), 0x05A50010u);
  EXPECT_EQ(at<u32>(bytes, 20), 0x9ABCDEF0u);
  EXPECT_EQ(at<u32>(bytes, 24), 0xFFFF0018u);
  X87State x87 = sample();
  x87.fip = x87.fdp = x87.fcs = x87.fds = x87.fop = 0;
  get_environment(x87, {.wide = true, .protect = true}, bytes);
  EXPECT_EQ(x87, sample());
}

TEST(X87Images, RealModeEnvironmentHoldsLinearAddresses) {
  std::array<u8, 28> bytes;
  X87State x87 = sample();
  x87.fip = 0x4321;
  x87.fcs = 0xF000;
  put_environment(x87, {.wide = true, .protect = false}, bytes);
  EXPECT_EQ(at<u16>(bytes, 12), 0x4321);
  EXPECT_EQ(at<u32>(bytes, 16), 0x0000F5A5u);
  get_environment(x87, {.wide = true, .protect = false}, bytes);
  EXPECT_EQ(x87.fip, 0xF4321u);
  EXPECT_EQ(x87.fcs, 0);
  EXPECT_EQ(x87.fop, 0x5A5);
  put_environment(x87, {.wide = false, .protect = false}, bytes);
  EXPECT_EQ(at<u16>(bytes, 6), 0x4321);
  EXPECT_EQ(at<u16>(bytes, 8), 0xF5A5);
}

TEST(X87Images, FxImageKeepsTheWholeState) {
  EXPECT_EQ(from_fx_image(to_fx_image(sample(), false), false), sample());
  X87State wide = sample();
  wide.fip = 0xFFFF800012345678;
  wide.fcs = wide.fds = 0;
  EXPECT_EQ(from_fx_image(to_fx_image(wide, true), true), wide);
}

TEST(X87Images, LoadingRecomputesTheErrorSummary) {
  X87State x87 = sample();
  x87.control_word = 0x037E;
  x87.status_word = x87_status::kIe;  // unmasked, without ES
  FxImage image = to_fx_image(x87, true);
  EXPECT_TRUE(from_fx_image(image, true).exception_pending());
}

TEST(X87Images, MmxAliasesTheSignificands) {
  X87State x87 = sample();
  x87.enter_mmx();
  x87.write_mmx(3, 0x0123456789ABCDEF);
  EXPECT_EQ(x87.top(), 0u);
  EXPECT_EQ(x87.valid_mask, 0xFF);
  EXPECT_EQ(x87.regs[3], (Float80{0x0123456789ABCDEF, 0xFFFF}));
}

}  // namespace
}  // namespace bhvm::x87
