#include "devices/virtio/virtio_rng.h"

#include "state/hash_state.h"
#include "virtio_driver.h"

namespace bhvm {
namespace {

using namespace virtio_test;

struct VirtioRngTest : testing::Test {
  Board board;
  VirtioRng device{RandomStream(7, 0, "virtio-rng")};
  VirtioMmio mmio{device, board.memory, Line(board.line, 0)};
  Driver driver{mmio, board.memory};
};

TEST_F(VirtioRngTest, FillsFromTheStream) {
  DriverQueue queue = driver.start(virtio_feature::kEventIdx, 1, 8)[0];
  const u64 buffer = driver.allocate(64);
  const u16 head = driver.add(queue, {}, {{buffer, 16}, {buffer + 32, 8}});
  driver.kick(queue);
  const std::optional<Used> used = driver.take_used(queue);
  ASSERT_TRUE(used.has_value());
  EXPECT_EQ(used->id, head);
  EXPECT_EQ(used->length, 24u);
  EXPECT_TRUE(board.line.level);
  RandomStream same(7, 0, "virtio-rng");
  std::array<u64, 8> words{};
  board.memory.read({buffer}, words.data(), sizeof words);
  EXPECT_EQ(words[0], same.next());
  EXPECT_EQ(words[1], same.next());
  EXPECT_EQ(words[2], 0u);
  EXPECT_EQ(words[4], same.next());
  EXPECT_EQ(words[5], 0u);
}

TEST_F(VirtioRngTest, LargeAndEmptyBuffers) {
  DriverQueue queue = driver.start(0, 1, 8)[0];
  const u64 buffer = driver.allocate(u64{1} << 20);
  driver.add(queue, {}, {{buffer, u32{1} << 20}});
  driver.add(queue, {{buffer, 8}}, {});
  driver.kick(queue);
  EXPECT_EQ(driver.take_used(queue)->length, VirtioRng::kFillMax);
  EXPECT_EQ(driver.take_used(queue)->length, 0u);
  EXPECT_FALSE(driver.needs_reset());
}

TEST_F(VirtioRngTest, ResetDoesNotRepeatEntropy) {
  DriverQueue queue = driver.start(0, 1, 8)[0];
  const u64 buffer = driver.allocate(64);
  driver.add(queue, {}, {{buffer, 8}});
  driver.kick(queue);
  const Hash128 before = hash_state(device.state());
  driver.set(reg::kStatus, 0);
  EXPECT_EQ(hash_state(device.state()), before);

  VirtioRng restored{RandomStream(1, 1, "other")};
  restored.set_state(device.state());
  EXPECT_EQ(hash_state(restored.state()), before);
}

TEST_F(VirtioRngTest, BuffersOverTheRingsEnd) {
  // Buffers that overlap the rings make the device write its own orders: it must come to an end.
  for (const u16 size : {u16{2}, u16{8}, u16{64}}) {
    DriverQueue queue = driver.start(0, 1, size)[0];
    for (u16 i = 0; i < size; ++i) {
      const u32 length = static_cast<u32>(1 + i * 37 % 512);
      const u64 target = i % 3 == 0 ? queue.available : i % 3 == 1 ? queue.used : queue.descriptors;
      driver.write_descriptor(queue.descriptors, i, {target, length, kWrite, 0});
      driver.offer(queue, i);
    }
    driver.kick(queue);
    SUCCEED();
  }
}

}  // namespace
}  // namespace bhvm
