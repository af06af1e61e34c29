#include "machine/linux_boot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/memory_map.h"
#include "tests/machine/elf_builder.h"

namespace bhvm {
namespace {

namespace map = memory_map;
using testing::HasSubstr;

template <class T>
T at(const GuestMemory& memory, u64 address) {
  T value{};
  EXPECT_TRUE(memory.read_value(PhysicalAddress{address}, value));
  return value;
}

struct Loaded {
  GuestMemory memory;
  CpuState state;
  Status status;
};

Loaded load(u64 memory_size, std::size_t initrd_size, const std::string& command_line) {
  const ElfImage kernel = ElfImage::parse(test::kernel_of({0xF4}), "vmlinux").value();
  std::vector<u8> initrd(initrd_size, 0xAB);
  Loaded out{GuestMemory::create(memory_size).value(), CpuState{}, success()};
  LinuxBoot boot;
  boot.kernel = &kernel;
  boot.initrd = initrd;
  boot.command_line = command_line;
  boot.acpi_rsdp = {map::kAcpiBase};
  out.status = load_linux(out.memory, boot, out.state);
  return out;
}

TEST(LinuxBoot, ZeroPageHasTheProtocolsFields) {
  const Loaded loaded = load(256 << 20, 5000, "console=ttyS0");
  ASSERT_TRUE(loaded.status.ok());
  const u64 page = map::kBootParams;
  EXPECT_EQ(at<u16>(loaded.memory, page + 0x1FE), 0xAA55);
  EXPECT_EQ(at<u32>(loaded.memory, page + 0x202), 0x53726448u);
  EXPECT_GE(at<u16>(loaded.memory, page + 0x206), 0x020C);
  EXPECT_EQ(at<u8>(loaded.memory, page + 0x210), 0xFF);
  EXPECT_EQ(at<u8>(loaded.memory, page + 0x211) & 1, 1);
  EXPECT_EQ(at<u8>(loaded.memory, page + 0x1EF), 0) << "the sentinel must stay zero";
  EXPECT_EQ(at<u64>(loaded.memory, page + 0x070), map::kAcpiBase);
  EXPECT_EQ(at<u32>(loaded.memory, page + 0x228), map::kBootCommandLine);
  const u32 initrd = at<u32>(loaded.memory, page + 0x218);
  EXPECT_EQ(at<u32>(loaded.memory, page + 0x21C), 5000u);
  EXPECT_EQ(initrd % kPageSize, 0u);
  EXPECT_LE(initrd + 5000u, 256u << 20);
  EXPECT_GT(initrd + 5000u, (256u << 20) - 2 * kPageSize) << "placed high";
  EXPECT_EQ(at<u8>(loaded.memory, initrd + 4999), 0xAB);
  std::array<char, 14> text{};
  loaded.memory.read({map::kBootCommandLine}, text.data(), text.size());
  EXPECT_STREQ(text.data(), "console=ttyS0");
}

TEST(LinuxBoot, E820DescribesRamAndReservesTheLegacyHole) {
  const u64 size = u64{5} << 30;
  const Loaded loaded = load(size, 0, "");
  ASSERT_TRUE(loaded.status.ok());
  const u64 page = map::kBootParams;
  const u8 count = at<u8>(loaded.memory, page + 0x1E8);
  u64 ram = 0;
  u64 previous_end = 0;
  for (u8 i = 0; i < count; ++i) {
    const u64 entry = page + 0x2D0 + i * 20u;
    const u64 base = at<u64>(loaded.memory, entry);
    const u64 length = at<u64>(loaded.memory, entry + 8);
    EXPECT_GE(base, previous_end) << "ascending and disjoint";
    previous_end = base + length;
    if (at<u32>(loaded.memory, entry + 16) != 1) continue;
    ram += length;
    EXPECT_TRUE(base + length <= map::kLegacyHoleBase || base >= map::kLegacyHoleEnd);
    EXPECT_TRUE(loaded.memory.is_ram({base}));
    EXPECT_TRUE(loaded.memory.is_ram({base + length - 1}));
  }
  EXPECT_EQ(previous_end, GuestMemory::kHighBase + (size - GuestMemory::kLowLimit));
  EXPECT_EQ(ram, size - (map::kLegacyHoleEnd - map::kExtendedBiosData));
}

TEST(LinuxBoot, PageTablesMapTheFirstFourGigabytesOntoThemselves) {
  const Loaded loaded = load(64 << 20, 0, "");
  const auto walk = [&](u64 linear) {
    const u64 pml4e = at<u64>(loaded.memory, loaded.state.cr3 + (linear >> 39 & 511) * 8);
    const u64 pdpte = at<u64>(loaded.memory, (pml4e & ~u64{0xFFF}) + (linear >> 30 & 511) * 8);
    const u64 pde = at<u64>(loaded.memory, (pdpte & ~u64{0xFFF}) + (linear >> 21 & 511) * 8);
    EXPECT_EQ(pml4e & pdpte & pde & 3, 3u);
    EXPECT_NE(pde & 0x80, 0u);
    return (pde & ~u64{0x1FFFFF}) | (linear & 0x1FFFFF);
  };
  for (const u64 linear : {u64{0}, u64{0x1000000}, u64{0x7FFFFFFF}, u64{0xFEE00000}, u64{0xFFFFFFFF}}) {
    EXPECT_EQ(walk(linear), linear);
  }
}

TEST(LinuxBoot, ProcessorStateIsTheProtocols) {
  const Loaded loaded = load(64 << 20, 0, "");
  const CpuState& s = loaded.state;
  EXPECT_EQ(s.rip, 0x1000000u);
  EXPECT_EQ(s.gpr[kRsi], map::kBootParams);
  EXPECT_EQ(s.segments[kCs].selector, 0x10);
  EXPECT_EQ(s.segments[kDs].selector, 0x18);
  EXPECT_EQ(s.segments[kSs].selector, 0x18);
  EXPECT_NE(s.segments[kCs].attributes & descriptor::kLong, 0);
  EXPECT_EQ(s.cr0 & 0x80000001, 0x80000001u);
  EXPECT_EQ(s.cr4 & 0x20, 0x20u);
  EXPECT_EQ(s.msr.efer & 0x500, 0x500u);
  EXPECT_EQ(s.rflags & 0x200, 0u);
  // The descriptors in memory say the same as the hidden parts.
  EXPECT_EQ(at<u64>(loaded.memory, s.gdtr.base + 0x10) >> 40 & 0xF0FF, s.segments[kCs].attributes);
  EXPECT_EQ(at<u64>(loaded.memory, s.gdtr.base + 0x18) >> 40 & 0xF0FF, s.segments[kDs].attributes);
}

TEST(LinuxBoot, LimitsAreSentences) {
  EXPECT_THAT(load(64 << 20, 0, std::string(2048, 'x')).status.error().message, HasSubstr("at most 2047"));
  EXPECT_TRUE(load(64 << 20, 0, std::string(2047, 'x')).status.ok());
  EXPECT_THAT(load(32 << 20, 20 << 20, "").status.error().message, HasSubstr("initrd"));
  EXPECT_THAT(load(8 << 20, 0, "").status.error().message, HasSubstr("more memory"));
}

TEST(LinuxBoot, ConsoleIsAddedOnlyWhenNoneIsNamed) {
  EXPECT_EQ(complete_command_line(""), "console=ttyS0");
  EXPECT_EQ(complete_command_line("quiet"), "console=ttyS0 quiet");
  EXPECT_EQ(complete_command_line("console=hvc0"), "console=hvc0");
  EXPECT_EQ(complete_command_line("quiet console=tty0"), "quiet console=tty0");
  EXPECT_EQ(complete_command_line("netconsole=x"), "console=ttyS0 netconsole=x");
  EXPECT_EQ(complete_command_line("quiet -- /bin/echo console=no"), "console=ttyS0 quiet -- /bin/echo console=no");
}

}  // namespace
}  // namespace bhvm
