#include <gtest/gtest.h>

#include <vector>

#include "base/random_stream.h"
#include "softmmu/guest_memory.h"
#include "tests/softmmu/recording_observer.h"

namespace bhvm {
namespace {

/// The same contents in a memory that never hashed anything before.
Hash128 hash_from_scratch(const GuestMemory& memory) {
  GuestMemory copy = make_memory(memory.size_bytes());
  memory.visit_pages([&](u64 page_number, std::span<const u8, kPageSize> bytes) {
    copy.write({page_number * kPageSize}, bytes.data(), bytes.size());
  });
  return copy.hash();
}

TEST(MemoryHash, DependsOnSizeContentsAndPlace) {
  GuestMemory a = make_memory(16 * kPageSize);
  GuestMemory b = make_memory(16 * kPageSize);
  EXPECT_EQ(a.hash(), b.hash());
  EXPECT_NE(a.hash(), make_memory(17 * kPageSize).hash());
  a.write_value({0x1000}, u64{1});
  EXPECT_NE(a.hash(), b.hash());
  b.write_value({0x2000}, u64{1});
  EXPECT_NE(a.hash(), b.hash());
  b.write_value({0x2000}, u64{0});  // a page that is zero again counts as one never touched
  b.write_value({0x1000}, u64{1});
  EXPECT_EQ(a.hash(), b.hash());
}

TEST(MemoryHash, SeesStoresThroughHostPointers) {
  GuestMemory memory = make_memory(16 * kPageSize);
  RecordingObserver observer;
  memory.set_observer(&observer);
  u8* page = memory.page_for_write({0x1000});
  const Hash128 zero = memory.hash();
  EXPECT_EQ(observer.all_dropped, 1);
  page = memory.page_for_write({0x1000});
  page[5] = 1;
  const Hash128 one = memory.hash();
  EXPECT_NE(one, zero);
  page = memory.page_for_write({0x1000});
  page[5] = 0;
  EXPECT_EQ(memory.hash(), zero);
  EXPECT_EQ(observer.all_dropped, 3);
  memory.hash();  // nothing was handed out since
  EXPECT_EQ(observer.all_dropped, 3);
}

TEST(MemoryHash, OfAForkIsItsParents) {
  GuestMemory parent = make_memory(1024 * kPageSize);
  parent.write_value({0x1000}, u64{1});
  parent.hash();
  parent.write_value({0x2000}, u64{2});  // unhashed at the fork
  GuestMemory child = parent.fork();
  EXPECT_EQ(child.hash(), parent.hash());
  child.write_value({0x1000}, u64{5});
  EXPECT_EQ(child.hash(), hash_from_scratch(child));
  EXPECT_EQ(parent.hash(), hash_from_scratch(parent));
  EXPECT_NE(child.hash(), parent.hash());
}

TEST(MemoryHash, IncrementalIsFromScratch) {
  constexpr u64 kPages = 600;
  RandomStream random(17, 0, "memory hash test");
  std::vector<GuestMemory> family;
  family.push_back(make_memory(kPages * kPageSize));
  for (int round = 0; round < 6000; ++round) {
    GuestMemory& memory = family[random.below(family.size())];
    const u64 page = random.below(kPages / 20) * 20 * kPageSize;
    switch (random.below(12)) {
      case 0:
        if (family.size() < 6) {
          GuestMemory child = memory.fork();
          family.push_back(std::move(child));
        } else {
          family.erase(family.begin() + static_cast<std::ptrdiff_t>(random.below(family.size())));
        }
        break;
      case 1:
      case 2:
        if (u8* bytes = memory.page_for_write({page}))
          bytes[random.below(kPageSize)] = static_cast<u8>(random.below(2));
        break;
      case 3:
        memory.fill_zero({page}, kPageSize);
        break;
      case 4:
        memory.fill_zero({page + random.below(100)}, random.below(4 * kPageSize));
        break;
      case 5:
        memory.hash();
        break;
      case 6:
        if (round % 8 == 0) {
          ASSERT_EQ(memory.hash(), hash_from_scratch(memory));
        }
        break;
      default:
        memory.write_value({page + random.below(kPageSize)}, random.below(2));
    }
  }
  for (GuestMemory& memory : family) EXPECT_EQ(memory.hash(), hash_from_scratch(memory));
}

}  // namespace
}  // namespace bhvm
