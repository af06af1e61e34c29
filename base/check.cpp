#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace bhvm {
namespace {

struct Context {
  CheckContextPrinter printer = nullptr;
  void* context = nullptr;
};

// The one piece of thread-local state in the project: it is read on the way to abort() only.
thread_local Context current;

}  // namespace

void set_check_context(CheckContextPrinter printer, void* context) { current = {printer, context}; }

void check_failed(const char* expression, const char* file, int line, std::string_view message) {
  std::fprintf(stderr, "bhvm: internal error: %.*s\n  at %s:%d, (%s)\n", static_cast<int>(message.size()),
               message.data(), file, line, expression);
  if (const Context context = current; context.printer != nullptr) {
    current = {};  // a check that fails inside the printer must not call it again
    context.printer(context.context);
  }
  std::abort();
}

}  // namespace bhvm
