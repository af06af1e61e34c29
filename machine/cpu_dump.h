// The processor's registers as text, for a person who wants to know why a guest stopped.
#pragma once

#include <string>

#include "cpu/cpu_state.h"
#include "machine/elf_image.h"
#include "softmmu/guest_memory.h"

namespace bhvm {

/// General, segment, control and debug registers, the symbolised rip and the bytes it points at; several lines.
/// `kernel` may be null.
std::string dump_cpu(const CpuState& cpu, const GuestMemory& memory, const ElfImage* kernel);

}  // namespace bhvm
