#include "machine/elf_image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/random_stream.h"
#include "machine/file_io.h"
#include "tests/machine/elf_builder.h"

namespace bhvm {
namespace {

using test::ElfBuilder;
using testing::HasSubstr;

ElfBuilder good() {
  ElfBuilder builder;
  builder.segments = {{0x1000000, 0xFFFFFFFF81000000, {0x90, 0xF4}, 0x3000},
                      {0x1200000, 0xFFFFFFFF81200000, {1, 2, 3, 4}, 0}};
  builder.symbols = {{"late", 0xFFFFFFFF81200000}, {"startup_64", 0xFFFFFFFF81000000}, {"twin", 0xFFFFFFFF81000000}};
  return builder;
}

std::string error_of(std::vector<u8> file) {
  const Result<ElfImage> image = ElfImage::parse(std::move(file), "vmlinux");
  return image.ok() ? "no error" : image.error().message;
}

TEST(ElfImage, LoadsSegmentsByPhysicalAddressAndZeroesTheRest) {
  Result<ElfImage> image = ElfImage::parse(good().build(), "vmlinux");
  ASSERT_TRUE(image.ok()) << image.error().message;
  GuestMemory memory = GuestMemory::create(64 << 20).value();
  const u64 junk = ~u64{0};
  memory.write_value(PhysicalAddress{0x1000100}, junk);
  ASSERT_TRUE(image.value().load(memory, {0x100000}).ok());
  u16 code = 0;
  u32 data = 0;
  u64 bss = 1;
  memory.read_value(PhysicalAddress{0x1000000}, code);
  memory.read_value(PhysicalAddress{0x1200000}, data);
  memory.read_value(PhysicalAddress{0x1000100}, bss);
  EXPECT_EQ(code, 0xF490);
  EXPECT_EQ(data, 0x04030201u);
  EXPECT_EQ(bss, 0u);
  EXPECT_EQ(image.value().entry().value, 0x1000000u);
  EXPECT_EQ(image.value().end().value, 0x1200004u);
}

TEST(ElfImage, SymbolisesLinearAndBootTimeAddresses) {
  const ElfImage image = ElfImage::parse(good().build(), "vmlinux").value();
  EXPECT_EQ(image.symbolise(0xFFFFFFFF81000012), "startup_64+0x12");
  EXPECT_EQ(image.symbolise(0x1000012), "startup_64+0x12");
  EXPECT_EQ(image.symbolise(0xFFFFFFFF81200003), "late+0x3");
  EXPECT_EQ(image.symbolise(0x400000), "");
  EXPECT_EQ(image.symbolise(0xFFFFFFFFA0000000), "");
  EXPECT_EQ(image.find_symbol("late"), 0xFFFFFFFF81200000);
  EXPECT_EQ(image.find_symbol("missing"), std::nullopt);
}

TEST(ElfImage, ReadsAnOpenFileWhenItIsAsked) {
  ElfBuilder builder = good();
  builder.segments[0].bytes.resize(0x50123, 0xCC);  // in several pieces
  builder.segments[0].memory_size = 0x60000;
  const std::string path =
      (std::filesystem::temp_directory_path() / ("bhvm-elf-image-" + std::to_string(getpid()))).string();
  ASSERT_TRUE(write_file(path, builder.build(), "kernel").ok());
  const ElfImage image = ElfImage::open(path).value();
  GuestMemory memory = GuestMemory::create(64 << 20).value();
  ASSERT_TRUE(image.load(memory, {0x100000}).ok());
  GuestMemory expected = GuestMemory::create(64 << 20).value();
  ASSERT_TRUE(ElfImage::parse(builder.build(), "kernel").value().load(expected, {0x100000}).ok());
  EXPECT_EQ(memory.hash(), expected.hash());
  ASSERT_TRUE(write_file(path, {}, "kernel").ok());  // another file by the same name
  EXPECT_EQ(image.symbolise(0xFFFFFFFF81000012), "startup_64+0x12");
  EXPECT_THAT(ElfImage::open(path).error().message, HasSubstr("not an ELF file"));

  ASSERT_TRUE(write_file(path, builder.build(), "kernel").ok());
  const ElfImage cut = ElfImage::open(path).value();
  ASSERT_EQ(truncate(path.c_str(), 0x2000), 0);
  EXPECT_THAT(cut.load(memory, {0x100000}).error().message, HasSubstr("became shorter"));
  EXPECT_EQ(cut.symbolise(0xFFFFFFFF81000012), "");
  std::filesystem::remove(path);
}

TEST(ElfImage, SaysWhatIsWrongWithAFile) {
  EXPECT_THAT(error_of({}), HasSubstr("not an ELF file"));
  EXPECT_THAT(error_of(std::vector<u8>(100, 'x')), HasSubstr("not an ELF file"));

  std::vector<u8> bzimage(0x400);
  std::memcpy(&bzimage[0x202], "HdrS", 4);
  EXPECT_THAT(error_of(bzimage), HasSubstr("extract-vmlinux"));

  ElfBuilder builder = good();
  builder.file_class = ELFCLASS32;
  EXPECT_THAT(error_of(builder.build()), HasSubstr("32-bit"));
  builder = good();
  builder.machine = EM_AARCH64;
  EXPECT_THAT(error_of(builder.build()), HasSubstr("another processor"));
  builder = good();
  builder.type = ET_REL;
  EXPECT_THAT(error_of(builder.build()), HasSubstr("not an executable"));
  builder = good();
  builder.segments.clear();
  EXPECT_THAT(error_of(builder.build()), HasSubstr("nothing to load"));
  builder = good();
  builder.entry = 0xFFFFFFFF81000000;
  EXPECT_THAT(error_of(builder.build()), HasSubstr("whose entry is physical"));

  std::vector<u8> file = good().build();
  Elf64_Phdr program;
  std::memcpy(&program, &file[sizeof(Elf64_Ehdr)], sizeof(program));
  program.p_memsz = 1;
  std::memcpy(&file[sizeof(Elf64_Ehdr)], &program, sizeof(program));
  EXPECT_THAT(error_of(file), HasSubstr("impossible size"));
}

TEST(ElfImage, EveryTruncationIsAnErrorOrLosesOnlySymbols) {
  const std::vector<u8> file = good().build();
  const std::size_t loaded_end = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr) + 6;
  for (std::size_t size = 4; size < file.size(); ++size) {
    const Result<ElfImage> image = ElfImage::parse({file.begin(), file.begin() + static_cast<long>(size)}, "vmlinux");
    if (size < loaded_end) {
      ASSERT_FALSE(image.ok()) << size;
    } else {
      ASSERT_TRUE(image.ok()) << size << image.error().message;
    }
  }
}

TEST(ElfImage, SegmentsOutsideRamAreRefused) {
  const ElfImage image = ElfImage::parse(good().build(), "vmlinux").value();
  GuestMemory small = GuestMemory::create(18 << 20).value();
  const Status status = image.load(small, {0x100000});
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message, HasSubstr("more memory"));

  ElfBuilder low = good();
  low.segments[1].physical = 0x7000;  // over the zero page
  GuestMemory memory = GuestMemory::create(64 << 20).value();
  EXPECT_FALSE(ElfImage::parse(low.build(), "vmlinux").value().load(memory, {0x100000}).ok());

  ElfBuilder far = good();
  far.segments[1].memory_size = u64{1} << 45;
  EXPECT_FALSE(ElfImage::parse(far.build(), "vmlinux").value().load(memory, {0x100000}).ok());
}

TEST(ElfImage, DamagedHeadersNeverCrash) {
  const std::vector<u8> file = good().build();
  RandomStream random(1, 0, "elf damage");
  GuestMemory memory = GuestMemory::create(32 << 20).value();
  for (int round = 0; round < 3000; ++round) {
    std::vector<u8> damaged = file;
    for (u64 i = 0, n = 1 + random.below(4); i < n; ++i)
      damaged[random.below(damaged.size())] = static_cast<u8>(random.next());
    if (const Result<ElfImage> image = ElfImage::parse(damaged, "vmlinux"); image.ok()) {
      (void)image.value().symbolise(random.next());
      (void)image.value().load(memory, {0x100000}).ok();
    }
  }
}

}  // namespace
}  // namespace bhvm
