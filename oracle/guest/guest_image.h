// The guest program's ELF file, as bytes of this process.
#pragma once

#include <span>

#include "base/types.h"

namespace bhvm::oracle {

std::span<const u8> guest_image();

}  // namespace bhvm::oracle
