#include "oracle/generate/fpu_state.h"

#include <cstring>

#include "oracle/generate/values.h"

namespace bhvm::oracle {
namespace {

constexpr unsigned kPoolSize = 512;
constexpr u16 kExceptions = 0x3F;
constexpr u16 kErrorSummary = 1 << 7;
constexpr u16 kBusy = 1 << 15;

template <class T>
void put(FxImage& image, unsigned offset, T value) {
  std::memcpy(image.data() + offset, &value, sizeof(T));
}

u16 random_status(Dice& dice, u16 control) {
  const u64 r = dice.bits();
  u16 status = static_cast<u16>(r & 0x4700);                                // C0 to C3
  status = static_cast<u16>(status | (dice.percent(40) ? 0 : r & 0x3800));  // TOP
  if (dice.percent(40)) status = static_cast<u16>(status | (r >> 16 & 0x7F));
  const unsigned pending = status & ~control & kExceptions;
  if (pending == 0) return status;
  // An exception that is pending makes nearly every instruction raise #MF: a few of those are enough.
  if (!dice.percent(25)) return static_cast<u16>(status & ~pending);
  return static_cast<u16>(status | kErrorSummary | kBusy);
}

u8 random_tags(Dice& dice) {
  const u32 r = dice.below(10);
  if (r < 5) return 0xFF;
  return r == 5 ? u8{0} : static_cast<u8>(dice.bits());
}

ValueKind random_kind(Dice& dice) {
  return dice.pick({ValueKind::kInteger, ValueKind::kFloat32, ValueKind::kFloat64, ValueKind::kFloat32,
                    ValueKind::kFloat64, ValueKind::kText});
}

}  // namespace

u16 random_control_word(Dice& dice, u32 unmasked_percent) {
  const u64 r = dice.bits();
  u16 control = 0x40;                                                            // reserved, reads as 1
  control = static_cast<u16>(control | (dice.percent(40) ? 0x300 : r & 0x300));  // precision control
  control = static_cast<u16>(control | (dice.percent(40) ? 0 : r & 0x1C00));     // rounding control, infinity control
  return static_cast<u16>(control | (dice.percent(unmasked_percent) ? r >> 16 & kExceptions : kExceptions));
}

u32 random_mxcsr(Dice& dice, u32 unmasked_percent) {
  constexpr u32 kMasks = 0x1F80;
  const u64 r = dice.bits();
  u32 mxcsr = dice.percent(unmasked_percent) ? static_cast<u32>(r) & kMasks : kMasks;
  if (dice.coin()) mxcsr |= static_cast<u32>(r >> 16) & 0x3F;         // sticky flags
  if (!dice.percent(40)) mxcsr |= static_cast<u32>(r) & 0x6000;       // rounding control
  if (dice.percent(25)) mxcsr |= static_cast<u32>(r >> 32) & 0x8040;  // FTZ, DAZ
  return mxcsr;
}

FxImage random_fx_image(Dice& dice, u32 unmasked_percent) {
  FxImage image{};
  const u16 control = random_control_word(dice, unmasked_percent);
  put<u16>(image, fx::kControl, control);
  put<u16>(image, fx::kStatus, random_status(dice, control));
  put<u8>(image, fx::kTags, random_tags(dice));
  put<u32>(image, fx::kMxcsr, random_mxcsr(dice, unmasked_percent));
  put<u32>(image, fx::kMxcsrMask, 0xFFFF);
  const bool mmx = dice.percent(20);
  for (unsigned i = 0; i < 8; ++i) {
    u8* reg = image.data() + fx::kRegisters + 16 * i;
    if (mmx || dice.percent(5)) {
      fill_values(dice, random_kind(dice), {reg, 8});
      reg[8] = reg[9] = 0xFF;
    } else {
      float80_value(dice, reg);
    }
  }
  for (unsigned i = 0; i < 16; ++i) {
    u8* reg = image.data() + fx::kXmm + 16 * i;
    if (dice.one_in(12)) continue;  // zero
    fill_values(dice, random_kind(dice), {reg, 16});
  }
  return image;
}

FxPool::FxPool(Dice& dice) {
  constexpr u32 kUnmaskedPercent = 20;
  images_.reserve(kPoolSize);
  for (unsigned i = 0; i < kPoolSize; ++i) images_.push_back(random_fx_image(dice, kUnmaskedPercent));
}

}  // namespace bhvm::oracle
