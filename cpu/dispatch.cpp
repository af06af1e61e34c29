#include "cpu/dispatch.h"

#include <cstdlib>

#include "cpu/op.h"
#include "cpu/sse/translate.h"

namespace bhvm {
namespace {

/// What BHVM_DISPATCH says; empty where it says nothing.
std::string_view said() {
  const char* const value = std::getenv("BHVM_DISPATCH");
  return value == nullptr ? std::string_view() : std::string_view(value);
}

/// No host that was measured gains by two jumps any more, with the rows of joined ops as many as they are.
Dispatch choose() {
  const bool can_choose = has_two_jumps() && sse::has_sse42_host();
  return can_choose && said() == name_of(Dispatch::kByTwoJumps) ? Dispatch::kByTwoJumps : Dispatch::kByJump;
}

}  // namespace

std::string_view name_of(Dispatch dispatch) { return dispatch == Dispatch::kByTwoJumps ? "two-jumps" : "jump"; }

#if BHVM_TWO_JUMPS
bool has_two_jumps() { return true; }
#else
bool has_two_jumps() { return false; }
#endif

std::optional<std::string> wrong_dispatch() {
  if (said().empty() || said() == name_of(Dispatch::kByJump) || said() == name_of(Dispatch::kByTwoJumps)) return {};
  return "BHVM_DISPATCH is '" + std::string(said()) + "'; say 'jump' or 'two-jumps', or leave it out.";
}

Dispatch dispatch() {
  static const Dispatch chosen = choose();
  return chosen;
}

}  // namespace bhvm
