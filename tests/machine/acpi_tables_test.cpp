#include "machine/acpi_tables.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>

#include "machine/aml.h"
#include "machine/memory_map.h"

namespace bhvm {
namespace {

namespace map = memory_map;

AcpiTables full_board() {
  std::vector<AcpiVirtioSlot> slots;
  for (std::size_t i = 0; i < map::kVirtioSlots; ++i) slots.push_back({map::virtio_slot_base(i), map::kVirtioPins[i]});
  return build_acpi_tables(map::kAcpiBase, slots);
}

u8 sum(const std::vector<u8>& image, u64 offset, u64 size) {
  return static_cast<u8>(
      std::accumulate(image.begin() + static_cast<long>(offset), image.begin() + static_cast<long>(offset + size), 0u));
}

u64 field(const std::vector<u8>& image, u64 offset, unsigned size) {
  u64 value = 0;
  std::memcpy(&value, &image[offset], size);
  return value;
}

const AcpiTables::Table& find(const AcpiTables& acpi, const std::string& signature) {
  for (const AcpiTables::Table& table : acpi.tables) {
    if (table.signature == signature) return table;
  }
  static const AcpiTables::Table none;
  ADD_FAILURE() << signature << " is missing";
  return none;
}

TEST(AcpiTables, ChecksumsAndLengths) {
  const AcpiTables acpi = full_board();
  EXPECT_EQ(std::memcmp(acpi.image.data(), "RSD PTR ", 8), 0);
  EXPECT_EQ(sum(acpi.image, 0, 20), 0);
  EXPECT_EQ(sum(acpi.image, 0, 36), 0);
  for (const AcpiTables::Table& table : acpi.tables) {
    SCOPED_TRACE(table.signature);
    EXPECT_EQ(std::memcmp(&acpi.image[table.offset], table.signature.data(), 4), 0);
    EXPECT_EQ(field(acpi.image, table.offset + 4, 4), table.size);
    if (table.signature != "FACS") EXPECT_EQ(sum(acpi.image, table.offset, table.size), 0);
  }
}

TEST(AcpiTables, PointersLeadFromTheRsdpToEveryTable) {
  const AcpiTables acpi = full_board();
  const u64 xsdt = field(acpi.image, 24, 8) - acpi.base;
  EXPECT_EQ(xsdt, find(acpi, "XSDT").offset);
  std::vector<u64> entries;
  for (u64 at = xsdt + 36; at < xsdt + find(acpi, "XSDT").size; at += 8) {
    entries.push_back(field(acpi.image, at, 8) - acpi.base);
  }
  EXPECT_EQ(entries,
            (std::vector<u64>{find(acpi, "FACP").offset, find(acpi, "APIC").offset, find(acpi, "HPET").offset}));
  const u64 fadt = find(acpi, "FACP").offset;
  EXPECT_EQ(field(acpi.image, fadt + 140, 8) - acpi.base, find(acpi, "DSDT").offset);
  EXPECT_EQ(field(acpi.image, fadt + 132, 8) - acpi.base, find(acpi, "FACS").offset);
  EXPECT_EQ(find(acpi, "FACS").offset % 64, 0u);
  EXPECT_EQ(field(acpi.image, fadt + 56, 4), map::kPmPort);
  EXPECT_EQ(field(acpi.image, fadt + 116 + 4, 8), map::kResetPort);
  EXPECT_EQ(field(acpi.image, fadt + 128, 1), map::kResetValue);
  EXPECT_EQ(field(acpi.image, fadt + 112, 4) & (1u << 20), 0u) << "not hardware-reduced";
}

TEST(AcpiTables, IaslDisassemblesThemWithoutAComplaint) {
  if (std::system("iasl -v > /dev/null 2>&1") != 0) GTEST_SKIP() << "iasl (acpica-tools) is not installed";
  const AcpiTables acpi = full_board();
  const auto directory = std::filesystem::temp_directory_path() / ("bhvm-acpi-" + std::to_string(getpid()));
  std::filesystem::create_directories(directory);
  for (const AcpiTables::Table& table : acpi.tables) {
    SCOPED_TRACE(table.signature);
    const std::string stem = (directory / table.signature).string();
    std::ofstream(stem + ".dat", std::ios::binary)
        .write(reinterpret_cast<const char*>(&acpi.image[table.offset]), static_cast<long>(table.size));
    ASSERT_EQ(std::system(("iasl -d " + stem + ".dat > " + stem + ".log 2>&1").c_str()), 0);
    std::stringstream log;
    log << std::ifstream(stem + ".log").rdbuf() << std::ifstream(stem + ".dsl").rdbuf();
    const std::string text = log.str();
    EXPECT_EQ(text.find("Error"), std::string::npos) << text;
    EXPECT_EQ(text.find("Incorrect checksum"), std::string::npos) << text;
    EXPECT_EQ(text.find("**** "), std::string::npos) << text;
    if (table.signature != "DSDT") continue;
    // The compiler's own checks of names, types and resource descriptors.
    EXPECT_EQ(std::system(("iasl -we -p " + stem + "-again " + stem + ".dsl > " + stem + ".log 2>&1").c_str()), 0)
        << (std::stringstream() << std::ifstream(stem + ".log").rdbuf()).str();
    EXPECT_NE(text.find("EisaId (\"PNP0501\")"), std::string::npos) << text;
    EXPECT_NE(text.find("\"LNRO0005\""), std::string::npos);
  }
  std::filesystem::remove_all(directory);
}

TEST(Aml, PackageLengthsOfOneTwoAndThreeBytes) {
  EXPECT_EQ(aml::scope("\\_SB_", {}), (aml::Bytes{0x10, 0x06, '\\', '_', 'S', 'B', '_'}));
  const aml::Bytes two = aml::scope("\\_SB_", aml::Bytes(0x100));
  EXPECT_EQ(two[1], 0x40 | ((0x100 + 7) & 0xF));
  EXPECT_EQ(two[2], (0x100 + 7) >> 4);
  const aml::Bytes three = aml::scope("\\_SB_", aml::Bytes(0x2000));
  EXPECT_EQ(three[1], 0x80 | ((0x2000 + 8) & 0xF));
  EXPECT_EQ(three[3], (0x2000 + 8) >> 12);
}

TEST(Aml, IntegersTakeTheirShortestForm) {
  EXPECT_EQ(aml::integer(0), (aml::Bytes{0x00}));
  EXPECT_EQ(aml::integer(1), (aml::Bytes{0x01}));
  EXPECT_EQ(aml::integer(0x80), (aml::Bytes{0x0A, 0x80}));
  EXPECT_EQ(aml::integer(0x1234), (aml::Bytes{0x0B, 0x34, 0x12}));
  EXPECT_EQ(aml::integer(0x12345678), (aml::Bytes{0x0C, 0x78, 0x56, 0x34, 0x12}));
  EXPECT_EQ(aml::integer(u64{1} << 40).size(), 9u);
}

}  // namespace
}  // namespace bhvm
