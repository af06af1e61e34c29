#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <thread>
#include <vector>

#include "base/random_stream.h"
#include "softmmu/guest_memory.h"
#include "tests/softmmu/recording_observer.h"

namespace bhvm {
namespace {

using testing::ElementsAre;

constexpr u64 kMiB = u64{1} << 20;

TEST(Fork, SharesUntilOneSideWrites) {
  GuestMemory parent = make_memory(8 * kMiB);
  parent.write_value({0x1000}, u64{1});
  parent.write_value({0x2000}, u64{2});
  parent.write_value({4 * kMiB}, u64{3});
  GuestMemory child = parent.fork();
  EXPECT_EQ(parent.usage().own_pages, 0u);
  EXPECT_EQ(parent.usage().shared_pages, 3u);
  EXPECT_EQ(child.usage().shared_pages, 3u);
  EXPECT_EQ(child.peek_page({0x1000}), parent.peek_page({0x1000}));

  child.write_value({0x1000}, u64{10});
  parent.write_value({0x2000}, u64{20});
  parent.write_value({0x3000}, u64{30});
  EXPECT_EQ(value_at(parent, 0x1000), 1u);
  EXPECT_EQ(value_at(child, 0x1000), 10u);
  EXPECT_EQ(value_at(parent, 0x2000), 20u);
  EXPECT_EQ(value_at(child, 0x2000), 2u);
  EXPECT_EQ(value_at(child, 0x3000), 0u);
  EXPECT_EQ(parent.usage().own_pages, 3u);  // 0x1000, as the child has its own, 0x2000 and 0x3000
  EXPECT_EQ(parent.usage().shared_pages, 1u);
  EXPECT_EQ(child.usage().own_pages, 2u);
  EXPECT_EQ(child.usage().shared_pages, 1u);
}

TEST(Fork, APageLeftAloneIsWrittenInPlace) {
  GuestMemory parent = make_memory(kMiB);
  parent.write_value({0x1000}, u64{1});
  const u8* page = parent.peek_page({0x1000});
  {
    const GuestMemory child = parent.fork();
  }
  parent.write_value({0x1000}, u64{2});
  EXPECT_EQ(parent.peek_page({0x1000}), page);
}

TEST(Fork, OutlivesItsParentAndForksAgain) {
  std::optional<GuestMemory> parent = make_memory(kMiB);
  parent->write_value({0x1000}, u64{1});
  GuestMemory child = parent->fork();
  GuestMemory grandchild = child.fork();
  parent.reset();
  child.write_value({0x1000}, u64{2});
  EXPECT_EQ(value_at(grandchild, 0x1000), 1u);
  GuestMemory last = grandchild.fork();
  grandchild.write_value({0x1000}, u64{3});
  EXPECT_EQ(value_at(last, 0x1000), 1u);
  EXPECT_EQ(value_at(child, 0x1000), 2u);
  EXPECT_EQ(last.usage().own_pages, 1u);
}

TEST(Fork, DropsPointersAndForgetsCodeInTheChild) {
  GuestMemory parent = make_memory(kMiB);
  RecordingObserver observer;
  parent.set_observer(&observer);
  u8* page = parent.page_for_write({0x1000});
  page[0] = 1;
  parent.mark_code({0x2000}, 1);
  GuestMemory child = parent.fork();
  EXPECT_EQ(observer.all_dropped, 1);
  EXPECT_TRUE(parent.has_code({0x2000}));
  EXPECT_FALSE(child.has_code({0x2000}));
  EXPECT_EQ(parent.page_for_read({0x1000}), page);
  EXPECT_TRUE(observer.dropped.empty());
  u8* copy = parent.page_for_write({0x1000});
  EXPECT_NE(copy, page);
  EXPECT_THAT(observer.dropped, ElementsAre(0x1000));
  copy[0] = 2;
  EXPECT_EQ(value_at(child, 0x1000), 1u);
  child.write_value({0x1000}, u64{3});  // the child has no observer: nobody is told
  EXPECT_THAT(observer.dropped, ElementsAre(0x1000));
}

/// A family of memories against plain copies of their contents.
TEST(Fork, AFamilyAgreesWithPlainCopies) {
  constexpr u64 kPages = 1200;  // three chunks, the last one not full
  struct Member {
    GuestMemory memory;
    std::vector<u64> words;  // the first word of each page
  };
  RandomStream random(11, 0, "fork test");
  std::vector<Member> family;
  family.push_back({make_memory(kPages * kPageSize), std::vector<u64>(kPages)});
  for (int round = 0; round < 20000; ++round) {
    Member& member = family[random.below(family.size())];
    const u64 page = random.below(8) == 0 ? random.below(kPages) : random.below(20) * 60;
    const u64 value = random.below(3);
    switch (random.below(20)) {
      case 0:
        if (family.size() < 12) {
          Member child{member.memory.fork(), member.words};
          family.push_back(std::move(child));
        }
        break;
      case 1:
        if (family.size() > 1) family.erase(family.begin() + static_cast<std::ptrdiff_t>(random.below(family.size())));
        break;
      case 2:
        member.memory.fill_zero({page * kPageSize}, kPageSize);
        member.words[page] = 0;
        break;
      case 3:
        member.memory.hash();
        break;
      default:
        member.memory.write_value({page * kPageSize}, value);
        member.words[page] = value;
    }
    if (round % 500 != 0) continue;
    for (const Member& each : family) {
      for (u64 i = 0; i < kPages; ++i) ASSERT_EQ(value_at(each.memory, i * kPageSize), each.words[i]);
    }
  }
}

TEST(Fork, MembersLiveOnThreadsOfTheirOwn) {
  GuestMemory parent = make_memory(8 * kMiB);
  for (u64 page = 0; page < 2048; page += 2) parent.write_value({page * kPageSize}, page + 1);
  std::vector<GuestMemory> children;
  for (int i = 0; i < 4; ++i) children.push_back(parent.fork());
  std::vector<Hash128> hashes(children.size());
  std::vector<std::thread> threads;
  for (u64 i = 0; i < children.size(); ++i) {
    threads.emplace_back([&, i] {
      GuestMemory& memory = children[i];
      hashes[i] = memory.hash();  // all cache the same pages' hashes at once
      for (u64 round = 0; round < 3; ++round) {
        for (u64 page = 0; page < 2048; ++page) memory.write_value({page * kPageSize}, page * 10 + i);
        GuestMemory grandchild = memory.fork();
        for (u64 page = round; page < 2048; page += 5) grandchild.write_value({page * kPageSize}, u64{0});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (u64 i = 0; i < children.size(); ++i) {
    EXPECT_EQ(hashes[i], hashes[0]);
    for (u64 page = 0; page < 2048; ++page) ASSERT_EQ(value_at(children[i], page * kPageSize), page * 10 + i);
  }
  EXPECT_EQ(parent.hash(), hashes[0]);
  EXPECT_EQ(parent.usage().own_pages, 1024u);
}

}  // namespace
}  // namespace bhvm
