#include "devices/virtio/virtqueue.h"

#include "virtio_driver.h"

namespace bhvm {
namespace {

using namespace virtio_test;

/// A queue of 8 with its tables in place; no transport.
struct VirtqueueTest : testing::Test {
  static constexpr u16 kSize = 8;
  static constexpr u64 kTable = 0x1000, kAvailable = 0x2000, kUsed = 0x3000, kData = 0x8000;

  GuestMemory memory = GuestMemory::create(u64{4} << 20).value();
  VirtqueueState state{.size = kSize, .ready = true, .descriptor = kTable, .driver = kAvailable, .device = kUsed};
  u64 features = virtio_feature::kTransport;
  u16 available_index = 0;
  Chain chain;

  Virtqueue queue() { return {memory, state, features}; }
  void descriptor(u16 index, const Descriptor& d, u64 table = kTable) {
    memory.write_value({table + u64{16} * index}, d);
  }
  void offer(u16 head) {
    memory.write_value({kAvailable + 4 + 2 * u64{static_cast<u16>(available_index % kSize)}}, head);
    memory.write_value({kAvailable + 2}, ++available_index);
  }
  PopResult pop_one(u16 head) {
    offer(head);
    return queue().pop(chain);
  }
  u16 value_at(u64 address) {
    u16 value = 0;
    EXPECT_TRUE(memory.read_value({address}, value));
    return value;
  }
};

TEST_F(VirtqueueTest, EmptyUntilOffered) {
  EXPECT_EQ(queue().pop(chain), PopResult::kEmpty);
  descriptor(3, {kData, 16, 0, 0});
  EXPECT_EQ(pop_one(3), PopResult::kChain);
  EXPECT_EQ(chain.head, 3);
  EXPECT_EQ(chain.readable_bytes, 16u);
  EXPECT_EQ(queue().pop(chain), PopResult::kEmpty);
  EXPECT_EQ(value_at(kUsed + 4 + 8 * kSize), 1);  // avail_event: tell me of the next
}

TEST_F(VirtqueueTest, AvailEventIsLeftAloneWithoutEventIdx) {
  features = virtio_feature::kVersion1;
  descriptor(0, {kData, 16, 0, 0});
  EXPECT_EQ(pop_one(0), PopResult::kChain);
  EXPECT_EQ(queue().pop(chain), PopResult::kEmpty);
  EXPECT_EQ(value_at(kUsed + 4 + 8 * kSize), 0);
}

TEST_F(VirtqueueTest, CollectsReadableThenWritable) {
  descriptor(0, {kData, 16, kNext, 5});
  descriptor(5, {kData + 0x100, 0, kNext, 2});  // no bytes, no segment
  descriptor(2, {kData + 0x200, 100, kNext | kWrite, 7});
  descriptor(7, {kData + 0x300, 1, kWrite, 0});
  ASSERT_EQ(pop_one(0), PopResult::kChain);
  EXPECT_EQ(chain.readable.size(), 1u);
  EXPECT_EQ(chain.writable.size(), 2u);
  EXPECT_EQ(chain.writable_bytes, 101u);
}

TEST_F(VirtqueueTest, ReadableAfterWritableIsBroken) {
  descriptor(0, {kData, 16, kNext | kWrite, 1});
  descriptor(1, {kData, 16, 0, 0});
  EXPECT_EQ(pop_one(0), PopResult::kBroken);
}

TEST_F(VirtqueueTest, HeadAndNextOutOfRangeAreBroken) {
  EXPECT_EQ(pop_one(kSize), PopResult::kBroken);
  state.next_available = available_index;
  descriptor(0, {kData, 16, kNext, kSize});
  EXPECT_EQ(pop_one(0), PopResult::kBroken);
}

TEST_F(VirtqueueTest, AvailableIndexMustNotJump) {
  memory.write_value({kAvailable + 2}, u16{kSize + 1});
  EXPECT_EQ(queue().pop(chain), PopResult::kBroken);
  memory.write_value({kAvailable + 2}, u16{0xffff});  // nor go back
  EXPECT_EQ(queue().pop(chain), PopResult::kBroken);
}

TEST_F(VirtqueueTest, IndicesWrap) {
  descriptor(1, {kData, 4, kWrite, 0});
  state.next_available = state.next_used = available_index = 0xfffe;
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(pop_one(1), PopResult::kChain);
    ASSERT_TRUE(queue().push_used(1, 4));
  }
  EXPECT_EQ(state.next_available, 3);
  EXPECT_EQ(value_at(kUsed + 2), 3);
}

TEST_F(VirtqueueTest, LoopsAreBroken) {
  descriptor(0, {kData, 16, kNext, 0});
  EXPECT_EQ(pop_one(0), PopResult::kBroken);
  for (u16 i = 0; i < kSize; ++i) descriptor(i, {kData, 0, kNext, static_cast<u16>((i + 1) % kSize)});
  EXPECT_EQ(pop_one(0), PopResult::kBroken);
  descriptor(kSize - 1, {kData, 1, 0, 0});  // as long as the queue is fine
  EXPECT_EQ(pop_one(0), PopResult::kChain);
}

TEST_F(VirtqueueTest, BuffersOutsideRamAreBroken) {
  const u64 end = memory.size_bytes();
  const Descriptor bad[] = {
      {end, 1, 0, 0},          {end - 8, 9, 0, 0},
      {~u64{0}, 1, 0, 0},      {~u64{0} - 7, 16, 0, 0},
      {0, ~u32{0}, 0, 0},      {GuestMemory::kLowLimit - 8, 16, 0, 0},
      {u64{1} << 63, 4, 0, 0}, {GuestMemory::kHighBase, 4, kWrite, 0},
  };
  for (const Descriptor& d : bad) {
    descriptor(0, d);
    EXPECT_EQ(pop_one(0), PopResult::kBroken) << d.address;
    state.next_available = available_index;
  }
  descriptor(0, {end - 8, 8, 0, 0});
  EXPECT_EQ(pop_one(0), PopResult::kChain);
  descriptor(0, {~u64{0}, 0, 0, 0});  // no bytes, so nowhere
  EXPECT_EQ(pop_one(0), PopResult::kChain);
}

TEST_F(VirtqueueTest, IndirectTable) {
  constexpr u64 kIndirectTable = 0x4000;
  descriptor(0, {kData, 16, kNext, 1}, kIndirectTable);
  descriptor(1, {kData + 16, 16, kNext | kWrite, 2}, kIndirectTable);
  descriptor(2, {kData + 32, 16, kWrite, 0}, kIndirectTable);
  descriptor(4, {kIndirectTable, 48, kIndirect | kWrite, 0});  // 2.7.5.3.2: WRITE is ignored here
  ASSERT_EQ(pop_one(4), PopResult::kChain);
  EXPECT_EQ(chain.head, 4);
  EXPECT_EQ(chain.readable_bytes, 16u);
  EXPECT_EQ(chain.writable_bytes, 32u);
  // 2.7.5.3.2: ordinary descriptors may come before it.
  descriptor(3, {kData, 8, kNext, 4});
  ASSERT_EQ(pop_one(3), PopResult::kChain);
  EXPECT_EQ(chain.readable_bytes, 24u);
}

TEST_F(VirtqueueTest, BadIndirectTablesAreBroken) {
  constexpr u64 kIndirectTable = 0x4000;
  descriptor(0, {kData, 16, 0, 0}, kIndirectTable);
  descriptor(1, {kIndirectTable, 16, kIndirect, 0}, kIndirectTable);  // a table in a table
  const Descriptor bad[] = {
      {kIndirectTable, 0, kIndirect, 0},
      {kIndirectTable, 15, kIndirect, 0},
      {kIndirectTable, 24, kIndirect, 0},
      {kIndirectTable, 16, kIndirect | kNext, 1},
      {memory.size_bytes(), 16, kIndirect, 0},
      {memory.size_bytes() - 16, 32, kIndirect, 0},
      {~u64{0} - 15, 32, kIndirect, 0},
      {kIndirectTable + 16, 16, kIndirect, 0},
      {kIndirectTable, 0xffff'fff0, kIndirect, 0},
  };
  for (const Descriptor& d : bad) {
    descriptor(2, d);
    EXPECT_EQ(pop_one(2), PopResult::kBroken) << d.length;
    state.next_available = available_index;
  }
  features = virtio_feature::kVersion1;  // not negotiated
  descriptor(2, {kIndirectTable, 16, kIndirect, 0});
  EXPECT_EQ(pop_one(2), PopResult::kBroken);
}

TEST_F(VirtqueueTest, ALongIndirectTableIsCut) {
  constexpr u64 kIndirectTable = 0x10000;
  constexpr u16 kEntries = Virtqueue::kChainMax;
  for (u16 i = 0; i < kEntries; ++i) {
    descriptor(i, {kData, 1, kNext, static_cast<u16>(i + 1)}, kIndirectTable);
  }
  descriptor(0, {kIndirectTable, 16 * (kEntries + 1), kIndirect, 0});
  EXPECT_EQ(pop_one(0), PopResult::kBroken);
  descriptor(kEntries - 2, {kData, 1, 0, 0}, kIndirectTable);  // with the table's own descriptor the limit
  EXPECT_EQ(pop_one(0), PopResult::kChain);
  EXPECT_EQ(chain.readable_bytes, kEntries - 1u);
}

TEST_F(VirtqueueTest, LengthsMustNotSumPast4GiB) {
  constexpr u64 kIndirectTable = 0x10000;
  constexpr u32 kLength = u32{4} << 20;  // all of RAM
  for (u16 i = 0; i < 1023; ++i) descriptor(i, {0, kLength, kNext, static_cast<u16>(i + 1)}, kIndirectTable);
  descriptor(1022, {0, kLength, 0, 0}, kIndirectTable);
  descriptor(0, {kIndirectTable, 16 * 1023, kIndirect, 0});
  EXPECT_EQ(pop_one(0), PopResult::kChain);
  EXPECT_EQ(chain.readable_bytes, u64{1023} * kLength);

  GuestMemory large = GuestMemory::create(u64{2} << 30).value();
  for (u16 i = 0; i < 3; ++i) {
    const u16 flags = i < 2 ? kNext : u16{0};
    large.write_value({kTable + u64{16} * i}, Descriptor{0, u32{2} << 29, flags, static_cast<u16>(i + 1)});
  }
  VirtqueueState fresh = state;
  Virtqueue three(large, fresh, features);
  EXPECT_TRUE(three.read_chain(0, chain));  // 3 GiB
  for (u16 i = 0; i < 5; ++i) {
    const u16 flags = i < 4 ? kNext : u16{0};
    large.write_value({kTable + u64{16} * i}, Descriptor{0, u32{2} << 29, flags, static_cast<u16>(i + 1)});
  }
  EXPECT_FALSE(three.read_chain(0, chain));  // 5 GiB
}

TEST_F(VirtqueueTest, CursorsFollowTheSegments) {
  descriptor(0, {kPageSize * 9 - 3, 7, kNext, 1});  // across a page
  descriptor(1, {kData, 2, kNext, 2});
  descriptor(2, {kData + 0x100, 5, kNext | kWrite, 3});
  descriptor(3, {kPageSize * 12 - 1, 6, kWrite, 0});
  memory.write({kPageSize * 9 - 3}, "abcdefg", 7);
  memory.write({kData}, "hi", 2);
  ASSERT_EQ(pop_one(0), PopResult::kChain);
  std::array<char, 16> text{};
  ChainCursor reader = queue().reader(chain);
  EXPECT_EQ(reader.skip(1), 1u);
  EXPECT_EQ(reader.read(text.data(), 3), 3u);
  EXPECT_EQ(reader.remaining(), 5u);
  EXPECT_EQ(reader.read(text.data() + 3, 13), 5u);
  EXPECT_STREQ(text.data(), "bcdefghi");
  EXPECT_EQ(reader.read(text.data(), 1), 0u);

  ChainCursor writer = queue().writer(chain);
  EXPECT_EQ(writer.write("0123456789xyz", 13), 11u);
  EXPECT_EQ(writer.remaining(), 0u);
  text = {};
  memory.read({kData + 0x100}, text.data(), 5);
  memory.read({kPageSize * 12 - 1}, text.data() + 5, 6);
  EXPECT_STREQ(text.data(), "0123456789x");
}

TEST_F(VirtqueueTest, NotificationsByFlag) {
  features = virtio_feature::kVersion1;
  EXPECT_FALSE(queue().wants_notification());  // nothing was used yet
  queue().push_used(0, 0);
  EXPECT_TRUE(queue().wants_notification());
  memory.write_value({kAvailable}, u16{1});  // VIRTQ_AVAIL_F_NO_INTERRUPT
  queue().push_used(0, 0);
  EXPECT_FALSE(queue().wants_notification());
}

TEST_F(VirtqueueTest, NotificationsByEvent) {
  constexpr u64 kUsedEvent = kAvailable + 4 + 2 * kSize;
  queue().push_used(0, 0);
  EXPECT_TRUE(queue().wants_notification());
  memory.write_value({kUsedEvent}, u16{3});  // tell me when entry 3 is used
  queue().push_used(0, 0);
  EXPECT_FALSE(queue().wants_notification());
  queue().push_used(0, 0);
  EXPECT_FALSE(queue().wants_notification());
  queue().push_used(0, 0);
  EXPECT_TRUE(queue().wants_notification());
  queue().push_used(0, 0);
  EXPECT_FALSE(queue().wants_notification());
  memory.write_value({kUsedEvent}, u16{6});  // passed within a batch
  for (int i = 0; i < 4; ++i) queue().push_used(0, 0);
  EXPECT_TRUE(queue().wants_notification());
}

TEST_F(VirtqueueTest, RangesOfRam) {
  EXPECT_TRUE(is_ram_range(memory, 0, memory.size_bytes()));
  EXPECT_FALSE(is_ram_range(memory, 1, memory.size_bytes()));
  EXPECT_FALSE(is_ram_range(memory, 16, ~u64{0}));
  EXPECT_TRUE(is_ram_range(memory, ~u64{0}, 0));
  const GuestMemory large = GuestMemory::create(u64{4} << 30).value();
  EXPECT_TRUE(is_ram_range(large, GuestMemory::kLowLimit - 4, 4));
  EXPECT_FALSE(is_ram_range(large, GuestMemory::kLowLimit - 4, 5));
  EXPECT_FALSE(is_ram_range(large, GuestMemory::kLowLimit - 4, (u64{1} << 30) + 8));  // over the hole
  EXPECT_TRUE(is_ram_range(large, GuestMemory::kHighBase, 4096));
}

}  // namespace
}  // namespace bhvm
