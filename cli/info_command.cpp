#include "cli/info_command.h"

#include <fmt/format.h>
#include <unistd.h>

#include <string>

#include "cli/output_stream.h"
#include "cpu/system/cpuid.h"
#include "machine/memory_map.h"
#include "machine/platform.h"
#include "machine/virtio_slots.h"
#include "softmmu/guest_memory.h"

namespace bhvm::cli {
namespace {

namespace map = memory_map;

struct Row {
  const char* where;
  u64 base;
  u64 size;
  const char* pin;
  const char* what;
};

constexpr Row kRows[] = {
    {"memory", map::kLegacyHoleBase, map::kLegacyHoleEnd - map::kLegacyHoleBase, "",
     "reserved; ACPI tables at 0xe0000"},
    {"memory", map::kVirtioBase, map::kVirtioSlots* map::kVirtioSlotSize, "16-23, 5-7, 10-12, 14, 15",
     "virtio-mmio slots: entropy, console, disks"},
    {"memory", map::kIoApicBase, IoApic::kSize, "", "I/O APIC, 24 pins"},
    {"memory", map::kHpetBase, Hpet::kSize, "2, 8, 3, 13", "HPET"},
    {"memory", map::kLapicBase, LocalApic::kSize, "", "local APIC"},
    {"port", map::kKeyboardCommandPort, 1, "", "reset by command FEh"},
    {"port", map::kRtcPort, CmosRtc::kSize, "8", "real-time clock"},
    {"port", map::kSystemControlPortA, 1, "", "system control port A: reset"},
    {"port", map::kExitPort, ExitPort::kSize, "", "exit: the byte written is the exit status"},
    {"port", map::kUartPort, Uart16550::kSize, "4", "serial port (16550A), the console ttyS0"},
    {"port", map::kPvPanicPort, 1, "", "pvpanic"},
    {"port", map::kPmPort, AcpiPm::kSize, "9", "ACPI power management and PM timer"},
    {"port", map::kResetPort, 1, "", "reset control"},
};

}  // namespace

int print_text(const std::string& text) {
  OutputStream out(STDOUT_FILENO, "standard output");
  out.put(text);
  out.flush();
  if (!out.error()) return 0;
  fmt::print(stderr, "bhvm: {}\n", out.error()->message);
  return 2;
}

int info_command() {
  std::string text = fmt::format("bhvm {}\n\nProcessor: {} ({}), one core\n", BHVM_VERSION, kCpuBrand, kCpuVendor);
  text += fmt::format("Time-stamp counter: {} MHz; local APIC timer: {} MHz\nFeatures:", kTscHz / 1'000'000,
                      kCrystalHz / 1'000'000);
  std::size_t column = 9;
  for (const CpuFeature& feature : cpu_features()) {
    if (column + 1 + feature.name.size() > 100) {
      text += "\n         ";
      column = 9;
    }
    text += fmt::format(" {}", feature.name);
    column += 1 + feature.name.size();
  }
  text += fmt::format("\n\nRAM from 0 to at most {:#x}, the rest from {:#x} on; up to {} disks\n\n",
                      GuestMemory::kLowLimit, GuestMemory::kHighBase, VirtioSlots::disks_max({}));
  text += fmt::format("{:<8}{:<26}{:<28}{}\n", "", "range", "IOAPIC pin", "");
  for (const Row& row : kRows) {
    text += fmt::format("{:<8}{:<26}{:<28}{}\n", row.where,
                        fmt::format("{:#x}-{:#x}", row.base, row.base + row.size - 1), row.pin, row.what);
  }
  return print_text(text);
}

}  // namespace bhvm::cli
