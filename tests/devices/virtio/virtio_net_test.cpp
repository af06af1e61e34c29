#include "devices/virtio/virtio_net.h"

#include <numeric>

#include "state/hash_state.h"
#include "virtio_driver.h"

namespace bhvm {
namespace {

using namespace virtio_test;

constexpr u64 kMrgRxbuf = u64{1} << 15;
constexpr u32 kHeader = 12;

struct FrameRecorder final : FrameSink {
  void send_frame(std::span<const u8> frame) override { frames.emplace_back(frame.begin(), frame.end()); }
  std::vector<std::vector<u8>> frames;
};

std::vector<u8> frame_of(std::size_t size) {
  std::vector<u8> frame(size);
  std::iota(frame.begin(), frame.end(), u8{1});
  return frame;
}

struct VirtioNetTest : testing::Test {
  Board board;
  FrameRecorder sink;
  VirtioNet device{sink, {.mac = {2, 0, 0, 0, 0, 9}, .mtu = 1500}};
  VirtioMmio mmio{device, board.memory, Line(board.line, 0)};
  Driver driver{mmio, board.memory};

  void transmit(DriverQueue& queue, std::vector<u8> header, const std::vector<u8>& frame) {
    header.resize(kHeader);
    driver.add(queue, {{driver.place(header), kHeader}, {driver.place(frame), static_cast<u32>(frame.size())}}, {});
    driver.kick(queue);
  }
};

TEST_F(VirtioNetTest, Configuration) {
  EXPECT_EQ(mmio.read(0x100, 8), 0x0001'0900'0000'0002u);
  EXPECT_EQ(mmio.read(0x10a, 2), 1500u);
  driver.start(u64{1} << 16, 2, 16);
  device.set_link(false);
  EXPECT_EQ(driver.take_interrupt(), virtio_interrupt::kConfigChange);
  EXPECT_EQ(mmio.read(0x106, 2), 0u);
}

TEST_F(VirtioNetTest, Transmits) {
  std::vector<DriverQueue> queues = driver.start(0, 2, 16);
  transmit(queues[1], {}, frame_of(60));
  ASSERT_EQ(sink.frames.size(), 1u);
  EXPECT_EQ(sink.frames[0], frame_of(60));
  EXPECT_EQ(driver.take_used(queues[1])->length, 0u);
  transmit(queues[1], {}, frame_of(1518));
  transmit(queues[1], {}, frame_of(1519));    // too long
  transmit(queues[1], {}, frame_of(13));      // too short
  transmit(queues[1], {1}, frame_of(60));     // NEEDS_CSUM
  transmit(queues[1], {0, 1}, frame_of(60));  // GSO
  EXPECT_EQ(sink.frames.size(), 2u);
  EXPECT_EQ(device.counters(), (NetCounters{.sent = 2, .send_refused = 4}));
  EXPECT_FALSE(driver.needs_reset());
  driver.add(queues[1], {{0x8000, kHeader - 1}}, {});
  driver.kick(queues[1]);
  EXPECT_TRUE(driver.needs_reset());
}

TEST_F(VirtioNetTest, ReceivesIntoOneBuffer) {
  std::vector<DriverQueue> queues = driver.start(0, 2, 16);
  const u64 buffer = driver.allocate(2048);
  driver.add(queues[0], {}, {{buffer, kHeader}, {buffer + 100, 1518}});
  EXPECT_TRUE(device.receive(frame_of(60)));
  EXPECT_EQ(driver.take_used(queues[0])->length, 72u);
  EXPECT_EQ(driver.bytes_at(buffer, kHeader), (std::vector<u8>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}));
  EXPECT_EQ(driver.bytes_at(buffer + 100, 60), frame_of(60));
  EXPECT_EQ(driver.take_interrupt(), virtio_interrupt::kUsedBuffer);
}

TEST_F(VirtioNetTest, FramesWaitForBuffersInOrder) {
  std::vector<DriverQueue> queues = driver.start(virtio_feature::kEventIdx, 2, 16);
  EXPECT_TRUE(device.receive(frame_of(60)));
  EXPECT_TRUE(device.receive(frame_of(61)));
  const u64 buffer = driver.allocate(4096);
  driver.add(queues[0], {}, {{buffer, 1530}});
  driver.kick(queues[0]);
  EXPECT_EQ(driver.take_used(queues[0])->length, 72u);
  EXPECT_FALSE(driver.take_used(queues[0]).has_value());
  driver.add(queues[0], {}, {{buffer, 1530}});
  driver.kick(queues[0]);
  EXPECT_EQ(driver.take_used(queues[0])->length, 73u);
}

TEST_F(VirtioNetTest, MergesBuffers) {
  std::vector<DriverQueue> queues = driver.start(kMrgRxbuf, 2, 16);
  const u64 buffer = driver.allocate(4096);
  driver.add(queues[0], {}, {{buffer, 40}});
  driver.add(queues[0], {}, {{buffer + 64, 40}});
  driver.kick(queues[0]);
  EXPECT_TRUE(device.receive(frame_of(100)));  // 112 bytes want three buffers
  EXPECT_FALSE(driver.take_used(queues[0]).has_value());
  driver.add(queues[0], {}, {{buffer + 128, 40}});
  driver.kick(queues[0]);
  EXPECT_EQ(driver.take_used(queues[0])->length, 40u);
  EXPECT_EQ(driver.take_used(queues[0])->length, 40u);
  EXPECT_EQ(driver.take_used(queues[0])->length, 32u);
  EXPECT_EQ(driver.bytes_at(buffer + 10, 2), (std::vector<u8>{3, 0}));
  std::vector<u8> frame = driver.bytes_at(buffer + kHeader, 28);
  for (const auto& [at, size] : {std::pair{64, 40}, std::pair{128, 32}}) {
    const std::vector<u8> piece = driver.bytes_at(buffer + static_cast<u64>(at), static_cast<u64>(size));
    frame.insert(frame.end(), piece.begin(), piece.end());
  }
  EXPECT_EQ(frame, frame_of(100));
}

TEST_F(VirtioNetTest, WithoutMergingAFrameThatDoesNotFitIsDropped) {
  std::vector<DriverQueue> queues = driver.start(0, 2, 16);
  const u64 buffer = driver.allocate(4096);
  driver.add(queues[0], {}, {{buffer, 80}});
  driver.kick(queues[0]);
  device.receive(frame_of(100));
  EXPECT_FALSE(driver.take_used(queues[0]).has_value());
  EXPECT_EQ(device.state().dropped_frames, 1u);
  EXPECT_EQ(device.counters(), NetCounters{.no_room = 1});
  device.receive(frame_of(60));  // the buffer is still there
  EXPECT_EQ(driver.take_used(queues[0])->length, 72u);
}

TEST_F(VirtioNetTest, DropsWhatItCannotTake) {
  EXPECT_FALSE(device.receive(frame_of(60)));  // nobody drives it
  driver.start(0, 2, 16);
  EXPECT_FALSE(device.receive(frame_of(13)));
  EXPECT_FALSE(device.receive(frame_of(1519)));
  for (std::size_t i = 0; i < VirtioNet::kReceivedMax; ++i) EXPECT_TRUE(device.receive(frame_of(60)));
  EXPECT_FALSE(device.receive(frame_of(60)));
  device.set_link(false);
  EXPECT_FALSE(device.receive(frame_of(60)));
  EXPECT_EQ(device.state().dropped_frames, 4u);  // since the reset that drivers start with
  EXPECT_EQ(device.waiting(), VirtioNet::kReceivedMax);
  driver.set(reg::kStatus, 0);
  EXPECT_TRUE(device.state().received.empty());
  EXPECT_EQ(device.counters(), (NetCounters{.queue_full = 1, .not_ready = 2, .wrong_size = 2, .reset = 256}))
      << "they outlive the reset";
  EXPECT_FALSE(device.state().link_up);
}

TEST_F(VirtioNetTest, NoFrameGoesWithoutAnAccount) {
  std::vector<DriverQueue> queues = driver.start(0, 2, 16);
  const u64 buffer = driver.allocate(4096);
  for (u64 i = 0; i < 3; ++i) driver.add(queues[0], {}, {{buffer + i * 100, 80}});
  driver.kick(queues[0]);
  u64 offered = 0;
  for (const std::size_t size : {60, 100, 13, 60, 60}) {
    device.receive(frame_of(size));
    ++offered;
  }
  for (; offered < 300; ++offered) device.receive(frame_of(60));
  const NetCounters& counters = device.counters();
  EXPECT_EQ(counters, (NetCounters{.delivered = 3, .queue_full = 300 - 5 - 256, .wrong_size = 1, .no_room = 1}));
  NetCounters twice = counters;
  twice += counters;
  EXPECT_EQ(twice.queue_full, 2 * counters.queue_full);
  EXPECT_EQ(twice.delivered, 6u);
}

TEST_F(VirtioNetTest, BuffersWithoutRoomForTheHeaderFail) {
  std::vector<DriverQueue> queues = driver.start(kMrgRxbuf, 2, 16);
  driver.add(queues[0], {}, {{0x8000, kHeader - 1}});
  device.receive(frame_of(60));
  EXPECT_TRUE(driver.needs_reset());
}

TEST_F(VirtioNetTest, AForgedStateIsPutInOrder) {
  VirtioNetState forged;
  forged.received.assign(300, {frame_of(60)});
  forged.received.push_back({frame_of(13)});
  forged.received.push_back({frame_of(100'000)});
  device.set_state(forged);
  EXPECT_EQ(device.state().received.size(), VirtioNet::kReceivedMax);
}

}  // namespace
}  // namespace bhvm
