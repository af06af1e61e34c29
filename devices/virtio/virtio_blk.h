// The block device (virtio 1.2, 5.2) over a disk image.
//
// A request takes virtual time. When the driver makes one available, its head is taken off the ring, its shape is
// checked and the moment of its completion is fixed; nothing else happens until then. At that moment the chain is read
// again, the transfer is done as a whole, the status is written and the head is used. So a request in flight is its
// head and its time, and a power cut leaves it undone. The moment is
//
//   start = max(now, end of the last transfer);  end = start + bytes x ns_per_mib / 2^20;  moment = end + latency(type)
//
// and at least 1 ns from now, so that no guest can keep the machine from executing instructions. Requests of the same
// moment complete in the order in which they were made available.
//
// Writes are unsynced in the image until a flush; in writethrough mode (the driver took neither FLUSH nor CONFIG_WCE,
// or set writeback to 0) each is synced as it completes. Discarded sectors read as zeroes.
//
// A chain without room for header and status, or a malformed one, fails the device. Any other wrong request is answered
// with VIRTIO_BLK_S_IOERR or VIRTIO_BLK_S_UNSUPP. So is one that moves more than kTransferMax, or that reads or writes
// less than whole logical blocks.
//
// Faults (disk_faults.h) make requests fail or take longer. They and the stream they draw from stay when the driver
// resets the device.
//
// The device refers to the image and the event queue; the board owns both. The image's contents are not in
// VirtioBlkState.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "base/random_stream.h"
#include "devices/virtio/disk_faults.h"
#include "devices/virtio/disk_image.h"
#include "devices/virtio/virtio_blk_request.h"
#include "devices/virtio/virtio_device.h"
#include "scheduler/event_port.h"

namespace bhvm {

/// How long a request takes in virtual time.
struct VirtioBlkTiming {
  u64 read_latency_ns = 20'000;
  u64 write_latency_ns = 20'000;  // also discard and write zeroes
  u64 flush_latency_ns = 100'000;
  u32 ns_per_mib = 500'000;  // 2 GiB/s
};

struct VirtioBlkOptions {
  bool read_only = false;
  u32 logical_block_bytes = kSectorSize;      // what the driver addresses the disk by: as the other, and not more
  u32 physical_block_bytes = kDiskBlockSize;  // what the medium writes as a whole: 512 to 4096, a power of two
  std::string_view id;                        // for VIRTIO_BLK_T_GET_ID: its first 20 bytes count
  VirtioBlkTiming timing;
  RandomStream faults;  // what faults draw from
};

struct VirtioBlkInFlight {
  u64 due_ns = 0;
  u16 head = 0;
};

struct VirtioBlkState {
  bool writeback = true;                     // the configuration field, which counts when CONFIG_WCE was negotiated
  u64 transfer_end_ns = 0;                   // of the last request's transfer
  std::vector<VirtioBlkInFlight> in_flight;  // in order of completion
  DiskFaults faults;
  RandomStreamState fault_stream;
  DiskCounters counters;
};

class VirtioBlk final : public VirtioDevice {
 public:
  static constexpr u16 kQueueSize = 256;
  static constexpr u32 kEventComplete = 0;

  VirtioBlk(DiskImage& disk, EventPort events, const VirtioBlkOptions& options);

  const VirtioBlkState& state() const { return state_; }
  /// The event queue is restored by the board.
  void set_state(const VirtioBlkState& state);

  void set_faults(const DiskFaults& faults) { state_.faults = faults; }
  void reseed_faults(const RandomStream& stream) { state_.fault_stream = stream.state(); }
  /// As if the machine had been powered on this much later.
  void postpone(u64 by_ns);
  /// What the medium holds after a power cut. False after a host error.
  bool power_cut(const PowerCut& cut);

  u32 device_id() const override;
  u64 device_features() const override;
  std::span<const u16> queue_sizes_max() const override { return kQueueSizesMax; }
  u8 read_config(u64 offset) const override;
  void write_config(u64 offset, u8 value) override;
  void on_features(u64 negotiated) override;
  void on_notify(u32 queue) override;
  void on_event(u32 kind) override;
  void reset() override;

 private:
  static constexpr std::array<u16, 1> kQueueSizesMax{kQueueSize};

  void accept();
  void insert(const VirtioBlkInFlight& request);
  bool complete(u16 head);
  void arm();
  u64 completion_time_ns(const BlkRequestHeader& header, const Chain& chain);
  bool writeback() const;
  BlkTarget target() const;
  u64 draw_below(u64 bound);
  u64 draw_part(u64 sector, u64 sectors);
  u64 fault_latency_ns();
  std::optional<u64> draw_failure(const BlkTarget& target, const BlkRequestHeader& header);
  void count(const BlkRequestHeader& header, bool failed);

  DiskImage* disk_;
  EventPort events_;
  bool read_only_;
  u64 logical_sectors_;   // of a logical block
  u64 physical_sectors_;  // of a physical block
  VirtioBlkTiming timing_;
  std::array<char, 20> id_{};
  VirtioBlkState state_;
  Chain chain_;
};

}  // namespace bhvm
