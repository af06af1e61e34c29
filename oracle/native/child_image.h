// The child program's file, as a part of this library.
#pragma once

#include <span>

#include "base/types.h"

namespace bhvm::oracle::native {

std::span<const u8> child_image();

}  // namespace bhvm::oracle::native
