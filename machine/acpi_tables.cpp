#include "machine/acpi_tables.h"

#include <fmt/format.h>

#include <numeric>
#include <string_view>

#include "base/check.h"
#include "devices/acpi_pm.h"
#include "devices/cmos_rtc.h"
#include "devices/hpet.h"
#include "devices/pvpanic.h"
#include "devices/uart_16550.h"
#include "machine/aml.h"
#include "machine/memory_map.h"

namespace bhvm {
namespace {

namespace map = memory_map;

constexpr u64 kRsdpSize = 36;
constexpr u64 kHeaderSize = 36;
constexpr u64 kTableAlignment = 64;  // of the FACS; the others ask for less

// A table under construction: little-endian fields one after the other.
class Writer {
 public:
  template <class T>
  Writer& put(T value) {
    for (unsigned i = 0; i < sizeof(T); ++i) bytes_.push_back(static_cast<u8>(static_cast<u64>(value) >> (8 * i)));
    return *this;
  }
  Writer& text(std::string_view text, std::size_t width) {
    for (std::size_t i = 0; i < width; ++i) bytes_.push_back(static_cast<u8>(i < text.size() ? text[i] : ' '));
    return *this;
  }
  Writer& zeros(std::size_t count) {
    bytes_.resize(bytes_.size() + count);
    return *this;
  }
  Writer& bytes(const std::vector<u8>& more) {
    bytes_.insert(bytes_.end(), more.begin(), more.end());
    return *this;
  }
  /// Generic address structure (5.2.3.2) of a system I/O register; access_size 1 = byte, 2 = word, 3 = dword.
  Writer& io_register(u16 port, u8 bits, u8 access_size) {
    return put<u8>(1).put<u8>(bits).put<u8>(0).put<u8>(access_size).put<u64>(port);
  }
  Writer& no_register() { return zeros(12); }
  std::size_t size() const { return bytes_.size(); }
  std::vector<u8> take() { return std::move(bytes_); }

 private:
  std::vector<u8> bytes_;
};

u8 checksum(const u8* begin, std::size_t size) { return static_cast<u8>(0 - std::accumulate(begin, begin + size, 0u)); }

/// Puts the system description table header (5.2.6) before `body`.
std::vector<u8> table(std::string_view signature, u8 revision, const std::vector<u8>& body) {
  Writer w;
  w.text(signature, 4).put<u32>(static_cast<u32>(kHeaderSize + body.size())).put<u8>(revision).put<u8>(0);
  w.text("BHVM", 6).text(fmt::format("BHVM{}", signature), 8).put<u32>(1).text("BHVM", 4).put<u32>(1);
  w.bytes(body);
  std::vector<u8> out = w.take();
  out[9] = checksum(out.data(), out.size());
  return out;
}

std::vector<u8> fadt(u64 facs, u64 dsdt) {
  enum Flag : u32 {
    kWbinvd = 1 << 0,
    kProcC1 = 1 << 2,
    kPowerButtonIsDevice = 1 << 4,
    kSleepButtonIsDevice = 1 << 5,
    kRtcNotFixed = 1 << 6,
    kTimer32Bit = 1 << 8,
    kResetRegister = 1 << 10,
  };
  enum BootArch : u16 { kLegacyDevices = 1 << 0, kNoVga = 1 << 2, kNoMsi = 1 << 3 };  // and no 8042: bit 1 clear
  constexpr u16 kNoC2C3 = 0xFFFF;
  Writer w;
  w.put<u32>(static_cast<u32>(facs)).put<u32>(static_cast<u32>(dsdt)).put<u8>(0);
  w.put<u8>(4);                                             // preferred profile: enterprise server
  w.put<u16>(map::kSciPin);                                 // SCI_INT
  w.put<u32>(0).zeros(4);                                   // SMI_CMD: none, the board is always in ACPI mode
  w.put<u32>(map::kPmPort).put<u32>(0);                     // PM1a, PM1b event blocks
  w.put<u32>(map::kPmControlPort).put<u32>(0).put<u32>(0);  // PM1a, PM1b, PM2 control blocks
  w.put<u32>(map::kPmTimerPort).put<u32>(0).put<u32>(0);    // PM timer, GPE0, GPE1
  w.put<u8>(4).put<u8>(2).put<u8>(0).put<u8>(4).put<u8>(0).put<u8>(0).put<u8>(0).put<u8>(0);
  w.put<u16>(kNoC2C3).put<u16>(kNoC2C3).zeros(4).zeros(2).zeros(2);
  w.put<u8>(0x32);  // century register of the RTC
  w.put<u16>(kLegacyDevices | kNoVga | kNoMsi).put<u8>(0);
  w.put<u32>(kWbinvd | kProcC1 | kPowerButtonIsDevice | kSleepButtonIsDevice | kRtcNotFixed | kTimer32Bit |
             kResetRegister);
  w.io_register(map::kResetPort, 8, 1).put<u8>(map::kResetValue).put<u16>(0).put<u8>(0);
  w.put<u64>(facs).put<u64>(dsdt);
  w.io_register(map::kPmPort, 32, 2).no_register();
  w.io_register(map::kPmControlPort, 16, 2).no_register().no_register();
  w.io_register(map::kPmTimerPort, 32, 3).no_register().no_register();
  w.no_register().no_register().put<u64>(0);  // sleep control, sleep status, hypervisor vendor
  BHVM_CHECK(w.size() == 276 - kHeaderSize, "the FADT has not the length of revision 6");
  return table("FACP", 6, w.take());
}

std::vector<u8> facs() {
  Writer w;
  w.text("FACS", 4).put<u32>(64).zeros(24).put<u8>(2).zeros(31);
  return w.take();
}

std::vector<u8> madt() {
  constexpr u16 kActiveHighLevel = 0x0D;  // 5.2.12.5
  constexpr u16 kConforming = 0;
  Writer w;
  w.put<u32>(static_cast<u32>(map::kLapicBase)).put<u32>(0);  // no dual 8259
  w.put<u8>(0).put<u8>(8).put<u8>(0).put<u8>(0).put<u32>(1);  // local APIC 0, enabled
  w.put<u8>(1).put<u8>(12).put<u8>(0).put<u8>(0).put<u32>(static_cast<u32>(map::kIoApicBase)).put<u32>(0);
  const auto source_override = [&](u8 irq, u32 gsi, u16 flags) {
    w.put<u8>(2).put<u8>(10).put<u8>(0).put<u8>(irq).put<u32>(gsi).put<u16>(flags);
  };
  source_override(0, map::kHpetTimer0Pin, kConforming);
  source_override(static_cast<u8>(map::kSciPin), map::kSciPin, kActiveHighLevel);
  w.put<u8>(4).put<u8>(6).put<u8>(0xFF).put<u16>(0).put<u8>(1);  // LINT1 is NMI
  return table("APIC", 5, w.take());
}

std::vector<u8> hpet() {
  Writer w;
  w.put<u32>(Hpet::kBlockId).put<u8>(0).put<u8>(64).put<u8>(0).put<u8>(0).put<u64>(map::kHpetBase);  // memory space
  w.put<u8>(0).put<u16>(0x80).put<u8>(0);
  return table("HPET", 1, w.take());
}

std::vector<u8> dsdt(const std::vector<AcpiVirtioSlot>& virtio_slots) {
  using namespace aml;  // NOLINT: a page of AML reads better so
  constexpr u64 kPresentAndWorking = 0x0F;
  Bytes devices = join({
      device("COM1",
             join({name("_HID", eisa_id("PNP0501")), name("_UID", integer(1)),
                   name("_CRS", resource_template({io(map::kUartPort, Uart16550::kSize), irq_edge(map::kUartPin)}))})),
      device("RTC0",
             join({name("_HID", eisa_id("PNP0B00")),
                   name("_CRS", resource_template({io(map::kRtcPort, CmosRtc::kSize), irq_edge(map::kRtcPin)}))})),
      device("HPT0",
             join({name("_HID", eisa_id("PNP0103")), name("_UID", integer(0)),
                   name("_CRS", resource_template({memory32_fixed(static_cast<u32>(map::kHpetBase), Hpet::kSize)}))})),
      device("PEVT", join({name("_HID", string("QEMU0001")), name("_STA", integer(kPresentAndWorking)),
                           name("_CRS", resource_template({io(map::kPvPanicPort, PvPanic::kSize)}))})),
  });
  for (std::size_t i = 0; i < virtio_slots.size(); ++i) {
    const AcpiVirtioSlot& slot = virtio_slots[i];
    devices = join(
        {devices,
         device(fmt::format("VR{:02X}", i),
                join({name("_HID", string("LNRO0005")), name("_UID", integer(i)), name("_CCA", integer(1)),
                      name("_CRS", resource_template({memory32_fixed(static_cast<u32>(slot.base), map::kVirtioSlotSize),
                                                      interrupt_level(slot.gsi)}))}))});
  }
  const Bytes soft_off = package({integer(AcpiPm::kSoftOffType), integer(0), integer(0), integer(0)});
  return table("DSDT", 2, join({name("\\_S5_", soft_off), scope("\\_SB_", devices)}));
}

}  // namespace

AcpiTables build_acpi_tables(u64 base, const std::vector<AcpiVirtioSlot>& virtio_slots) {
  AcpiTables out;
  out.base = base;
  out.image.resize(kRsdpSize);
  const auto place = [&](std::string signature, const std::vector<u8>& bytes) {
    out.image.resize((out.image.size() + kTableAlignment - 1) / kTableAlignment * kTableAlignment);
    out.tables.push_back({std::move(signature), out.image.size(), bytes.size()});
    out.image.insert(out.image.end(), bytes.begin(), bytes.end());
    return base + out.tables.back().offset;
  };
  const u64 facs_address = place("FACS", facs());
  const u64 dsdt_address = place("DSDT", dsdt(virtio_slots));
  Writer entries;
  entries.put<u64>(place("FACP", fadt(facs_address, dsdt_address)));
  entries.put<u64>(place("APIC", madt()));
  entries.put<u64>(place("HPET", hpet()));
  const u64 xsdt_address = place("XSDT", table("XSDT", 1, entries.take()));

  Writer rsdp;
  rsdp.text("RSD PTR ", 8).put<u8>(0).text("BHVM", 6).put<u8>(2).put<u32>(0);
  rsdp.put<u32>(kRsdpSize).put<u64>(xsdt_address).put<u8>(0).zeros(3);
  const std::vector<u8> bytes = rsdp.take();
  std::copy(bytes.begin(), bytes.end(), out.image.begin());
  out.image[8] = checksum(out.image.data(), 20);
  out.image[32] = checksum(out.image.data(), kRsdpSize);
  BHVM_CHECK(base + out.image.size() <= map::kLegacyHoleEnd, "the ACPI tables do not fit into the legacy hole");
  return out;
}

}  // namespace bhvm
