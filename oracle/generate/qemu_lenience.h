// Undefined encodings that QEMU 7.2's TCG takes although the processor it models raises #UD: comparing them would tell
// nothing, so they are left out and listed.
#pragma once

#include <string_view>

#include "oracle/generate/encoding.h"

namespace bhvm::oracle {

/// Why QEMU takes an encoding that is #UD; empty if it does not.
std::string_view qemu_lenience(const Encoding& encoding);

}  // namespace bhvm::oracle
