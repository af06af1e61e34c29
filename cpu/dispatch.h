// How a handler goes on to the next op: by one indirect jump, or by one of two.
//
// Hosts keep where an indirect jump went by the jump and what came before it, and some of them forget soon. Two jumps,
// chosen by a bit of the next handler's address, lead to half as many places each, and which of the two it is, such
// hosts know well. What may be joined (cpu/joined_ops.h) has handlers of both kinds. They do the same work on the same
// ops, so nothing but speed depends on which a host gets (docs/PERFORMANCE.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/types.h"

namespace bhvm {

enum class Dispatch : u8 { kByJump, kByTwoJumps };

/// "jump" or "two-jumps".
std::string_view name_of(Dispatch dispatch);

/// Has this build handlers that go on by two jumps?
bool has_two_jumps();

/// How this process dispatches: by one jump, or as the environment's BHVM_DISPATCH says. Where this build or
/// the host has nothing else it is by one jump, whatever that says. Decided once.
Dispatch dispatch();

/// A sentence if BHVM_DISPATCH names none; dispatch() is by one jump then.
std::optional<std::string> wrong_dispatch();

}  // namespace bhvm
