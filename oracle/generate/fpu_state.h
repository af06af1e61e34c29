// x87, MMX and SSE state of cases: FXSAVE64 images that FXRSTOR64 takes as they are.
//
// Reserved bits are zero and ES agrees with flags and masks, so that what is loaded is what stands in the image.
#pragma once

#include <array>
#include <vector>

#include "base/types.h"
#include "oracle/generate/dice.h"

namespace bhvm::oracle {

using FxImage = std::array<u8, 512>;

namespace fx {
// Offsets in the image (SDM 1, 10.5.1).
inline constexpr unsigned kControl = 0;
inline constexpr unsigned kStatus = 2;
inline constexpr unsigned kTags = 4;
inline constexpr unsigned kOpcode = 6;
inline constexpr unsigned kInstruction = 8;
inline constexpr unsigned kData = 16;
inline constexpr unsigned kMxcsr = 24;
inline constexpr unsigned kMxcsrMask = 28;
inline constexpr unsigned kRegisters = 32;  // ST0 first, 16 bytes each
inline constexpr unsigned kXmm = 160;
inline constexpr unsigned kUsed = 416;
}  // namespace fx

/// A random state. `unmasked` in percent: how many have exceptions unmasked, x87's and SSE's each.
FxImage random_fx_image(Dice& dice, u32 unmasked_percent);
u16 random_control_word(Dice& dice, u32 unmasked_percent);
u32 random_mxcsr(Dice& dice, u32 unmasked_percent);

/// States to draw from, since most cases do not look at them closely.
class FxPool {
 public:
  explicit FxPool(Dice& dice);
  const FxImage& pick(Dice& dice) const { return images_[dice.below(static_cast<u32>(images_.size()))]; }

 private:
  std::vector<FxImage> images_;
};

}  // namespace bhvm::oracle
