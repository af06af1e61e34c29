// bhvm: the command.
#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "cli/info_command.h"
#include "cli/options.h"
#include "cli/replay_command.h"
#include "cli/run_command.h"
#include "cli/sim_command.h"

namespace bhvm::cli {
namespace {

int command(int argc, const char* const* argv) {
  const Result<Options> options = parse_options(argc, argv);
  if (!options) {
    fmt::print(stderr, "bhvm: {}\n", options.error().message);
    return 2;
  }
  switch (options.value().command) {
    case Options::Command::kNone:
      return print_text(options.value().text);
    case Options::Command::kInfo:
      return info_command();
    case Options::Command::kRun:
      return run_command(options.value().run);
    case Options::Command::kSim:
      return sim_command(options.value().sim);
    case Options::Command::kReplay:
      return replay_command(options.value().replay);
  }
  return 2;
}

}  // namespace
}  // namespace bhvm::cli

int main(int argc, char** argv) {
  try {
    return bhvm::cli::command(argc, argv);
  } catch (const std::bad_alloc&) {
    std::fputs("bhvm: The host has no memory left; give the guest less or run fewer machines.\n", stderr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bhvm: The host failed: %s.\n", error.what());
  }
  return 2;
}
