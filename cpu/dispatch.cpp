#include "cpu/dispatch.h"

#include <cstdlib>

#include "cpu/op.h"
#include "cpu/sse/translate.h"

#if BHVM_TWO_JUMPS
#include <cpuid.h>
#endif

namespace bhvm {
namespace {

#if BHVM_TWO_JUMPS
/// AMD processors from family 26 (1Ah) on. Others were found to lose by it, or not measured.
bool host_gains() {
  unsigned eax, ebx, ecx, edx;
  if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) == 0 || ebx != signature_AMD_ebx) return false;
  if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) == 0) return false;
  const unsigned family = ((eax >> 8) & 15) + ((eax >> 20) & 255);
  return family >= 26;
}
#else
bool host_gains() { return false; }
#endif

/// What BHVM_DISPATCH says; empty where it says nothing.
std::string_view said() {
  const char* const value = std::getenv("BHVM_DISPATCH");
  return value == nullptr ? std::string_view() : std::string_view(value);
}

Dispatch choose() {
  if (!has_two_jumps() || !sse::has_sse42_host()) return Dispatch::kByJump;
  for (const Dispatch one : {Dispatch::kByJump, Dispatch::kByTwoJumps}) {
    if (said() == name_of(one)) return one;
  }
  return host_gains() ? Dispatch::kByTwoJumps : Dispatch::kByJump;
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
