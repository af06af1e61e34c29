// Starting a Linux kernel by the 64-bit boot protocol (Documentation/arch/x86/boot.rst, "64-bit boot protocol").
//
// The loader is the board's firmware: it lays the kernel, the initrd, the command line and the zero page into RAM,
// builds identity page tables for the first 4 GiB and a GDT, and yields the processor's state at the kernel's entry.
#pragma once

#include <span>
#include <string>

#include "base/result.h"
#include "base/types.h"
#include "cpu/cpu_state.h"
#include "machine/elf_image.h"
#include "softmmu/guest_memory.h"

namespace bhvm {

inline constexpr std::size_t kCommandLineMax = 2047;  // COMMAND_LINE_SIZE on x86, without the terminating zero

struct LinuxBoot {
  const ElfImage* kernel = nullptr;
  std::span<const u8> initrd;
  std::string command_line;
  PhysicalAddress acpi_rsdp;
};

/// Loads everything and sets the fields of `state` that the protocol prescribes; the rest of `state` is left at reset.
Status load_linux(GuestMemory& memory, const LinuxBoot& boot, CpuState& state);

/// The command line as the guest gets it: `append`, with console=ttyS0 in front of it unless it names a console itself.
std::string complete_command_line(const std::string& append);

}  // namespace bhvm
