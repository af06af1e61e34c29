#include "machine/linux_boot.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"
#include "machine/memory_map.h"

namespace bhvm {
namespace {

namespace map = memory_map;

// Offsets into the zero page (arch/x86/include/uapi/asm/bootparam.h).
namespace zero_page {
constexpr u64 kAcpiRsdpAddr = 0x070;     // u64
constexpr u64 kE820Entries = 0x1E8;      // u8
constexpr u64 kBootFlag = 0x1FE;         // u16
constexpr u64 kHeader = 0x202;           // u32
constexpr u64 kVersion = 0x206;          // u16
constexpr u64 kTypeOfLoader = 0x210;     // u8
constexpr u64 kLoadFlags = 0x211;        // u8
constexpr u64 kRamdiskImage = 0x218;     // u32
constexpr u64 kRamdiskSize = 0x21C;      // u32
constexpr u64 kCmdLinePtr = 0x228;       // u32
constexpr u64 kInitrdAddrMax = 0x22C;    // u32
constexpr u64 kKernelAlignment = 0x230;  // u32
constexpr u64 kXLoadFlags = 0x236;       // u16
constexpr u64 kCmdLineSize = 0x238;      // u32
constexpr u64 kE820Table = 0x2D0;        // entries of 20 bytes
constexpr u64 kE820EntrySize = 20;
}  // namespace zero_page

constexpr u32 kHeaderMagic = 0x53726448;  // "HdrS"
constexpr u16 kBootFlagMagic = 0xAA55;
constexpr u16 kProtocolVersion = 0x020F;
constexpr u8 kUnknownLoader = 0xFF;
constexpr u8 kLoadedHigh = 0x01;
constexpr u16 kKernel64 = 0x01;             // XLF_KERNEL_64
constexpr u32 kInitrdHighest = 0x7FFFFFFF;  // the kernel's own limit for a ramdisk below 4 GiB

enum class E820Type : u32 { kRam = 1, kReserved = 2 };

class ZeroPage {
 public:
  template <class T>
  void put(u64 offset, T value) {
    std::memcpy(&bytes_[offset], &value, sizeof(value));
  }
  void add_e820(u64 begin, u64 end, E820Type type) {
    if (begin >= end) return;
    const u64 entry = zero_page::kE820Table + e820_entries_ * zero_page::kE820EntrySize;
    put<u64>(entry, begin);
    put<u64>(entry + 8, end - begin);
    put<u32>(entry + 16, static_cast<u32>(type));
    put<u8>(zero_page::kE820Entries, ++e820_entries_);
  }
  const std::array<u8, kPageSize>& bytes() const { return bytes_; }

 private:
  std::array<u8, kPageSize> bytes_{};
  u8 e820_entries_ = 0;
};

void add_memory_ranges(ZeroPage& page, u64 size) {
  const u64 low_end = std::min(size, GuestMemory::kLowLimit);
  page.add_e820(0, map::kExtendedBiosData, E820Type::kRam);
  page.add_e820(map::kExtendedBiosData, map::kLegacyHoleBase, E820Type::kReserved);
  page.add_e820(map::kAcpiBase, map::kLegacyHoleEnd, E820Type::kReserved);
  page.add_e820(map::kLegacyHoleEnd, low_end, E820Type::kRam);
  page.add_e820(GuestMemory::kHighBase, GuestMemory::kHighBase + (size - low_end), E820Type::kRam);
}

// Identity page tables for the first 4 GiB: PML4, PDPT and four page directories of 2 MiB pages.
void write_page_tables(GuestMemory& memory) {
  constexpr u64 kPresentWritable = 0x3;
  constexpr u64 kLargePage = 0x80;
  constexpr u64 kEntries = 512;
  constexpr u64 kPdpt = map::kBootPageTables + kPageSize;
  constexpr u64 kDirectories = kPdpt + kPageSize;
  std::array<u64, kEntries> table{};
  const auto store = [&](u64 address) {
    BHVM_CHECK(memory.write({address}, table.data(), sizeof(table)), "the boot page tables lie outside RAM");
  };
  table[0] = kPdpt | kPresentWritable;
  store(map::kBootPageTables);
  table = {};
  for (u64 i = 0; i < 4; ++i) table[i] = (kDirectories + i * kPageSize) | kPresentWritable;
  store(kPdpt);
  for (u64 directory = 0; directory < 4; ++directory) {
    for (u64 i = 0; i < kEntries; ++i) {
      table[i] = ((directory * kEntries + i) * GuestMemory::kChunkSize) | kPresentWritable | kLargePage;
    }
    store(kDirectories + directory * kPageSize);
  }
}

constexpr u16 kBootCs = 0x10;
constexpr u16 kBootDs = 0x18;

// Flat descriptors of the protocol's two selectors.
void write_gdt(GuestMemory& memory) {
  constexpr std::array<u64, 4> kGdt = {0, 0, 0x00AF9B000000FFFF, 0x00CF93000000FFFF};
  BHVM_CHECK(memory.write({map::kBootGdt}, kGdt.data(), sizeof(kGdt)), "the boot GDT lies outside RAM");
}

void set_entry_state(const LinuxBoot& boot, CpuState& state) {
  constexpr u16 kCode64 = descriptor::kAccessed | descriptor::kWritable | descriptor::kCode | descriptor::kNonSystem |
                          descriptor::kPresent | descriptor::kLong | descriptor::kGranularity;
  constexpr u16 kData = descriptor::kAccessed | descriptor::kWritable | descriptor::kNonSystem | descriptor::kPresent |
                        descriptor::kBig | descriptor::kGranularity;
  constexpr u16 kBusyTss64 = 0xB | descriptor::kPresent;
  constexpr u16 kLdt = 0x2 | descriptor::kPresent;
  constexpr u32 kFlatLimit = 0xFFFFFFFF;
  for (SegmentState& segment : state.segments) segment = {kBootDs, kData, kFlatLimit, 0};
  state.segments[kCs] = {kBootCs, kCode64, kFlatLimit, 0};
  state.tr = {0, kBusyTss64, 0xFFFF, 0};
  state.ldtr = {0, kLdt, 0xFFFF, 0};
  state.gdtr = {map::kBootGdt, 4 * 8 - 1};
  state.idtr = {0, 0};
  state.cpl = 0;
  state.cr0 = 0x80000033;  // PG, NE, ET, MP, PE
  state.cr3 = map::kBootPageTables;
  state.cr4 = 0x20;        // PAE
  state.msr.efer = 0x500;  // LMA, LME
  state.rflags = 2;        // IF = 0
  state.gpr[kRsi] = map::kBootParams;
  state.rip = boot.kernel->entry().value;
}

}  // namespace

std::string complete_command_line(const std::string& append) {
  // Behind " -- " stand the words of the guest's init, not the kernel's.
  const std::string kernel_words = " " + append.substr(0, append.find(" -- "));
  if (kernel_words.find(" console=") != std::string::npos) return append;
  return append.empty() ? "console=ttyS0" : "console=ttyS0 " + append;
}

Status load_linux(GuestMemory& memory, const LinuxBoot& boot, CpuState& state) {
  const u64 low_end = std::min(memory.size_bytes(), GuestMemory::kLowLimit);
  if (boot.command_line.size() > kCommandLineMax) {
    return Error{fmt::format("The kernel command line has {} characters; Linux takes at most {}, so shorten it.",
                             boot.command_line.size(), kCommandLineMax)};
  }
  if (Status status = boot.kernel->load(memory, {map::kLegacyHoleEnd}); !status) return status;

  ZeroPage page;
  page.put(zero_page::kAcpiRsdpAddr, boot.acpi_rsdp.value);
  page.put(zero_page::kBootFlag, kBootFlagMagic);
  page.put(zero_page::kHeader, kHeaderMagic);
  page.put(zero_page::kVersion, kProtocolVersion);
  page.put(zero_page::kTypeOfLoader, kUnknownLoader);
  page.put(zero_page::kLoadFlags, kLoadedHigh);
  page.put(zero_page::kInitrdAddrMax, kInitrdHighest);
  page.put(zero_page::kKernelAlignment, u32{0x1000000});
  page.put(zero_page::kXLoadFlags, kKernel64);
  page.put(zero_page::kCmdLinePtr, static_cast<u32>(map::kBootCommandLine));
  page.put(zero_page::kCmdLineSize, static_cast<u32>(kCommandLineMax));
  add_memory_ranges(page, memory.size_bytes());

  if (!boot.initrd.empty()) {
    const u64 highest = std::min<u64>(low_end, u64{kInitrdHighest} + 1);
    const u64 room = highest > boot.kernel->end().value ? highest - boot.kernel->end().value : 0;
    const u64 size = boot.initrd.size();
    const u64 base = size <= room ? (highest - size) & kPageMask : 0;
    if (base < boot.kernel->end().value) {
      return Error{
          fmt::format("The initrd of {} MiB does not fit behind the kernel, which ends at {:#x}, in {} MiB of "
                      "guest memory; give the guest more memory.",
                      (size >> 20) + 1, boot.kernel->end().value, memory.size_bytes() >> 20)};
    }
    BHVM_CHECK(memory.write({base}, boot.initrd.data(), size), "an initrd that fits was refused by RAM");
    page.put(zero_page::kRamdiskImage, static_cast<u32>(base));
    page.put(zero_page::kRamdiskSize, static_cast<u32>(size));
  }

  write_gdt(memory);
  write_page_tables(memory);
  BHVM_CHECK(memory.write({map::kBootParams}, page.bytes().data(), kPageSize), "the zero page lies outside RAM");
  BHVM_CHECK(memory.write({map::kBootCommandLine}, boot.command_line.c_str(), boot.command_line.size() + 1),
             "the command line lies outside RAM");
  set_entry_state(boot, state);
  return success();
}

}  // namespace bhvm
