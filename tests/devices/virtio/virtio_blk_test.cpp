#include "devices/virtio/virtio_blk.h"

#include <gmock/gmock.h>

#include "state/hash_state.h"
#include "virtio_driver.h"

namespace bhvm {
namespace {

using namespace virtio_test;

constexpr u64 kFar = 1'000'000'000;
constexpr u64 kAllFeatures = blk_feature::kFlush | blk_feature::kConfigWce | blk_feature::kDiscard |
                             blk_feature::kWriteZeroes | virtio_feature::kIndirectDesc | virtio_feature::kEventIdx;

struct VirtioBlkTest : testing::Test {
  static constexpr u64 kDiskSize = u64{1} << 20;

  Board board;
  DiskImage disk = DiskImage::create(kDiskSize).value();
  VirtioBlk device{disk, board.port(), {.read_only = false, .id = "a disk", .timing = {}}};
  VirtioMmio mmio{device, board.memory, Line(board.line, 0)};
  Driver driver{mmio, board.memory};
  u64 status_address = driver.allocate(kPageSize);

  u64 header(u32 type, u64 sector) {
    const BlkRequestHeader h{type, 0, sector};
    const u64 address = driver.allocate(sizeof h);
    board.memory.write_value({address}, h);
    return address;
  }
  /// Puts a request on the queue; data as the driver gives it.
  u16 submit(DriverQueue& queue, u32 type, u64 sector, std::vector<Buffer> out, std::vector<Buffer> in) {
    board.memory.write_value({status_address}, u8{0xee});
    out.insert(out.begin(), {header(type, sector), sizeof(BlkRequestHeader)});
    in.push_back({status_address, 1});
    const u16 head = driver.add(queue, out, in);
    driver.kick(queue);
    return head;
  }
  u8 status() { return driver.bytes_at(status_address, 1)[0]; }
  /// The same, run to its end. Returns the status.
  u8 request(DriverQueue& queue, u32 type, u64 sector, std::vector<Buffer> out, std::vector<Buffer> in) {
    submit(queue, type, sector, std::move(out), std::move(in));
    board.run_until(board.clock.now_ns() + kFar, device);
    used = driver.take_used(queue);
    EXPECT_TRUE(used.has_value());
    return status();
  }
  u64 data(std::size_t size, u8 fill) { return driver.place(std::vector<u8>(size, fill)); }
  u64 range(u64 sector, u32 sectors, u32 flags) {
    const u64 address = driver.allocate(sizeof(BlkRange));
    board.memory.write_value({address}, BlkRange{sector, sectors, flags});
    return address;
  }
  std::vector<u8> on_disk(u64 sector, u64 size) {
    std::vector<u8> bytes(size);
    EXPECT_TRUE(disk.read(sector * kSectorSize, bytes));
    return bytes;
  }
  std::optional<Used> used;
};

TEST_F(VirtioBlkTest, Configuration) {
  EXPECT_EQ(mmio.read(0x100, 8), kDiskSize / 512);
  EXPECT_EQ(mmio.read(0x10c, 4), 254u);  // seg_max
  EXPECT_EQ(mmio.read(0x114, 4), 512u);  // blk_size
  EXPECT_EQ(mmio.read(0x118, 1), 3u);    // physical_block_exp
  EXPECT_EQ(mmio.read(0x11a, 2), 8u);    // min_io_size
  EXPECT_EQ(mmio.read(0x124, 4), BlkRequest::kRangeSectorsMax);
  EXPECT_EQ(mmio.read(0x134, 4), 1u);
  EXPECT_EQ(driver.device_features() & (blk_feature::kRo | blk_feature::kDiscard), blk_feature::kDiscard);
}

TEST_F(VirtioBlkTest, BlockSizesAreTold) {
  struct Case {
    u32 logical;
    u32 physical;
    u32 exponent;
  };
  for (const Case& one : {Case{512, 512, 0}, Case{512, 4096, 3}, Case{4096, 4096, 0}}) {
    VirtioBlk other(disk, board.port(), {.logical_block_bytes = one.logical, .physical_block_bytes = one.physical});
    VirtioMmio other_mmio(other, board.memory, Line(board.line, 0));
    EXPECT_EQ(other_mmio.read(0x100, 8), kDiskSize / 512) << "sectors, whatever the blocks are";
    EXPECT_EQ(other_mmio.read(0x114, 4), one.logical);
    EXPECT_EQ(other_mmio.read(0x118, 1), one.exponent);
    EXPECT_EQ(other_mmio.read(0x11a, 2), one.physical / one.logical);
  }
}

// As QEMU's virtio_blk_sect_range_ok().
TEST_F(VirtioBlkTest, OnlyWholeLogicalBlocksAreReadAndWritten) {
  VirtioBlk large(disk, board.port(), {.logical_block_bytes = 4096, .physical_block_bytes = 4096});
  VirtioMmio large_mmio(large, board.memory, Line(board.line, 0));
  Driver large_driver(large_mmio, board.memory);
  DriverQueue queue = large_driver.start(kAllFeatures, 1, 64)[0];
  const auto ask = [&](u32 type, u64 sector, u32 size) {
    const u64 header = large_driver.allocate(sizeof(BlkRequestHeader));
    board.memory.write_value({header}, BlkRequestHeader{type, 0, sector});
    const u64 bytes = large_driver.place(std::vector<u8>(size, 7));
    const u64 status = large_driver.allocate(1);
    if (type == blk_type::kOut) {
      large_driver.add(queue, {{header, 16}, {bytes, size}}, {{status, 1}});
    } else {
      large_driver.add(queue, {{header, 16}}, {{bytes, size}, {status, 1}});
    }
    large_driver.kick(queue);
    board.run_until(board.clock.now_ns() + kFar, large);
    EXPECT_TRUE(large_driver.take_used(queue).has_value());
    return large_driver.bytes_at(status, 1)[0];
  };
  constexpr u8 kIoErr = static_cast<u8>(BlkStatus::kIoErr);
  for (const u32 type : {blk_type::kIn, blk_type::kOut}) {
    EXPECT_EQ(ask(type, 8, 8192), 0);
    EXPECT_EQ(ask(type, 4, 4096), kIoErr);
    EXPECT_EQ(ask(type, 8, 512), kIoErr);
  }
  EXPECT_EQ(on_disk(8, 512), std::vector<u8>(512, 7));
  EXPECT_EQ(on_disk(4, 512), std::vector<u8>(512, 0));
}

TEST_F(VirtioBlkTest, WritesAndReadsBack) {
  DriverQueue queue = driver.start(kAllFeatures, 1, 64)[0];
  const u64 out = data(1536, 0xab);
  EXPECT_EQ(request(queue, blk_type::kOut, 3, {{out, 500}, {out + 500, 1036}}, {}), 0);
  EXPECT_EQ(used->length, 1u);
  EXPECT_EQ(on_disk(3, 1536), std::vector<u8>(1536, 0xab));
  EXPECT_EQ(on_disk(6, 1), std::vector<u8>(1, 0));
  const u64 in = driver.allocate(4096);
  EXPECT_EQ(request(queue, blk_type::kIn, 2, {}, {{in, 1}, {in + 1, 1023}}), 0);
  EXPECT_EQ(used->length, 1025u);
  EXPECT_EQ(driver.bytes_at(in, 512), std::vector<u8>(512, 0));
  EXPECT_EQ(driver.bytes_at(in + 512, 512), std::vector<u8>(512, 0xab));
}

TEST_F(VirtioBlkTest, ARequestTakesVirtualTime) {
  DriverQueue queue = driver.start(kAllFeatures, 1, 64)[0];
  const u64 in = driver.allocate(8192);
  const u16 read_head = submit(queue, blk_type::kIn, 0, {}, {{in, 4096}});
  EXPECT_EQ(status(), 0xee);
  EXPECT_FALSE(driver.take_used(queue).has_value());
  const u16 flush_head = submit(queue, blk_type::kFlush, 0, {}, {});
  const u16 second_head = submit(queue, blk_type::kIn, 0, {}, {{in, 4096}});
  ASSERT_EQ(device.state().in_flight.size(), 3u);
  const u64 transfer_ns = (u64{4096} * 500'000) >> 20;
  EXPECT_EQ(device.state().in_flight[0].due_ns, transfer_ns + 20'000);
  EXPECT_EQ(device.state().in_flight[1].due_ns, 2 * transfer_ns + 20'000);  // transfers follow each other
  board.run_until(transfer_ns + 19'999, device);
  EXPECT_FALSE(board.line.level);
  board.run_until(transfer_ns + 20'000, device);
  EXPECT_TRUE(board.line.level);
  EXPECT_EQ(driver.take_used(queue)->id, read_head);
  board.run_until(kFar, device);
  EXPECT_EQ(driver.take_used(queue)->id, second_head);  // overtook the flush
  EXPECT_EQ(driver.take_used(queue)->id, flush_head);
  EXPECT_EQ(board.events.next_time_ns(), EventQueue::kNever);
}

TEST_F(VirtioBlkTest, BadRequestsAreAnswered) {
  DriverQueue queue = driver.start(kAllFeatures, 1, 64)[0];
  const u64 sectors = kDiskSize / 512;
  const u64 buffer = data(4096, 1);
  EXPECT_EQ(request(queue, blk_type::kIn, sectors, {}, {{buffer, 512}}), 1);
  EXPECT_EQ(used->length, 0u);
  EXPECT_EQ(request(queue, blk_type::kIn, sectors - 1, {}, {{buffer, 1024}}), 1);
  EXPECT_EQ(request(queue, blk_type::kIn, ~u64{0}, {}, {{buffer, 1024}}), 1);
  EXPECT_EQ(request(queue, blk_type::kOut, ~u64{0} / 512, {{buffer, 1024}}, {}), 1);
  EXPECT_EQ(request(queue, blk_type::kIn, 0, {}, {{buffer, 511}}), 1);
  EXPECT_EQ(request(queue, blk_type::kOut, 0, {{buffer, 513}}, {}), 1);
  EXPECT_EQ(request(queue, 2, 0, {}, {}), 2);
  EXPECT_EQ(request(queue, ~u32{0}, 0, {}, {}), 2);
  EXPECT_EQ(request(queue, blk_type::kIn, 0, {}, {}), 0);  // nothing, done
  EXPECT_EQ(driver.bytes_at(buffer, 4096), std::vector<u8>(4096, 1));
  EXPECT_EQ(disk.written_blocks(), 0u);
  EXPECT_FALSE(driver.needs_reset());
}

TEST_F(VirtioBlkTest, TooLargeATransferIsRefused) {
  DriverQueue queue = driver.start(kAllFeatures, 1, 64)[0];
  const std::vector<Buffer> out(5, Buffer{0, static_cast<u32>(Board::kRamSize)});
  EXPECT_EQ(request(queue, blk_type::kOut, 0, out, {}), 1);
  EXPECT_EQ(device.state().transfer_end_ns, 0u);
}

TEST_F(VirtioBlkTest, ChainsWithoutHeaderOrStatusFail) {
  for (int variant = 0; variant < 3; ++variant) {
    DriverQueue queue = driver.start(kAllFeatures, 1, 64)[0];
    driver.take_interrupt();
    if (variant == 0) driver.add(queue, {{0x1000, 15}}, {{status_address, 1}});
    if (variant == 1) driver.add(queue, {{0x1000, 16}}, {});
    if (variant == 2) driver.add(queue, {}, {{status_address, 512}});
    driver.kick(queue);
    EXPECT_TRUE(driver.needs_reset()) << variant;
    EXPECT_EQ(driver.take_interrupt(), virtio_interrupt::kConfigChange);
  }
}

TEST_F(VirtioBlkTest, AChainChangedInFlightFails) {
  DriverQueue queue = driver.start(kAllFeatures, 1, 64)[0];
  const u64 buffer = data(512, 1);
  const u16 head = submit(queue, blk_type::kOut, 0, {{buffer, 512}}, {});
  driver.write_descriptor(queue.descriptors, head, {0x1000, 16, kNext, head});
  board.run_until(kFar, device);
  EXPECT_TRUE(driver.needs_reset());
  EXPECT_EQ(disk.written_blocks(), 0u);
}

TEST_F(VirtioBlkTest, GetId) {
  DriverQueue queue = driver.start(kAllFeatures, 1, 64)[0];
  const u64 buffer = data(32, 0xff);
  EXPECT_EQ(request(queue, blk_type::kGetId, 0, {}, {{buffer, 20}}), 0);
  EXPECT_EQ(used->length, 21u);
  std::vector<u8> id(20);
  std::memcpy(id.data(), "a disk", 6);
  EXPECT_EQ(driver.bytes_at(buffer, 20), id);
  EXPECT_EQ(request(queue, blk_type::kGetId, 0, {}, {{buffer, 32}}), 0);
  EXPECT_EQ(used->length, 20u);  // a gap before the status
  EXPECT_EQ(request(queue, blk_type::kGetId, 0, {}, {{buffer, 3}}), 0);
}

TEST_F(VirtioBlkTest, DiscardAndWriteZeroes) {
  DriverQueue queue = driver.start(kAllFeatures, 1, 64)[0];
  const u64 buffer = data(8192, 5);
  ASSERT_EQ(request(queue, blk_type::kOut, 0, {{buffer, 8192}}, {}), 0);
  EXPECT_EQ(request(queue, blk_type::kDiscard, 0, {{range(0, 8, 0), 16}}, {}), 0);
  EXPECT_EQ(on_disk(0, 4096), std::vector<u8>(4096, 0));
  EXPECT_EQ(on_disk(8, 4096), std::vector<u8>(4096, 5));
  EXPECT_EQ(request(queue, blk_type::kWriteZeroes, 0, {{range(9, 1, 1), 16}}, {}), 0);
  EXPECT_EQ(on_disk(9, 512), std::vector<u8>(512, 0));
  EXPECT_EQ(on_disk(10, 512), std::vector<u8>(512, 5));
  EXPECT_EQ(request(queue, blk_type::kDiscard, 0, {{range(0, 8, 1), 16}}, {}), 2);      // unmap is not for discard
  EXPECT_EQ(request(queue, blk_type::kWriteZeroes, 0, {{range(0, 8, 2), 16}}, {}), 2);  // no such flag
  EXPECT_EQ(request(queue, blk_type::kDiscard, 0, {{range(kDiskSize / 512, 1, 0), 16}}, {}), 1);
  EXPECT_EQ(request(queue, blk_type::kDiscard, 0, {{range(~u64{0}, 8, 0), 16}}, {}), 1);
  EXPECT_EQ(request(queue, blk_type::kDiscard, 0, {{range(0, ~u32{0}, 0), 16}}, {}), 1);
  EXPECT_EQ(request(queue, blk_type::kDiscard, 0, {{range(0, 8, 0), 15}}, {}), 1);
  EXPECT_EQ(request(queue, blk_type::kDiscard, 0, {{range(0, 8, 0), 32}}, {}), 1);
  EXPECT_EQ(request(queue, blk_type::kDiscard, 0, {}, {}), 1);
}

TEST_F(VirtioBlkTest, DiscardMustBeNegotiated) {
  DriverQueue queue = driver.start(0, 1, 64)[0];
  EXPECT_EQ(request(queue, blk_type::kDiscard, 0, {{range(0, 8, 0), 16}}, {}), 2);
}

TEST_F(VirtioBlkTest, WritebackAndWritethrough) {
  const u64 buffer = data(512, 5);
  DriverQueue queue = driver.start(kAllFeatures, 1, 64)[0];
  EXPECT_EQ(mmio.read(0x120, 1), 1u);
  request(queue, blk_type::kOut, 0, {{buffer, 512}}, {});
  EXPECT_EQ(disk.unsynced_blocks(), 1u);
  request(queue, blk_type::kFlush, 0, {}, {});
  EXPECT_EQ(disk.unsynced_blocks(), 0u);
  request(queue, blk_type::kOut, 0, {{buffer, 512}}, {});
  mmio.write(0x120, 1, 0);
  EXPECT_EQ(disk.unsynced_blocks(), 0u);
  EXPECT_EQ(mmio.read(0x120, 1), 0u);
  request(queue, blk_type::kOut, 0, {{buffer, 512}}, {});
  EXPECT_EQ(disk.unsynced_blocks(), 0u);

  queue = driver.start(blk_feature::kConfigWce, 1, 64)[0];  // no FLUSH: writethrough until told otherwise
  EXPECT_EQ(mmio.read(0x120, 1), 0u);
  request(queue, blk_type::kOut, 0, {{buffer, 512}}, {});
  EXPECT_EQ(disk.unsynced_blocks(), 0u);

  queue = driver.start(blk_feature::kFlush, 1, 64)[0];
  mmio.write(0x120, 1, 0);  // not negotiated
  request(queue, blk_type::kOut, 0, {{buffer, 512}}, {});
  EXPECT_EQ(disk.unsynced_blocks(), 1u);
}

TEST_F(VirtioBlkTest, ReadOnly) {
  VirtioBlk locked(disk, board.port(), {.read_only = true, .id = {}, .timing = {}});
  VirtioMmio locked_mmio(locked, board.memory, Line());
  Driver locked_driver(locked_mmio, board.memory);
  EXPECT_EQ(locked_driver.device_features() & (blk_feature::kRo | blk_feature::kDiscard | blk_feature::kWriteZeroes),
            blk_feature::kRo);
  DriverQueue queue = locked_driver.start(blk_feature::kRo, 1, 16)[0];
  const u64 out = locked_driver.allocate(4096);
  board.memory.write_value({out}, BlkRequestHeader{blk_type::kOut, 0, 0});
  locked_driver.add(queue, {{out, 16}, {out + 16, 512}}, {{out + 2048, 1}});
  locked_driver.kick(queue);
  board.run_until(kFar, locked);
  EXPECT_EQ(locked_driver.bytes_at(out + 2048, 1)[0], 1);
  EXPECT_EQ(disk.written_blocks(), 0u);
}

TEST_F(VirtioBlkTest, ManyInFlightAreBounded) {
  DriverQueue queue = driver.start(0, 1, 256)[0];
  board.memory.write_value({0x1000}, BlkRequestHeader{blk_type::kIn, 0, 0});
  driver.write_descriptor(queue.descriptors, 0, {0x1000, 16, kNext, 1});
  driver.write_descriptor(queue.descriptors, 1, {status_address, 1, kWrite, 0});
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 200; ++i) driver.offer(queue, 0);  // the same head over and over
    driver.kick(queue);
    EXPECT_LE(device.state().in_flight.size(), VirtioBlk::kQueueSize);
    if (driver.needs_reset()) break;
  }
  board.run_until(kFar, device);
  EXPECT_TRUE(device.state().in_flight.empty());
}

TEST_F(VirtioBlkTest, ResetDropsWhatIsInFlight) {
  const Hash128 fresh = hash_state(device.state());
  DriverQueue queue = driver.start(kAllFeatures, 1, 64)[0];
  const u64 buffer = data(512, 1);
  submit(queue, blk_type::kOut, 0, {{buffer, 512}}, {});
  EXPECT_NE(hash_state(device.state()), fresh);
  driver.set(reg::kStatus, 0);
  EXPECT_EQ(hash_state(device.state()), fresh);
  EXPECT_EQ(board.events.next_time_ns(), EventQueue::kNever);
  EXPECT_EQ(disk.written_blocks(), 0u);
}

TEST_F(VirtioBlkTest, RestoredInTheMiddle) {
  DriverQueue queue = driver.start(kAllFeatures, 1, 64)[0];
  const u64 out = data(4096, 7);
  const u64 in = driver.allocate(4096);
  submit(queue, blk_type::kOut, 8, {{out, 4096}}, {});
  submit(queue, blk_type::kIn, 8, {}, {{in, 4096}});

  Writer writer;
  save(writer, device.state());
  VirtioBlkState saved;
  Reader reader(writer.bytes());
  ASSERT_TRUE(load(reader, saved));
  Board other;
  other.memory = board.memory.fork();
  other.events = board.events;
  other.clock = board.clock;
  DiskImage other_disk = disk.fork();
  VirtioBlk other_device(other_disk, other.port(), {.read_only = false, .id = "a disk", .timing = {}});
  VirtioMmio other_mmio(other_device, other.memory, Line());
  other_mmio.set_state(mmio.state());
  other_device.set_state(saved);
  EXPECT_EQ(hash_state(other_device.state()), hash_state(device.state()));

  board.run_until(kFar, device);
  for (u64 t = 0; t <= kFar; t += kFar / 1000) other.run_until(t, other_device);
  EXPECT_EQ(driver.bytes_at(in, 4096), std::vector<u8>(4096, 7));
  EXPECT_EQ(hash_state(other_device.state()), hash_state(device.state()));
  EXPECT_EQ(hash_state(other_mmio.state()), hash_state(mmio.state()));
  EXPECT_EQ(other.memory.hash(), board.memory.hash());
  EXPECT_EQ(other_disk.hash().value(), disk.hash().value());
}

TEST_F(VirtioBlkTest, LatencyZeroStillTakesTime) {
  VirtioBlk fast(disk, board.port(), {.read_only = false, .id = {}, .timing = {0, 0, 0, 0}});
  VirtioMmio fast_mmio(fast, board.memory, Line());
  Driver fast_driver(fast_mmio, board.memory);
  DriverQueue queue = fast_driver.start(0, 1, 16)[0];
  const u64 out = fast_driver.allocate(4096);
  board.memory.write_value({out}, BlkRequestHeader{blk_type::kFlush, 0, 0});
  fast_driver.add(queue, {{out, 16}}, {{out + 2048, 1}});
  fast_driver.kick(queue);
  EXPECT_EQ(board.events.next_time_ns(), board.clock.now_ns() + 1);
}

}  // namespace
}  // namespace bhvm
