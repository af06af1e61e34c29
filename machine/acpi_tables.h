// The ACPI tables that describe the board to the guest (ACPI 6.4, chapter 5): RSDP, XSDT, FADT, FACS, MADT, HPET, DSDT.
//
// They are one image, laid at a fixed address in the legacy hole; a function of the board's description alone.
#pragma once

#include <string>
#include <vector>

#include "base/types.h"

namespace bhvm {

/// What varies between boards: the occupied virtio slots.
struct AcpiVirtioSlot {
  u64 base = 0;  // physical
  u32 gsi = 0;
};

struct AcpiTables {
  struct Table {
    std::string signature;
    u64 offset = 0;  // into the image
    u64 size = 0;
  };
  u64 base = 0;  // physical address of the image; the RSDP stands first
  std::vector<u8> image;
  std::vector<Table> tables;  // without the RSDP
};

AcpiTables build_acpi_tables(u64 base, const std::vector<AcpiVirtioSlot>& virtio_slots);

}  // namespace bhvm
