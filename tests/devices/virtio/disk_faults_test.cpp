// Disks that fail, are slow or full, and power cuts.
#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "devices/virtio/virtio_blk.h"
#include "state/hash_state.h"
#include "virtio_driver.h"

namespace bhvm {
namespace {

using namespace virtio_test;

constexpr u8 kOk = 0;
constexpr u8 kIoErr = 1;
constexpr u64 kFeatures = blk_feature::kFlush | blk_feature::kConfigWce | blk_feature::kDiscard;

VirtioBlkOptions options(u32 physical_block_bytes) {
  VirtioBlkOptions options;
  options.physical_block_bytes = physical_block_bytes;
  options.faults = RandomStream(1, 0, "disk-0");
  return options;
}

struct DiskFaultsTest : testing::Test {
  Board board;
  DiskImage disk = DiskImage::create(u64{4} << 20).value();
  VirtioBlk device{disk, board.port(), options(512)};
  VirtioMmio mmio{device, board.memory, Line(board.line, 0)};
  Driver driver{mmio, board.memory};
  DriverQueue queue = driver.start(kFeatures, 1, 64)[0];

  struct Request {
    u64 header;
    u64 data;
    u64 status;
  };
  /// A request with `size` bytes of `fill`, in memory of its own, on the queue.
  Request submit(u32 type, u64 sector, u32 size, u8 fill = 0) {
    Request r{driver.allocate(16), driver.place(std::vector<u8>(std::max(size, u32{1}), fill)), driver.allocate(1)};
    board.memory.write_value({r.header}, BlkRequestHeader{type, 0, sector});
    board.memory.write_value({r.status}, u8{0xEE});
    std::vector<Buffer> out{{r.header, 16}};
    std::vector<Buffer> in;
    if (size != 0) (type == blk_type::kIn ? in : out).push_back({r.data, size});
    in.push_back({r.status, 1});
    driver.add(queue, out, in);
    driver.kick(queue);
    return r;
  }
  u8 status(const Request& r) { return driver.bytes_at(r.status, 1)[0]; }
  /// The same, run to its end.
  u8 request(u32 type, u64 sector, u32 size, u8 fill = 0) {
    const Request r = submit(type, sector, size, fill);
    board.run_until(board.clock.now_ns() + 1'000'000'000, device);
    EXPECT_TRUE(driver.take_used(queue).has_value());
    return status(r);
  }
  u8 write(u64 sector, u32 size, u8 fill) { return request(blk_type::kOut, sector, size, fill); }
  u8 flush() { return request(blk_type::kFlush, 0, 0); }
  std::vector<u8> on_disk(u64 sector, u64 size) {
    std::vector<u8> bytes(size);
    EXPECT_TRUE(disk.read(sector * kSectorSize, bytes));
    return bytes;
  }
  int count(u32 type, int times) {
    int failed = 0;
    for (int i = 0; i < times; ++i) failed += request(type, 8, type == blk_type::kFlush ? 0 : 4096, 7) == kIoErr;
    return failed;
  }
};

TEST_F(DiskFaultsTest, AHealthyDiskDrawsNothing) {
  const RandomStreamState before = device.state().fault_stream;
  EXPECT_EQ(write(0, 4096, 1), kOk);
  EXPECT_EQ(flush(), kOk);
  EXPECT_EQ(request(blk_type::kIn, 0, 4096), kOk);
  EXPECT_EQ(device.state().fault_stream.s, before.s);
  const DiskCounters& counters = device.state().counters;
  EXPECT_EQ(counters.reads, 1u);
  EXPECT_EQ(counters.writes, 1u);
  EXPECT_EQ(counters.flushes, 1u);
  EXPECT_EQ(counters.read_bytes, 4096u);
  EXPECT_EQ(counters.written_bytes, 4096u);
  EXPECT_EQ(counters.errors + counters.delayed, 0u);
}

TEST_F(DiskFaultsTest, EachKindFailsAtItsOwnRate) {
  device.set_faults({.read_error_ppm = 300'000});
  EXPECT_NEAR(count(blk_type::kIn, 400), 120, 40);
  EXPECT_EQ(count(blk_type::kOut, 50) + count(blk_type::kFlush, 50), 0);
  device.set_faults({.write_error_ppm = 300'000});
  EXPECT_NEAR(count(blk_type::kOut, 400), 120, 40);
  EXPECT_EQ(count(blk_type::kIn, 50) + count(blk_type::kFlush, 50), 0);
  device.set_faults({.flush_error_ppm = kPartsPerMillion});
  EXPECT_EQ(count(blk_type::kFlush, 50), 50);
  EXPECT_EQ(count(blk_type::kIn, 50) + count(blk_type::kOut, 50), 0);
}

TEST_F(DiskFaultsTest, AFailedWriteIsWrittenInPart) {
  device.set_faults({.write_error_ppm = kPartsPerMillion});
  bool some = false;
  for (u64 i = 0; i < 20; ++i) {
    EXPECT_EQ(write(i * 16, 8192, 9), kIoErr);
    const std::vector<u8> bytes = on_disk(i * 16, 8192);
    const auto end = std::ranges::find(bytes, 0);
    EXPECT_TRUE(std::all_of(end, bytes.end(), [](u8 byte) { return byte == 0; })) << "its first sectors";
    const auto written = end - bytes.begin();
    EXPECT_EQ(written % 512, 0);
    EXPECT_LT(written, 8192) << "and not all of them";
    some = some || written > 0;
  }
  EXPECT_TRUE(some);
}

TEST_F(DiskFaultsTest, AFailedFlushSyncsNothing) {
  EXPECT_EQ(write(0, 4096, 1), kOk);
  device.set_faults({.flush_error_ppm = kPartsPerMillion});
  EXPECT_EQ(flush(), kIoErr);
  EXPECT_EQ(disk.unsynced_blocks(), 1u);
  device.set_faults({});
  EXPECT_EQ(flush(), kOk);
  EXPECT_EQ(disk.unsynced_blocks(), 0u);
}

TEST_F(DiskFaultsTest, LatencyIsAddedAndRequestsOvertake) {
  device.set_faults({.latency_ns = 1'000'000, .jitter_ns = 1'000'000});
  std::vector<Request> requests;
  for (u64 i = 0; i < 8; ++i) requests.push_back(submit(blk_type::kOut, i * 8, 512, 1));
  board.run_until(999'999, device);
  for (const Request& r : requests) EXPECT_EQ(status(r), 0xEE);
  board.run_until(2'100'000, device);
  for (const Request& r : requests) EXPECT_EQ(status(r), kOk);
  std::vector<u32> order;
  while (const std::optional<Used> used = driver.take_used(queue)) order.push_back(used->id);
  ASSERT_EQ(order.size(), 8u);
  EXPECT_FALSE(std::ranges::is_sorted(order));
  EXPECT_EQ(device.state().counters.delayed, 8u);
}

TEST_F(DiskFaultsTest, AFullPoolTakesOnlyWhatItHasTaken) {
  EXPECT_EQ(write(0, 4096, 1), kOk);
  device.set_faults({.full = true});
  EXPECT_EQ(write(0, 4096, 2), kOk);
  EXPECT_EQ(write(8, 4096, 3), kIoErr);
  EXPECT_EQ(write(0, 8192, 4), kIoErr);
  EXPECT_EQ(on_disk(0, 4096), std::vector<u8>(4096, 4)) << "as far as there is room";
  EXPECT_EQ(on_disk(8, 4096), std::vector<u8>(4096, 0));
  EXPECT_EQ(device.state().counters.errors, 2u);
  device.set_faults({});
  EXPECT_EQ(write(8, 4096, 5), kOk);
}

TEST_F(DiskFaultsTest, OutliveAResetByTheDriver) {
  device.set_faults({.read_error_ppm = kPartsPerMillion});
  queue = driver.start(kFeatures, 1, 64)[0];
  EXPECT_EQ(request(blk_type::kIn, 0, 512), kIoErr);
  EXPECT_EQ(device.state().counters.errors, 1u);
}

TEST_F(DiskFaultsTest, AreSavedAndDrawTheSameAfterwards) {
  device.set_faults({.read_error_ppm = 500'000});
  count(blk_type::kIn, 10);
  const VirtioBlkState saved = device.state();
  const int first = count(blk_type::kIn, 100);
  device.set_state(saved);
  EXPECT_EQ(hash_state(device.state()), hash_state(saved));
  EXPECT_EQ(count(blk_type::kIn, 100), first);
  device.reseed_faults(RandomStream(2, 0, "disk-0"));
  EXPECT_NE(hash_state(device.state()), hash_state(saved));
}

// ---- Power cuts

TEST_F(DiskFaultsTest, APowerCutKeepsWhatWasFlushed) {
  EXPECT_EQ(write(0, 65536, 1), kOk);
  EXPECT_EQ(flush(), kOk);
  EXPECT_EQ(write(0, 65536, 2), kOk);
  EXPECT_EQ(write(128, 65536, 3), kOk);
  EXPECT_TRUE(device.power_cut({.survive_ppm = 0}));
  EXPECT_EQ(on_disk(0, 65536), std::vector<u8>(65536, 1));
  EXPECT_EQ(on_disk(128, 65536), std::vector<u8>(65536, 0));
}

TEST_F(DiskFaultsTest, APowerCutMayLeaveAllOrPart) {
  EXPECT_EQ(write(0, 65536, 2), kOk);
  DiskImage copy = disk.fork();
  EXPECT_TRUE(device.power_cut({.survive_ppm = kPartsPerMillion}));
  EXPECT_EQ(on_disk(0, 65536), std::vector<u8>(65536, 2));
  disk = std::move(copy);
  EXPECT_TRUE(device.power_cut({}));
  std::vector<u8> bytes = on_disk(0, 65536);
  int blocks = 0;
  for (std::size_t at = 0; at < bytes.size(); at += 4096) {
    EXPECT_TRUE(std::all_of(bytes.begin() + static_cast<i64>(at), bytes.begin() + static_cast<i64>(at) + 4096,
                            [&](u8 byte) { return byte == bytes[at]; }))
        << "a block is whole";
    blocks += bytes[at] == 2;
  }
  EXPECT_GT(blocks, 2);
  EXPECT_LT(blocks, 14);
}

TEST_F(DiskFaultsTest, AWriteInFlightIsUndoneOrTorn) {
  EXPECT_EQ(write(0, 65536, 1), kOk);
  EXPECT_EQ(flush(), kOk);
  submit(blk_type::kOut, 0, 65536, 2);
  ASSERT_EQ(device.state().in_flight.size(), 1u);
  // Both from this moment. The device of the second is another, in the same state.
  DiskImage copy = disk.fork();
  const VirtioBlkState state = device.state();
  EXPECT_TRUE(device.power_cut({.survive_ppm = kPartsPerMillion}));
  EXPECT_EQ(on_disk(0, 65536), std::vector<u8>(65536, 1)) << "undone";
  EXPECT_TRUE(device.state().in_flight.empty());

  std::set<std::size_t> lengths;
  for (u64 seed = 0; seed < 20; ++seed) {
    disk = copy.fork();
    device.set_state(state);
    device.reseed_faults(RandomStream(seed, 0, "disk-0"));
    EXPECT_TRUE(device.power_cut({.survive_ppm = kPartsPerMillion, .torn = true}));
    const std::vector<u8> bytes = on_disk(0, 65536);
    const std::size_t written = static_cast<std::size_t>(std::ranges::find(bytes, 1) - bytes.begin());
    EXPECT_EQ(written % 512, 0u);
    EXPECT_TRUE(std::all_of(bytes.begin() + static_cast<i64>(written), bytes.end(), [](u8 b) { return b == 1; }));
    lengths.insert(written);
  }
  EXPECT_GT(lengths.size(), 10u);
}

// A disk of 4 KiB physical blocks.
TEST_F(DiskFaultsTest, NoPhysicalBlockIsTorn) {
  VirtioBlk large(disk, board.port(), options(4096));
  VirtioMmio large_mmio(large, board.memory, Line(board.line, 0));
  EXPECT_EQ(large_mmio.read(0x118, 1), 3u);
  EXPECT_EQ(mmio.read(0x118, 1), 0u);
  Driver large_driver(large_mmio, board.memory);
  queue = large_driver.start(kFeatures, 1, 64)[0];
  const u64 data = large_driver.place(std::vector<u8>(65536, 2));
  const u64 header = large_driver.allocate(16);
  board.memory.write_value({header}, BlkRequestHeader{blk_type::kOut, 0, 4});  // from the middle of a block
  large_driver.add(queue, {{header, 16}, {data, 65536}}, {{large_driver.allocate(1), 1}});
  large_driver.kick(queue);
  const VirtioBlkState state = large.state();
  std::set<std::size_t> lengths;
  for (u64 seed = 0; seed < 20; ++seed) {
    large.set_state(state);
    large.reseed_faults(RandomStream(seed, 0, "disk-0"));
    EXPECT_TRUE(large.power_cut({.survive_ppm = kPartsPerMillion, .torn = true}));
    const std::vector<u8> bytes = on_disk(4, 65536);
    const std::size_t written = static_cast<std::size_t>(std::ranges::find(bytes, 0) - bytes.begin());
    EXPECT_TRUE(written == 0 || (written + 2048) % 4096 == 0) << written;
    lengths.insert(written);
    EXPECT_TRUE(disk.write_zeroes(0, 131072));
    disk.sync();
  }
  EXPECT_GT(lengths.size(), 8u);
}

TEST_F(DiskFaultsTest, TearingIsBySectors) {
  EXPECT_EQ(write(0, 65536, 2), kOk);
  EXPECT_TRUE(device.power_cut({.torn = true}));
  const std::vector<u8> bytes = on_disk(0, 65536);
  int torn = 0;
  for (std::size_t at = 0; at < bytes.size(); at += 4096) {
    torn += std::any_of(bytes.begin() + static_cast<i64>(at), bytes.begin() + static_cast<i64>(at) + 4096,
                        [&](u8 byte) { return byte != bytes[at]; });
  }
  EXPECT_GT(torn, 8);
}

}  // namespace
}  // namespace bhvm
