#include "devices/virtio/virtio_blk.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "devices/virtio/virtio_ids.h"

namespace bhvm {
namespace {

/// 5.2.4: struct virtio_blk_config.
struct BlkConfig {
  u64 capacity = 0;  // in sectors
  u32 size_max = 0;
  u32 seg_max = 0;
  u16 cylinders = 0;
  u8 heads = 0;
  u8 sectors = 0;
  u32 blk_size = 0;
  u8 physical_block_exp = 0;
  u8 alignment_offset = 0;
  u16 min_io_size = 0;
  u32 opt_io_size = 0;
  u8 writeback = 0;
  u8 unused0 = 0;
  u16 num_queues = 0;
  u32 max_discard_sectors = 0;
  u32 max_discard_seg = 0;
  u32 discard_sector_alignment = 0;
  u32 max_write_zeroes_sectors = 0;
  u32 max_write_zeroes_seg = 0;
  u8 write_zeroes_may_unmap = 0;
  std::array<u8, 3> unused1{};
};
static_assert(sizeof(BlkConfig) == 64 && offsetof(BlkConfig, writeback) == 32);

constexpr u32 kSectorsPerBlock = kDiskBlockSize / kSectorSize;

/// a + b, or the end of time.
constexpr u64 later(u64 a, u64 b) { return a + b < a ? ~u64{0} : a + b; }

}  // namespace

VirtioBlk::VirtioBlk(DiskImage& disk, EventPort events, const VirtioBlkOptions& options)
    : disk_(&disk),
      events_(events),
      read_only_(options.read_only),
      logical_sectors_(options.logical_block_bytes / kSectorSize),
      physical_sectors_(options.physical_block_bytes / kSectorSize),
      timing_(options.timing) {
  BHVM_CHECK(std::has_single_bit(physical_sectors_) && physical_sectors_ <= kSectorsPerBlock,
             "a disk's physical block is 512, 1024, 2048 or 4096 bytes");
  BHVM_CHECK(std::has_single_bit(logical_sectors_) && logical_sectors_ <= physical_sectors_,
             "a disk's logical block is 512, 1024, 2048 or 4096 bytes, and no larger than the physical one");
  BHVM_CHECK(disk.sectors() % logical_sectors_ == 0, "a disk ends within a logical block");
  state_.fault_stream = options.faults.state();
  std::copy_n(options.id.begin(), std::min(options.id.size(), id_.size()), id_.begin());
}

void VirtioBlk::set_state(const VirtioBlkState& state) {
  state_ = state;
  state_.in_flight.clear();
  for (const VirtioBlkInFlight& request : state.in_flight) {
    if (state_.in_flight.size() < kQueueSize) insert(request);
  }
}

u32 VirtioBlk::device_id() const { return virtio_id::kBlock; }

u64 VirtioBlk::device_features() const {
  constexpr u64 kAlways = blk_feature::kSegMax | blk_feature::kBlkSize | blk_feature::kFlush | blk_feature::kTopology |
                          blk_feature::kConfigWce;
  return kAlways | (read_only_ ? blk_feature::kRo : blk_feature::kDiscard | blk_feature::kWriteZeroes);
}

u8 VirtioBlk::read_config(u64 offset) const {
  const BlkConfig config{
      .capacity = disk_->sectors(),
      .seg_max = kQueueSize - 2,  // beside header and status
      .blk_size = static_cast<u32>(logical_sectors_ * kSectorSize),
      .physical_block_exp = static_cast<u8>(std::countr_zero(physical_sectors_ / logical_sectors_)),
      .min_io_size = static_cast<u16>(physical_sectors_ / logical_sectors_),  // in logical blocks
      .writeback = static_cast<u8>(state_.writeback ? 1 : 0),
      .max_discard_sectors = BlkRequest::kRangeSectorsMax,
      .max_discard_seg = BlkRequest::kRangesMax,
      .discard_sector_alignment = kSectorsPerBlock,
      .max_write_zeroes_sectors = BlkRequest::kRangeSectorsMax,
      .max_write_zeroes_seg = BlkRequest::kRangesMax,
      .write_zeroes_may_unmap = 1,
  };
  std::array<u8, sizeof config> bytes;
  std::memcpy(bytes.data(), &config, sizeof config);
  return config_byte(bytes, offset);
}

void VirtioBlk::write_config(u64 offset, u8 value) {
  if (offset != offsetof(BlkConfig, writeback) || !attached()) return;
  if ((transport().negotiated_features() & blk_feature::kConfigWce) == 0) return;
  state_.writeback = value != 0;
  if (!state_.writeback) disk_->sync();
}

void VirtioBlk::on_features(u64 negotiated) {
  // 5.2.5.2: without FLUSH a driver starts in writethrough mode.
  state_.writeback = (negotiated & blk_feature::kFlush) != 0;
}

bool VirtioBlk::writeback() const {
  const u64 negotiated = transport().negotiated_features();
  return (negotiated & blk_feature::kConfigWce) != 0 ? state_.writeback : (negotiated & blk_feature::kFlush) != 0;
}

BlkTarget VirtioBlk::target() const {
  return {*disk_, read_only_, transport().negotiated_features(), id_, logical_sectors_};
}

void VirtioBlk::reset() {
  state_.writeback = true;
  state_.transfer_end_ns = 0;
  state_.in_flight.clear();
  events_.disarm(kEventComplete);
}

void VirtioBlk::on_notify(u32) {
  accept();
  arm();
}

void VirtioBlk::insert(const VirtioBlkInFlight& request) {
  const auto place = std::ranges::upper_bound(state_.in_flight, request.due_ns, {}, &VirtioBlkInFlight::due_ns);
  state_.in_flight.insert(place, request);
}

/// Takes what the driver made available, as long as there is room for it in flight.
void VirtioBlk::accept() {
  while (usable(0) && state_.in_flight.size() < kQueueSize) {
    if (!next_chain(0, chain_)) return;
    BlkRequestHeader header;
    if (!BlkRequest::read_header(transport().queue(0), chain_, header)) {
      transport().fail();
      return;
    }
    insert({completion_time_ns(header, chain_), chain_.head});
  }
}

u64 VirtioBlk::completion_time_ns(const BlkRequestHeader& header, const Chain& chain) {
  u64 latency_ns = timing_.write_latency_ns;
  u64 bytes = 0;
  if (header.type == blk_type::kIn) {
    latency_ns = timing_.read_latency_ns;
    bytes = chain.writable_bytes - 1;
  } else if (header.type == blk_type::kOut) {
    bytes = chain.readable_bytes - sizeof header;
  } else if (header.type == blk_type::kFlush) {
    latency_ns = timing_.flush_latency_ns;
  }
  if (bytes > BlkRequest::kTransferMax) bytes = 0;  // will be refused
  const u64 start_ns = std::max(events_.now_ns(), state_.transfer_end_ns);
  state_.transfer_end_ns = later(start_ns, bytes * timing_.ns_per_mib >> 20);
  latency_ns = later(latency_ns, fault_latency_ns());
  return std::max(later(state_.transfer_end_ns, latency_ns), later(events_.now_ns(), 1));
}

u64 VirtioBlk::draw_below(u64 bound) {
  RandomStream stream(state_.fault_stream);
  const u64 value = stream.below(bound);
  state_.fault_stream = stream.state();
  return value;
}

/// How many of the first sectors of a transfer are done, less than all: up to a boundary between physical blocks.
u64 VirtioBlk::draw_part(u64 sector, u64 sectors) {
  const u64 end = (sector + draw_below(sectors)) & ~(physical_sectors_ - 1);
  return end > sector ? end - sector : 0;
}

u64 VirtioBlk::fault_latency_ns() {
  const DiskFaults& faults = state_.faults;
  if (faults.latency_ns == 0 && faults.jitter_ns == 0) return 0;
  ++state_.counters.delayed;
  return later(faults.latency_ns, faults.jitter_ns != 0 ? draw_below(later(faults.jitter_ns, 1)) : 0);
}

/// Does the medium fail this request, and if so: after how many sectors of a write?
std::optional<u64> VirtioBlk::draw_failure(const BlkTarget& target, const BlkRequestHeader& header) {
  u32 ppm = 0;
  if (header.type == blk_type::kIn) {
    ppm = state_.faults.read_error_ppm;
  } else if (header.type == blk_type::kFlush) {
    ppm = state_.faults.flush_error_ppm;
  } else if (header.type != blk_type::kGetId) {
    ppm = state_.faults.write_error_ppm;
  }
  const u64 sectors = BlkRequest::sectors_to_write(target, header, chain_);
  if (ppm != 0 && draw_below(kPartsPerMillion) < ppm) return sectors == 0 ? 0 : draw_part(header.sector, sectors);
  if (!state_.faults.full || sectors == 0) return std::nullopt;
  const u64 room = disk_->provisioned(header.sector * kSectorSize, sectors * kSectorSize) / kSectorSize;
  return room < sectors ? std::optional(room) : std::nullopt;
}

void VirtioBlk::count(const BlkRequestHeader& header, bool failed) {
  DiskCounters& counters = state_.counters;
  if (failed) ++counters.errors;
  if (header.type == blk_type::kIn) {
    ++counters.reads;
    counters.read_bytes += chain_.writable_bytes - 1;
  } else if (header.type == blk_type::kFlush) {
    ++counters.flushes;
  } else if (header.type != blk_type::kGetId) {
    ++counters.writes;
    if (header.type == blk_type::kOut) counters.written_bytes += chain_.readable_bytes - sizeof header;
  }
}

void VirtioBlk::postpone(u64 by_ns) {
  state_.transfer_end_ns = later(state_.transfer_end_ns, by_ns);
  for (VirtioBlkInFlight& request : state_.in_flight) request.due_ns = later(request.due_ns, by_ns);
}

bool VirtioBlk::power_cut(const PowerCut& cut) {
  bool ok = true;
  if (cut.torn && usable(0)) {
    const Virtqueue queue = transport().queue(0);
    const BlkTarget target = this->target();
    for (const VirtioBlkInFlight& request : state_.in_flight) {
      BlkRequestHeader header;
      if (!queue.read_chain(request.head, chain_) || !BlkRequest::read_header(queue, chain_, header)) continue;
      const u64 sectors = BlkRequest::sectors_to_write(target, header, chain_);
      if (sectors == 0) continue;
      ok = BlkRequest::write_first_sectors(target, queue, chain_, draw_part(header.sector, sectors)) && ok;
    }
  }
  state_.in_flight.clear();
  events_.disarm(kEventComplete);
  const u64 unit = cut.torn ? physical_sectors_ : kSectorsPerBlock;
  u64 block = ~u64{0};
  bool block_survives = false;
  return disk_->lose_unsynced([&](u64 sector) {
    if (sector / unit != block) {
      block = sector / unit;
      block_survives = draw_below(kPartsPerMillion) < cut.survive_ppm;
    }
    return block_survives;
  }) && ok;
}

void VirtioBlk::arm() {
  if (state_.in_flight.empty()) {
    events_.disarm(kEventComplete);
  } else {
    events_.arm(kEventComplete, state_.in_flight.front().due_ns);
  }
}

void VirtioBlk::on_event(u32 kind) {
  if (kind != kEventComplete) return;
  const u64 now_ns = events_.now_ns();
  while (!state_.in_flight.empty() && state_.in_flight.front().due_ns <= now_ns) {
    const u16 head = state_.in_flight.front().head;
    state_.in_flight.erase(state_.in_flight.begin());
    if (!complete(head)) break;
  }
  if (attached()) transport().notify_used(0);
  accept();
  arm();
}

/// False when the queue cannot be used (any more): the request is dropped.
bool VirtioBlk::complete(u16 head) {
  if (!usable(0)) return false;
  const Virtqueue queue = transport().queue(0);
  BlkRequestHeader header;
  if (!queue.read_chain(head, chain_) || !BlkRequest::read_header(queue, chain_, header)) {
    transport().fail();  // the driver changed it while it was in flight
    return false;
  }
  BlkTarget target = this->target();
  target.fails_after_sectors = draw_failure(target, header);
  count(header, target.fails_after_sectors.has_value());
  const u64 written = BlkRequest::execute(target, queue, chain_);
  if (!writeback()) disk_->sync();
  use_chain(0, head, written);
  return true;
}

}  // namespace bhvm
