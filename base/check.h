// Checks for our own bugs. They stay on in release builds: an emulator that goes on after a broken invariant produces a
// plausible wrong answer, which is worse than none. A guest's or a user's mistake is never a check; see base/result.h.
#pragma once

#include <string_view>

namespace bhvm {

/// Called with the text of a failed check before the process aborts; may print context (seed, instruction number, rip).
using CheckContextPrinter = void (*)(void* context);

/// Registers, for the calling thread, who knows the context of a failure; nullptr unregisters.
void set_check_context(CheckContextPrinter printer, void* context);

[[noreturn, gnu::cold, gnu::noinline]] void check_failed(const char* expression, const char* file, int line,
                                                         std::string_view message);

}  // namespace bhvm

/// BHVM_CHECK(condition, "a sentence"): aborts with the sentence when the condition does not hold.
#define BHVM_CHECK(condition, message)                                      \
  (__builtin_expect(static_cast<bool>(condition), 1) ? static_cast<void>(0) \
                                                     : ::bhvm::check_failed(#condition, __FILE__, __LINE__, message))

/// BHVM_UNREACHABLE("a sentence"): the same where no condition is left to test.
#define BHVM_UNREACHABLE(message) ::bhvm::check_failed("unreachable", __FILE__, __LINE__, message)
