// The numbers of the parts of joined ops without vector instructions.
#pragma once

#include "cpu/integer/jump_handlers.h"
#include "cpu/integer/steps.h"
#include "cpu/joined_handlers.h"

namespace bhvm {

using namespace integer;

#define BHVM_JOINED_PART(number, ...) \
  template <>                         \
  inline constexpr u16 kPartNumber<__VA_ARGS__> = number;
#include "cpu/integer/joined_parts.inc"
#undef BHVM_JOINED_PART

}  // namespace bhvm
