#include "softmmu/guest_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <vector>

#include "tests/softmmu/recording_observer.h"

namespace bhvm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr u64 kMiB = u64{1} << 20;
constexpr u64 kGiB = u64{1} << 30;

TEST(GuestMemory, SizesThatCannotBeAreErrors) {
  for (const u64 size : {u64{0}, u64{4095}, u64{4097}, 64 * kGiB + kPageSize, ~u64{0}}) {
    EXPECT_FALSE(GuestMemory::create(size).ok()) << size;
  }
  EXPECT_TRUE(GuestMemory::create(kPageSize).ok());
  EXPECT_TRUE(GuestMemory::create(64 * kGiB).ok());
}

TEST(GuestMemory, RamHasAHoleBelowFourGiB) {
  const GuestMemory memory = make_memory(4 * kGiB);
  EXPECT_EQ(memory.size_bytes(), 4 * kGiB);
  EXPECT_TRUE(memory.is_ram({0}));
  EXPECT_TRUE(memory.is_ram({3 * kGiB - 1}));
  EXPECT_FALSE(memory.is_ram({3 * kGiB}));
  EXPECT_FALSE(memory.is_ram({4 * kGiB - 1}));
  EXPECT_TRUE(memory.is_ram({4 * kGiB}));
  EXPECT_TRUE(memory.is_ram({5 * kGiB - 1}));
  EXPECT_FALSE(memory.is_ram({5 * kGiB}));
  EXPECT_FALSE(memory.is_ram({~u64{0}}));
  const GuestMemory small = make_memory(8 * kPageSize);
  EXPECT_FALSE(small.is_ram({8 * kPageSize}));
  EXPECT_FALSE(small.is_ram({4 * kGiB}));
}

TEST(GuestMemory, LowAndHighRamAreDifferentBytes) {
  GuestMemory memory = make_memory(4 * kGiB);
  ASSERT_TRUE(memory.write_value({3 * kGiB - 8}, u64{1}));
  ASSERT_TRUE(memory.write_value({4 * kGiB}, u64{2}));
  ASSERT_TRUE(memory.write_value({kGiB}, u64{3}));
  EXPECT_EQ(value_at(memory, 3 * kGiB - 8), 1u);
  EXPECT_EQ(value_at(memory, 4 * kGiB), 2u);
  std::vector<u64> pages;
  memory.visit_pages([&](u64 page_number, std::span<const u8, kPageSize>) { pages.push_back(page_number); });
  EXPECT_THAT(pages, ElementsAre(kGiB / kPageSize, 3 * kGiB / kPageSize - 1, 4 * kGiB / kPageSize));
}

TEST(GuestMemory, AnAccessThatLeavesRamDoesNothing) {
  GuestMemory memory = make_memory(4 * kGiB);
  const std::array<u8, 16> ones = [] {
    std::array<u8, 16> bytes;
    bytes.fill(0xff);
    return bytes;
  }();
  std::array<u8, 16> bytes{};
  for (const u64 address : {3 * kGiB - 8, 3 * kGiB, 4 * kGiB - 8, 5 * kGiB - 8, ~u64{0} - 7}) {
    EXPECT_FALSE(memory.write({address}, ones.data(), ones.size())) << address;
    EXPECT_FALSE(memory.read({address}, bytes.data(), bytes.size())) << address;
    EXPECT_FALSE(memory.fill_zero({address}, 16)) << address;
  }
  EXPECT_FALSE(memory.fill_zero({0}, ~u64{0}));
  EXPECT_FALSE(memory.fill_zero({3 * kGiB - kPageSize}, kGiB + 2 * kPageSize));  // over the hole
  EXPECT_EQ(memory.usage().own_pages, 0u);
  EXPECT_TRUE(memory.write({~u64{0}}, ones.data(), 0));
}

TEST(GuestMemory, BytesCrossPagesAndChunks) {
  GuestMemory memory = make_memory(8 * kMiB);
  std::vector<u8> bytes(3 * kPageSize);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<u8>(i * 7 + i / 256);
  const PhysicalAddress address{2 * kMiB - kPageSize - 100};
  ASSERT_TRUE(memory.write(address, bytes.data(), bytes.size()));
  std::vector<u8> back(bytes.size());
  ASSERT_TRUE(memory.read(address, back.data(), back.size()));
  EXPECT_EQ(back, bytes);
  EXPECT_EQ(memory.usage().own_pages, 4u);
  EXPECT_EQ(value_at(memory, address.value - 8), 0u);
  EXPECT_EQ(value_at(memory, address.value + bytes.size()), 0u);
}

TEST(GuestMemory, FillZeroGivesWholePagesBack) {
  GuestMemory memory = make_memory(kMiB);
  RecordingObserver observer;
  memory.set_observer(&observer);
  const std::vector<u8> ones(4 * kPageSize, 1);
  ASSERT_TRUE(memory.write({0}, ones.data(), ones.size()));
  ASSERT_NE(memory.page_for_read({kPageSize}), nullptr);
  ASSERT_TRUE(memory.fill_zero({kPageSize - 8}, 2 * kPageSize));
  EXPECT_EQ(memory.usage().own_pages, 3u);
  EXPECT_THAT(observer.dropped, ElementsAre(kPageSize));
  EXPECT_EQ(value_at(memory, kPageSize - 16), 0x0101010101010101u);
  EXPECT_EQ(value_at(memory, kPageSize - 8), 0u);
  EXPECT_EQ(value_at(memory, kPageSize), 0u);
  EXPECT_EQ(value_at(memory, 3 * kPageSize - 16), 0u);
  EXPECT_EQ(value_at(memory, 3 * kPageSize - 8), 0x0101010101010101u);
  ASSERT_TRUE(memory.fill_zero({8 * kPageSize + 1}, 3));  // of an untouched page: nothing to do
  EXPECT_EQ(memory.usage().own_pages, 3u);
}

TEST(GuestMemory, PagesThatWereUsedBeforeComeBackAsZero) {
  constexpr u64 kPages = 2000;  // more than one slab
  GuestMemory memory = make_memory(2 * kPages * kPageSize);
  const std::vector<u8> junk(kPageSize, 0xA5);
  for (u64 page = 0; page < kPages; ++page) memory.write({page * kPageSize}, junk.data(), kPageSize);
  memory.fill_zero({0}, kPages * kPageSize);
  for (u64 page = 0; page < 2 * kPages; ++page) memory.write_value(PhysicalAddress{page * kPageSize + 8}, page);
  std::vector<u8> expected(kPageSize), bytes(kPageSize);
  for (u64 page = 0; page < 2 * kPages; ++page) {
    std::memcpy(&expected[8], &page, sizeof page);
    memory.read({page * kPageSize}, bytes.data(), kPageSize);
    ASSERT_EQ(bytes, expected) << page;
  }
}

TEST(GuestMemory, HostPointersSeeTheSameBytes) {
  GuestMemory memory = make_memory(kMiB);
  EXPECT_EQ(memory.page_for_read({kMiB}), nullptr);
  EXPECT_EQ(memory.page_for_write({kMiB}), nullptr);
  EXPECT_EQ(memory.peek_page({~u64{0}}), nullptr);
  u8* page = memory.page_for_write({0x3abc});
  ASSERT_NE(page, nullptr);
  page[0xabc] = 9;
  EXPECT_EQ(value_at(memory, 0x3abc), 9u);
  EXPECT_EQ(memory.page_for_read({0x3000}), page);
  EXPECT_EQ(memory.peek_page({0x3000}), page);
}

TEST(GuestMemory, APageLeavingTheZeroPageDropsItsPointers) {
  GuestMemory memory = make_memory(kMiB);
  RecordingObserver observer;
  memory.set_observer(&observer);
  const u8* zero = memory.page_for_read({0x5000});
  EXPECT_EQ(memory.page_for_read({0x6000}), zero);
  memory.write_value({0x5008}, u64{1});
  EXPECT_THAT(observer.dropped, ElementsAre(0x5000));
  EXPECT_NE(memory.page_for_read({0x5000}), zero);
  memory.write_value({0x5010}, u64{1});  // owned by now
  EXPECT_NE(memory.page_for_write({0x6000}), nullptr);
  EXPECT_THAT(observer.dropped, ElementsAre(0x5000, 0x6000));
  memory.peek_page({0x7000});
  memory.write_value({0x7000}, u64{1});  // a peek is not handed out
  EXPECT_THAT(observer.dropped, ElementsAre(0x5000, 0x6000));
}

TEST(GuestMemory, CodeIsMarkedByGranule) {
  GuestMemory memory = make_memory(kMiB);
  RecordingObserver observer;
  memory.set_observer(&observer);
  u8* page = memory.page_for_write({0x1000});
  ASSERT_NE(page, nullptr);
  memory.mark_code({0x1040 + 10}, 60);  // granules 1 and 2
  EXPECT_THAT(observer.dropped, ElementsAre(0x1000));
  EXPECT_TRUE(memory.has_code({0x1fff}));
  EXPECT_FALSE(memory.has_code({0x2000}));
  EXPECT_FALSE(memory.has_code({kMiB}));
  EXPECT_FALSE(memory.touches_code({0x1000}, 0x40));
  EXPECT_TRUE(memory.touches_code({0x1000}, 0x41));
  EXPECT_TRUE(memory.touches_code({0x10bf}, 1));
  EXPECT_FALSE(memory.touches_code({0x10c0}, 0xf40));
  EXPECT_FALSE(memory.touches_code({0x1040}, 0));
  EXPECT_EQ(memory.page_for_write({0x1000}), nullptr);
  EXPECT_EQ(memory.page_for_read({0x1000}), page);

  memory.mark_code({0x1fff}, 1);  // the pointer handed out since is for reading, and other code is there already
  EXPECT_THAT(observer.dropped, ElementsAre(0x1000));
  memory.clear_code({0x1000});
  EXPECT_FALSE(memory.has_code({0x1000}));
  EXPECT_EQ(memory.page_for_write({0x1000}), page);
  memory.mark_code({0x1000}, kPageSize);
  EXPECT_TRUE(memory.touches_code({0x1fff}, 1));
}

TEST(GuestMemory, WritesToCodeAreReportedBeforehand) {
  GuestMemory memory = make_memory(kMiB);
  class Watcher final : public MemoryObserver {
   public:
    explicit Watcher(GuestMemory& guest) : memory(guest) {}
    void drop_host_pointers(PhysicalAddress) override {}
    void drop_all_host_pointers() override {}
    void code_written(PhysicalAddress address, u64 size) override {
      seen.emplace_back(address.value, size);
      value_before = value_at(memory, address.value);
      memory.clear_code(address);
    }
    GuestMemory& memory;
    std::vector<std::pair<u64, u64>> seen;
    u64 value_before = 1;
  } watcher(memory);
  memory.set_observer(&watcher);
  memory.mark_code({0x2000}, 64);
  memory.write_value({0x2040}, u64{7});
  EXPECT_THAT(watcher.seen, IsEmpty());
  const std::array<u8, 32> bytes{1};
  memory.write({0x1ff0}, bytes.data(), bytes.size());
  EXPECT_THAT(watcher.seen, ElementsAre(Pair(0x2000, 16)));
  EXPECT_EQ(watcher.value_before, 0u);
  memory.write({0x1ff0}, bytes.data(), bytes.size());  // cleared by the watcher
  EXPECT_EQ(watcher.seen.size(), 1u);
  memory.mark_code({0x3000}, 1);
  memory.fill_zero({0x3000}, kPageSize);
  EXPECT_THAT(watcher.seen, ElementsAre(Pair(0x2000, 16), Pair(0x3000, kPageSize)));
}

TEST(GuestMemory, AssignmentRestoresUnderTheSameObserver) {
  GuestMemory memory = make_memory(kMiB);
  RecordingObserver observer;
  memory.set_observer(&observer);
  memory.write_value({0x1000}, u64{1});
  GuestMemory snapshot = memory.fork();
  memory.write_value({0x1000}, u64{2});
  memory.page_for_read({0x1000});
  memory.mark_code({0x1000}, 1);
  observer = {};
  memory = snapshot.fork();
  EXPECT_EQ(observer.all_dropped, 1);
  EXPECT_EQ(value_at(memory, 0x1000), 1u);
  EXPECT_FALSE(memory.has_code({0x1000}));
  memory.page_for_read({0x1000});
  memory.write_value({0x1000}, u64{3});
  EXPECT_THAT(observer.dropped, ElementsAre(0x1000));
  EXPECT_EQ(value_at(snapshot, 0x1000), 1u);
}

TEST(GuestMemoryDeathTest, CodeLiesInOnePageOfRam) {
  GuestMemory memory = make_memory(kMiB);
  EXPECT_DEATH(memory.mark_code({0x1fff}, 2), "over the end of a page");
  EXPECT_DEATH(memory.mark_code({kMiB}, 1), "outside RAM");
}

}  // namespace
}  // namespace bhvm
