// What the region holds before every case: INT3 fill, values of all kinds, save areas.
//
// The save areas are whole and valid; cases make them less so by patches.
#pragma once

#include <vector>

#include "oracle/case_group.h"
#include "oracle/generate/dice.h"

namespace bhvm::oracle {

inline constexpr u8 kInt3 = 0xCC;

/// Kinds of images that instructions load.
enum class ImageKind : u8 { kXsave, kEnvironment, kX87Save };
inline constexpr unsigned kImageKinds = 3;

struct PristineMemory {
  Pristine bytes{};
  /// Offsets of the images in the region. XSAVE areas (an FXSAVE image with a header) lie at multiples of 64.
  std::array<std::vector<u32>, kImageKinds> images;
};

PristineMemory make_pristine(Dice& dice);

}  // namespace bhvm::oracle
