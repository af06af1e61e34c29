#include "devices/virtio/virtio_mmio.h"

#include <string_view>

#include "devices/virtio/virtio_rng.h"
#include "state/hash_state.h"
#include "virtio_driver.h"

namespace bhvm {
namespace {

using namespace virtio_test;

/// A device with two queues that remembers what it was told.
struct ProbeDevice final : VirtioDevice {
  static constexpr std::array<u16, 2> kSizes{8, 16};
  u32 device_id() const override { return 42; }
  u64 device_features() const override { return 0b101 | u64{1} << 50; }
  std::span<const u16> queue_sizes_max() const override { return kSizes; }
  u8 read_config(u64 offset) const override { return config_byte(config, offset); }
  void write_config(u64 offset, u8 value) override {
    if (offset < config.size()) config[offset] = value;
  }
  void on_features(u64 negotiated) override { features = negotiated; }
  void on_notify(u32 queue) override { notified.push_back(queue); }
  void reset() override { ++resets; }
  void change_config() { transport().notify_config_change(); }
  void break_down() { transport().fail(); }

  std::array<u8, 6> config{1, 2, 3, 4, 5, 6};
  std::vector<u32> notified;
  u64 features = 0;
  unsigned resets = 0;
};

struct VirtioMmioTest : testing::Test {
  Board board;
  ProbeDevice device;
  VirtioMmio mmio{device, board.memory, Line(board.line, 0)};
  Driver driver{mmio, board.memory};
};

TEST_F(VirtioMmioTest, IdentifiesItself) {
  EXPECT_EQ(driver.get(reg::kMagicValue), 0x74726976u);
  EXPECT_EQ(driver.get(reg::kVersion), 2u);
  EXPECT_EQ(driver.get(reg::kDeviceId), 42u);
  EXPECT_EQ(driver.get(reg::kVendorId), VirtioMmio::kVendorId);
  EXPECT_EQ(std::string_view(VirtioMmio::register_name(0x044)), "QueueReady");
  EXPECT_EQ(VirtioMmio::register_name(0x048), nullptr);
}

TEST_F(VirtioMmioTest, OffersItsFeaturesAndTheTransports) {
  EXPECT_EQ(driver.device_features(), device.device_features() | virtio_feature::kTransport);
  driver.set(reg::kDeviceFeaturesSel, 2);
  EXPECT_EQ(driver.get(reg::kDeviceFeatures), 0u);
}

TEST_F(VirtioMmioTest, FeaturesOkSticksOnlyForVersion1AndOfferedFeatures) {
  driver.add_status(virtio_status::kAcknowledge | virtio_status::kDriver);
  driver.accept_features(1);
  driver.add_status(virtio_status::kFeaturesOk);
  EXPECT_EQ(driver.get(reg::kStatus), 3u);
  driver.accept_features(virtio_feature::kVersion1 | 0b10);
  driver.add_status(virtio_status::kFeaturesOk);
  EXPECT_EQ(driver.get(reg::kStatus), 3u);
  driver.accept_features(virtio_feature::kVersion1 | 0b100);
  driver.add_status(virtio_status::kFeaturesOk);
  EXPECT_EQ(driver.get(reg::kStatus), 11u);
  EXPECT_EQ(device.features, virtio_feature::kVersion1 | 0b100);
  driver.accept_features(virtio_feature::kVersion1);  // frozen now
  EXPECT_EQ(mmio.state().driver_features, virtio_feature::kVersion1 | 0b100);
}

TEST_F(VirtioMmioTest, DriverOkNeedsFeaturesOk) {
  driver.add_status(virtio_status::kAcknowledge | virtio_status::kDriver | virtio_status::kDriverOk);
  EXPECT_EQ(driver.get(reg::kStatus), 3u);
}

TEST_F(VirtioMmioTest, StatusOnlyGrows) {
  driver.negotiate(0);
  driver.set(reg::kStatus, virtio_status::kAcknowledge);
  EXPECT_EQ(driver.get(reg::kStatus), 11u);
  driver.set(reg::kStatus, virtio_status::kDeviceNeedsReset | 0xff00);  // not the driver's to set
  EXPECT_EQ(driver.get(reg::kStatus), 11u);
}

TEST_F(VirtioMmioTest, QueueRegistersAreTheSelectedQueues) {
  driver.set(reg::kQueueSel, 1);
  EXPECT_EQ(driver.get(reg::kQueueNumMax), 16u);
  EXPECT_EQ(driver.get(reg::kQueueReady), 0u);
  driver.set(reg::kQueueSel, 2);
  EXPECT_EQ(driver.get(reg::kQueueNumMax), 0u);
  driver.set(reg::kQueueReady, 1);
  EXPECT_EQ(driver.get(reg::kQueueReady), 0u);
  EXPECT_FALSE(driver.needs_reset());
}

TEST_F(VirtioMmioTest, AReadyQueueIsFixed) {
  driver.negotiate(0);
  const DriverQueue queue = driver.make_queue(0, 8);
  EXPECT_EQ(driver.get(reg::kQueueReady), 1u);
  driver.set(reg::kQueueNum, 4);
  driver.set(reg::kQueueDescLow, 0);
  EXPECT_EQ(mmio.state().queues[0].size, 8u);
  EXPECT_EQ(mmio.state().queues[0].descriptor, queue.descriptors);
  driver.set(reg::kQueueReady, 0);
  EXPECT_EQ(driver.get(reg::kQueueReady), 0u);
  driver.set(reg::kQueueNum, 4);
  EXPECT_EQ(mmio.state().queues[0].size, 4u);
}

TEST_F(VirtioMmioTest, UnsoundQueuesAreRefused) {
  constexpr u64 kEnd = Board::kRamSize;
  struct Case {
    u32 size;
    u64 descriptors, available, used;
  };
  const Case cases[] = {
      {0, 0x1000, 0x2000, 0x3000},       {3, 0x1000, 0x2000, 0x3000},      {16, 0x1000, 0x2000, 0x3000},
      {~u32{0}, 0x1000, 0x2000, 0x3000}, {8, 0x1008, 0x2000, 0x3000},      {8, 0x1000, 0x2001, 0x3000},
      {8, 0x1000, 0x2000, 0x3002},       {8, kEnd - 0x70, 0x2000, 0x3000}, {8, 0x1000, kEnd - 20, 0x3000},
      {8, 0x1000, 0x2000, kEnd - 64},    {8, kEnd, 0x2000, 0x3000},        {8, ~u64{0} - 15, 0x2000, 0x3000},
      {8, 0x1000, ~u64{0} - 1, 0x3000},  {8, 0x1000, 0x2000, ~u64{0} - 3}, {8, u64{3} << 30, 0x2000, 0x3000},
  };
  for (const Case& c : cases) {
    driver.negotiate(0);
    driver.set_queue_registers(0, c.size, c.descriptors, c.available, c.used);
    EXPECT_EQ(driver.get(reg::kQueueReady), 0u);
    EXPECT_TRUE(driver.needs_reset());
    EXPECT_EQ(driver.get(reg::kInterruptStatus), 0u);  // 2.1.2: not before DRIVER_OK
  }
  driver.negotiate(0);  // a reset repairs it, and the last byte of RAM may be used
  driver.set_queue_registers(0, 8, kEnd - 0x80, 0x2000, 0x3000);
  EXPECT_EQ(driver.get(reg::kQueueReady), 1u);
}

TEST_F(VirtioMmioTest, NotificationsReachUsableQueuesOnly) {
  driver.negotiate(0);
  driver.make_queue(1, 16);
  driver.set(reg::kQueueNotify, 1);
  EXPECT_TRUE(device.notified.empty());  // 3.1.1: not before DRIVER_OK
  driver.add_status(virtio_status::kDriverOk);
  EXPECT_EQ(device.notified, std::vector<u32>{1});  // what came early is looked at now
  driver.set(reg::kQueueNotify, 0);
  driver.set(reg::kQueueNotify, 2);
  driver.set(reg::kQueueNotify, ~u32{0});
  EXPECT_EQ(device.notified.size(), 1u);
  driver.set(reg::kQueueNotify, 1);
  EXPECT_EQ(device.notified.size(), 2u);
  driver.add_status(virtio_status::kFailed);
  driver.set(reg::kQueueNotify, 1);
  EXPECT_EQ(device.notified.size(), 2u);
}

TEST_F(VirtioMmioTest, ConfigurationChangesAreToldAndCounted) {
  device.change_config();
  EXPECT_EQ(driver.get(reg::kConfigGeneration), 1u);
  EXPECT_FALSE(board.line.level);  // nobody drives the device yet
  driver.start(0, 1, 8);
  device.change_config();
  EXPECT_TRUE(board.line.level);
  EXPECT_EQ(driver.get(reg::kInterruptStatus), virtio_interrupt::kConfigChange);
  driver.set(reg::kInterruptAck, virtio_interrupt::kUsedBuffer);
  EXPECT_TRUE(board.line.level);
  driver.set(reg::kInterruptAck, virtio_interrupt::kConfigChange);
  EXPECT_FALSE(board.line.level);
}

TEST_F(VirtioMmioTest, FailureIsTold) {
  driver.start(0, 1, 8);
  device.break_down();
  EXPECT_TRUE(driver.needs_reset());
  EXPECT_EQ(driver.take_interrupt(), virtio_interrupt::kConfigChange);
  device.notified.clear();
  driver.set(reg::kQueueNotify, 0);
  EXPECT_TRUE(device.notified.empty());
  driver.set(reg::kStatus, 0);
  EXPECT_EQ(driver.get(reg::kStatus), 0u);
}

TEST_F(VirtioMmioTest, ConfigurationSpaceTakesAnySize) {
  EXPECT_EQ(mmio.read(0x100, 1), 1u);
  EXPECT_EQ(mmio.read(0x101, 2), 0x0302u);
  EXPECT_EQ(mmio.read(0x101, 4), 0x05040302u);
  EXPECT_EQ(mmio.read(0x102, 8), 0x06050403u);  // zero beyond the end
  EXPECT_EQ(mmio.read(~u64{0} - 2, 8), 0u);
  mmio.write(0x103, 4, 0xa1a2a3a4);
  EXPECT_EQ(device.config, (std::array<u8, 6>{1, 2, 3, 0xa4, 0xa3, 0xa2}));
}

TEST_F(VirtioMmioTest, RegistersTakeAlignedWordsOnly) {
  for (const unsigned size : {1u, 2u, 8u}) EXPECT_EQ(mmio.read(0, size), 0u);
  EXPECT_EQ(mmio.read(1, 4), 0u);
  mmio.write(reg::kStatus, 1, 1);
  mmio.write(reg::kStatus, 8, 1);
  mmio.write(reg::kStatus + 1, 4, 1);
  EXPECT_EQ(driver.get(reg::kStatus), 0u);
  EXPECT_EQ(driver.get(reg::kDriverFeatures), 0u);  // write-only
  EXPECT_EQ(driver.get(0x0b0), 0xffff'ffffu);       // no shared memory region
  EXPECT_EQ(driver.get(0x0bc), 0xffff'ffffu);
  driver.set(reg::kMagicValue, 0);  // read-only
  EXPECT_EQ(driver.get(reg::kMagicValue), 0x74726976u);
}

TEST_F(VirtioMmioTest, ResetEqualsFresh) {
  const Hash128 fresh = hash_state(mmio.state());
  driver.start(0b101, 2, 8);
  device.change_config();
  EXPECT_NE(hash_state(mmio.state()), fresh);
  driver.set(reg::kStatus, 0);
  EXPECT_EQ(hash_state(mmio.state()), fresh);
  EXPECT_FALSE(board.line.level);
  EXPECT_EQ(device.resets, 2u);
}

TEST_F(VirtioMmioTest, RestoringDrivesNoLine) {
  driver.start(0, 2, 8);
  device.change_config();
  Writer writer;
  save(writer, mmio.state());
  VirtioMmioState saved;
  Reader reader(writer.bytes());
  ASSERT_TRUE(load(reader, saved));

  ProbeDevice other_device;
  RecordingLine other_line;
  VirtioMmio other(other_device, board.memory, Line(other_line, 0));
  other.set_state(saved);
  EXPECT_EQ(hash_state(other.state()), hash_state(mmio.state()));
  EXPECT_EQ(other_line.calls, 0u);
}

TEST_F(VirtioMmioTest, AForgedStateIsPutInOrder) {
  VirtioMmioState forged = mmio.state();
  forged.queues.resize(1);
  forged.queues[0] = {.size = 1u << 31, .ready = true, .descriptor = ~u64{0}, .driver = 1, .device = 2};
  forged.status = virtio_status::kDriverOk | virtio_status::kFeaturesOk;
  forged.driver_features = ~u64{0};
  forged.interrupt_status = ~u32{0};
  mmio.set_state(forged);
  EXPECT_EQ(mmio.state().queues.size(), 2u);
  EXPECT_FALSE(mmio.state().queues[0].ready);
  EXPECT_EQ(mmio.state().driver_features & 0b10, 0u);
  EXPECT_EQ(mmio.state().interrupt_status, 3u);
  driver.set(reg::kQueueNotify, 0);
  EXPECT_TRUE(device.notified.empty());
}

}  // namespace
}  // namespace bhvm
