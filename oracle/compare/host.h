// Whose processor the host has: what the SDM leaves open, the vendors settle differently.
#pragma once

#include "base/types.h"

namespace bhvm::oracle {

enum class Host : u8 {
  kAny,  // of a row: on every host. Of a host: another vendor's
  kIntel,
  kAmd,
};

/// The vendor by CPUID.0 (SDM 2; AMD APM 3, E.3.1).
Host this_host();

}  // namespace bhvm::oracle
