// What rows with vector operations are made of (cpu/joined_ops.h).
//
// They are for hosts that have the instructions, with flags of their own. What they share with handlers for any host is
// instantiated in cpu/sse/shared_handlers.cpp alone, so that no other host runs what was compiled for these; what rows
// share with each other in cpu/sse/joined_rows.cpp.
#pragma once

#include "cpu/integer/part_numbers.h"
#include "cpu/sse/aes.h"
#include "cpu/sse/carryless.h"
#include "cpu/sse/float_forms.h"
#include "cpu/sse/float_semantics.h"
#include "cpu/sse/forms.h"
#include "cpu/sse/lanes.h"
#include "cpu/sse/moves.h"
#include "cpu/sse/shuffles.h"

#if !defined(BHVM_SHARED)
#define BHVM_SHARED extern template
#endif
#if !defined(BHVM_VECTOR)
#define BHVM_VECTOR extern template
#endif

namespace bhvm {

using namespace sse;

namespace sse::inline BHVM_SSE_HOST {

#if defined(__AES__)
namespace cipher = aes::host;
#else
namespace cipher = aes;
#endif

}  // namespace sse::inline BHVM_SSE_HOST

#define BHVM_JOINED_PART(number, ...) \
  template <>                         \
  inline constexpr u16 kPartNumber<__VA_ARGS__> = number;
#include "cpu/sse/joined_parts.inc"
#undef BHVM_JOINED_PART

#define BHVM_SHARED_HANDLER(...) BHVM_SHARED BHVM_HANDLER(__VA_ARGS__);
#define BHVM_VECTOR_HANDLER(...) BHVM_VECTOR BHVM_HANDLER(__VA_ARGS__);
#include "cpu/shared_handlers.inc"
#undef BHVM_VECTOR_HANDLER
#undef BHVM_SHARED_HANDLER

}  // namespace bhvm
