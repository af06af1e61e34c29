// Values and targets: every kind that matters comes up, nothing forbidden does.
#include "oracle/generate/values.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "oracle/generate/fpu_state.h"
#include "oracle/generate/pristine_memory.h"
#include "oracle/generate/targets.h"

namespace bhvm::oracle {
namespace {

TEST(Values, FloatsOfEveryClass) {
  Dice dice(1, "test");
  std::map<int, int> classes32, classes64;
  for (int i = 0; i < 4000; ++i) {
    const u32 a = float32_value(dice);
    float f;
    std::memcpy(&f, &a, sizeof(f));
    classes32[std::fpclassify(f)] += 1;
    const u64 b = float64_value(dice);
    double d;
    std::memcpy(&d, &b, sizeof(d));
    classes64[std::fpclassify(d)] += 1;
  }
  for (const int c : {FP_NAN, FP_INFINITE, FP_ZERO, FP_SUBNORMAL, FP_NORMAL}) {
    EXPECT_GT(classes32[c], 20) << c;
    EXPECT_GT(classes64[c], 20) << c;
  }
}

TEST(Values, ExtendedFloatsIncludeWhatTheX87CallsUnsupported) {
  Dice dice(1, "test");
  int unnormal = 0, pseudo_denormal = 0, pseudo_infinity = 0, pseudo_nan = 0, ordinary = 0;
  for (int i = 0; i < 4000; ++i) {
    std::array<u8, 10> bytes{};
    float80_value(dice, bytes.data());
    u64 significand = 0;
    u16 exponent = 0;
    std::memcpy(&significand, bytes.data(), 8);
    std::memcpy(&exponent, bytes.data() + 8, 2);
    exponent &= 0x7FFF;
    const bool integer = significand >> 63 != 0;
    if (exponent == 0) pseudo_denormal += integer;
    if (exponent != 0 && exponent != 0x7FFF && !integer) unnormal += 1;
    if (exponent == 0x7FFF && !integer) (significand == 0 ? pseudo_infinity : pseudo_nan) += 1;
    if (exponent != 0 && exponent != 0x7FFF && integer) ordinary += 1;
  }
  EXPECT_GT(unnormal, 40);
  EXPECT_GT(pseudo_denormal, 20);
  EXPECT_GT(pseudo_infinity, 20);
  EXPECT_GT(pseudo_nan, 20);
  EXPECT_GT(ordinary, 2000);
}

TEST(Values, RelatedOnesAreOftenEqual) {
  Dice dice(1, "test");
  int equal = 0;
  for (int i = 0; i < 1000; ++i) {
    std::array<u8, 8> a{}, b{};
    fill_values(dice, ValueKind::kFloat64, a);
    fill_related(dice, ValueKind::kFloat64, a, b);
    equal += a == b ? 1 : 0;
  }
  EXPECT_GT(equal, 50);
  EXPECT_LT(equal, 400);
}

TEST(FpuState, CanBeLoadedAsItIs) {
  Dice dice(1, "test");
  int unmasked = 0, pending = 0, mmx = 0;
  std::set<unsigned> tops, roundings;
  for (int i = 0; i < 2000; ++i) {
    const FxImage image = random_fx_image(dice, 30);
    u16 control = 0, status = 0;
    u32 mxcsr = 0;
    std::memcpy(&control, image.data() + fx::kControl, 2);
    std::memcpy(&status, image.data() + fx::kStatus, 2);
    std::memcpy(&mxcsr, image.data() + fx::kMxcsr, 4);
    EXPECT_EQ(mxcsr & 0xFFFF0000, 0U);
    EXPECT_EQ(control & 0xE0C0, 0x40) << "reserved bits";
    const bool summary = (status & 0x80) != 0;
    EXPECT_EQ(summary, (status & ~control & 0x3F) != 0);
    EXPECT_EQ(summary, (status & 0x8000) != 0);
    unmasked += (mxcsr & 0x1F80) != 0x1F80;
    pending += summary;
    mmx += image[fx::kRegisters + 9] == 0xFF && image[fx::kRegisters + 8] == 0xFF;
    tops.insert(status >> 11 & 7);
    roundings.insert(mxcsr >> 13 & 3);
  }
  EXPECT_GT(unmasked, 300);
  EXPECT_GT(pending, 20);
  EXPECT_LT(pending, 300);
  EXPECT_GT(mmx, 100);
  EXPECT_EQ(tops.size(), 8U);
  EXPECT_EQ(roundings.size(), 4U);
}

TEST(Pristine, CodePagesAreInt3AndImagesAreValid) {
  Dice dice(1, "test");
  const PristineMemory memory = make_pristine(dice);
  for (unsigned page = 0; page < kRegionPages; ++page) {
    if (!is_code(kPageKinds[page])) continue;
    for (unsigned i = 0; i < kPageBytes; ++i) ASSERT_EQ(memory.bytes[page * kPageBytes + i], kInt3);
  }
  for (const u32 offset : memory.images[static_cast<unsigned>(ImageKind::kXsave)]) {
    EXPECT_EQ(offset % 64, 0U);
    u32 mxcsr = 0;
    u64 components = 0, reserved = 0;
    std::memcpy(&mxcsr, memory.bytes.data() + offset + fx::kMxcsr, 4);
    std::memcpy(&components, memory.bytes.data() + offset + 512, 8);
    std::memcpy(&reserved, memory.bytes.data() + offset + 520, 8);
    EXPECT_EQ(mxcsr >> 16, 0U);
    EXPECT_EQ(components & ~u64{3}, 0U);
    EXPECT_EQ(reserved, 0U);
  }
}

TEST(Targets, EveryKindOfPageAndCrossing) {
  Dice dice(1, "test");
  std::map<PageKind, int> kinds;
  std::set<unsigned> crossings;
  int good = 0, non_canonical = 0, upper = 0;
  constexpr int kTargets = 20000;
  for (int i = 0; i < kTargets; ++i) {
    AccessShape shape = shape_of_size(1U << dice.below(5));
    shape.writes = dice.coin();
    shape.kernel = dice.one_in(4);
    const u64 target = data_target(dice, shape, {page_linear(1) + 100, page_linear(1) + 110});
    ASSERT_FALSE(in_guest_program(target)) << std::hex << target;
    ASSERT_FALSE(in_guest_program(target + shape.size));
    if (in_region(target, 1)) kinds[kind_at(target)] += 1;
    const u64 last = target + shape.size - 1;
    if (in_region(target, shape.size) && target / kPageBytes != last / kPageBytes)
      crossings.insert(static_cast<unsigned>((target - kRegion) / kPageBytes));
    const u64 top = target >> 47;
    non_canonical += top != 0 && top != 0x1FFFF;
    upper += top == 0x1FFFF;
    const PageKind a = kind_at(target), b = kind_at(last);
    good += (a == PageKind::kData || a == PageKind::kWritableCode) &&
            (b == PageKind::kData || b == PageKind::kWritableCode);
  }
  for (const PageKind kind :
       {PageKind::kUnmapped, PageKind::kCode, PageKind::kData, PageKind::kReadOnly, PageKind::kSupervisor,
        PageKind::kReserved, PageKind::kSupervisorCode, PageKind::kWritableCode}) {
    EXPECT_GT(kinds[kind], 20) << static_cast<int>(kind);
  }
  for (const unsigned page : {5U, 7U, 8U, 10U, 12U, 14U, 17U, 18U}) EXPECT_TRUE(crossings.contains(page)) << page;
  EXPECT_GT(good, kTargets * 60 / 100);
  EXPECT_LT(good, kTargets * 85 / 100);
  EXPECT_GT(non_canonical, 50);
  EXPECT_GT(upper, 50);
}

TEST(Targets, StringsThatCountFarStartNearWhereTheyFault) {
  Dice dice(1, "test");
  for (int i = 0; i < 20000; ++i) {
    const u32 size = 1U << dice.below(4);
    const bool down = dice.coin();
    const u64 target = string_target(dice, u64{1} << 40, size, down, shape_of_size(size));
    ASSERT_FALSE(in_guest_program(target));
    // What a run from here goes through before it leaves the pages that can be read.
    u64 at = target, bytes = 0;
    const auto readable = [](PageKind kind) { return kind != PageKind::kUnmapped && kind != PageKind::kReserved; };
    while (bytes < 64 * 1024 && in_region(at, 1) && readable(kind_at(at))) {
      at = down ? at - 16 : at + 16;
      bytes += 16;
    }
    EXPECT_LT(bytes, 20000U) << std::hex << target << (down ? " down" : " up");
  }
}

}  // namespace
}  // namespace bhvm::oracle
