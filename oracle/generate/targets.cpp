#include "oracle/generate/targets.h"

#include <algorithm>
#include <bit>

namespace bhvm::oracle {
namespace {

constexpr u64 kPage = kPageBytes;
/// Pages around the guest program that nothing is aimed at: 2^40 bytes to both sides.
constexpr u64 kKeepAway = u64{1} << 40;

constexpr unsigned kReadWrite[] = {7, 8, 10, 12, 14, 7, 8, 10, 17, 18, 5};
constexpr unsigned kReadable[] = {9, 9, 1, 2, 4};
constexpr unsigned kSupervisor[] = {13, 23, 24, 25};

u64 offset_in_page(Dice& dice, const AccessShape& shape) {
  const u32 room = static_cast<u32>(kPage) - std::min(shape.size, static_cast<u32>(kPage));
  u64 offset = dice.below(room + 1);
  // What must be aligned is so more often.
  if (!dice.one_in(shape.alignment >= 16 ? 8 : 3)) offset &= ~u64{std::max(shape.alignment, 1U) - 1};
  return offset;
}

u64 somewhere_in(Dice& dice, unsigned page, const AccessShape& shape) {
  return page_linear(page) + offset_in_page(dice, shape);
}

/// An access that begins in a page and ends in the next.
u64 across(Dice& dice, unsigned page, const AccessShape& shape) {
  const u32 first = shape.size > 1 ? 1 + dice.below(std::min(shape.size, 64U) - 1) : 0;
  return page_linear(page + 1) - first;
}

u64 high_target(Dice& dice, const AccessShape& shape) {
  switch (dice.below(6)) {
    case 0:
      return 0x00007FFFFFFFFFFF - dice.below(shape.size + 2);  // up to and across the end of the lower half
    case 1:
      return 0xFFFF800000000000 - dice.below(shape.size + 8);
    case 2:
      return u64{0} - 1 - dice.below(shape.size + 2);
    case 3:
      return (dice.bits() >> 1) | u64{1} << 62;  // far from canonical
    case 4:
      return (dice.bits() >> 16) | 0x0000800000000000;
    default:
      return kernel_half_address(dice);
  }
}

u64 good_target(Dice& dice, const AccessShape& shape) {
  const u32 r = dice.below(100);
  if (r < (shape.alignment >= 16 ? 4 : 12)) return across(dice, 7, shape);
  if (r >= 12 && r < 15) return across(dice, 17, shape);
  if (!shape.writes && r >= 15 && r < 26) return somewhere_in(dice, dice.pick(kReadable), shape);
  if (shape.kernel && r >= 26 && r < 34) return somewhere_in(dice, dice.pick(kSupervisor), shape);
  if (r >= 34 && r < 38) return somewhere_in(dice, 27 + dice.below(2), shape);
  return somewhere_in(dice, dice.pick(kReadWrite), shape);
}

u64 bad_target(Dice& dice, const AccessShape& shape) {
  static constexpr unsigned kCrossings[] = {8, 10, 12, 14, 5, 18};
  static constexpr unsigned kSingles[] = {9, 9, 11, 16, 13, 13, 15, 15, 0, 3, 2, 20, 26, 29};
  const u32 r = dice.below(100);
  if (r < 35) return across(dice, dice.pick(kCrossings), shape);
  if (r < 75) return somewhere_in(dice, dice.pick(kSingles), shape);
  if (r < 82) return dice.below(4096);
  if (shape.below_4g) return r < 90 ? 0xFFFFFFFF - dice.below(shape.size + 2) : dice.bits() & 0xFFFFFFFF;
  return high_target(dice, shape);
}

bool keeps_away(u64 address, const CodePlace& code, u64 size) {
  return address + size + 16 <= code.start || address >= code.end + 16;
}

}  // namespace

bool in_region(u64 linear, u64 size) {
  return linear >= kRegion && linear - kRegion < kRegionBytes && size <= kRegionBytes - (linear - kRegion);
}

PageKind kind_at(u64 linear) {
  return in_region(linear, 1) ? kPageKinds[(linear - kRegion) / kPage] : PageKind::kUnmapped;
}

bool is_code(PageKind kind) {
  return kind == PageKind::kCode || kind == PageKind::kSupervisorCode || kind == PageKind::kWritableCode;
}

bool in_guest_program(u64 linear) { return linear - kDirectMap < (u64{1} << 33); }

AccessShape shape_of_size(u32 size) {
  AccessShape shape;
  shape.size = std::max(size, 1U);
  shape.alignment = std::min(std::bit_floor(shape.size), 64U);
  return shape;
}

u64 kernel_half_address(Dice& dice) {
  u64 address = 0xFFFF800000000000 | (dice.bits() >> 17);
  if (address - (kDirectMap - kKeepAway) < 2 * kKeepAway) address ^= u64{1} << 45;
  return address;
}

u64 data_target(Dice& dice, const AccessShape& shape, const CodePlace& code) {
  u64 target = dice.percent(76) ? good_target(dice, shape) : bad_target(dice, shape);
  // Code that changes itself could go on forever.
  if (shape.writes && !keeps_away(target, code, shape.size)) target = somewhere_in(dice, 8, shape);
  return target;
}

u64 stack_target(Dice& dice, u32 below, u32 above, bool below_4g) {
  const u32 r = dice.below(100);
  const u64 top = page_linear(kStackTopPage);
  const u64 bottom = page_linear(17);
  if (r < 70) {
    const u64 low = bottom + std::min<u64>(below + 64, kPage);
    const u64 high = top - std::min<u64>(above + 64, kPage);
    u64 sp = low + dice.below(static_cast<u32>(high - low));
    return r < 58 ? sp & ~u64{15} : sp;
  }
  if (r < 76) return page_linear(18) + static_cast<u64>(dice.between(-40, 40));  // across its two pages
  if (r < 81) return bottom + dice.below(below + 16);                            // runs out downwards
  if (r < 86) return top - dice.below(above + 16);                               // and upwards
  if (r < 89) return page_linear(10) + static_cast<u64>(dice.between(-24, 24));  // over a read-only page
  if (r < 91) return page_linear(14) - dice.below(32);                           // under a supervisor page
  if (r < 94) return page_linear(8) + (dice.below(static_cast<u32>(kPage)) & ~7U);
  if (r < 97) return page_linear(dice.pick({9U, 11U, 13U, 15U, 16U})) + 8 * dice.below(500);
  if (below_4g) return r < 98 ? dice.below(64) : 0xFFFFFFFF - dice.below(64);
  return high_target(dice, {.size = 8});
}

u64 string_target(Dice& dice, u64 count, u32 size, bool down, const AccessShape& shape) {
  constexpr u64 kShort = 512;
  const u64 bytes = count > kShort ? kShort + 1 : count * size;
  if (bytes <= kShort && dice.percent(80)) {
    // Room for all of it in pages 7 and 8, or 17 and 18.
    const u64 low = page_linear(dice.percent(80) ? 7 : 17) + 64;
    const u64 start = low + dice.below(static_cast<u32>(2 * kPage - 192 - bytes));
    return down ? start + bytes : start;
  }
  // Near the end of a page behind which it cannot go on.
  static constexpr unsigned kLastUp[] = {8, 10, 12, 14, 18, 28};
  static constexpr unsigned kFirstDown[] = {7, 17, 10, 12};
  if (dice.percent(85)) {
    const u64 room = dice.below(40) * size + dice.below(size + 1);
    return down ? page_linear(dice.pick(kFirstDown)) + room : page_linear(dice.pick(kLastUp) + 1) - room;
  }
  u64 target = bad_target(dice, shape);
  // A long run must not start where it could go through several pages.
  if (bytes > kShort && in_region(target, 1)) target = page_linear(11) + dice.below(4096);
  return target;
}

u64 fill_target(Dice& dice, const CodePlace& code) {
  static constexpr unsigned kPages[] = {1, 2, 4};
  for (;;) {
    const u64 target = page_linear(dice.pick(kPages)) + dice.below(static_cast<u32>(kPage));
    if (keeps_away(target, code, 1)) return target;
  }
}

u64 branch_target(Dice& dice, const CodePlace& code, bool below_4g, bool kernel) {
  const u32 r = dice.below(100);
  if (r < 78) return fill_target(dice, code);
  if (r < 82) return page_linear(dice.pick({3U, 11U, 29U})) + dice.below(4096);
  if (r < 86) return page_linear(dice.pick({5U, 8U, 9U, 15U})) + dice.below(4096);
  if (r < 90) return page_linear(26) + dice.below(4096);
  if (r < 92) return dice.below(4096);
  if (kernel && r < 94) return page_linear(13) + dice.below(4096);
  return below_4g ? (dice.bits() & 0xFFFFFFFF) | 0x80000000 : high_target(dice, {.size = 1});
}

}  // namespace bhvm::oracle
