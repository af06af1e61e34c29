// `bhvm info`: what the machine is, for a person.
#pragma once

#include <string>

namespace bhvm::cli {

/// Prints the processor's CPUID, the devices and the memory map; returns the exit status.
int info_command();

/// Prints a text on standard output; returns 0, or 2 with a sentence when it cannot be written.
int print_text(const std::string& text);

}  // namespace bhvm::cli
