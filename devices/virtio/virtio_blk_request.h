// One request to a block device, from header to status (virtio 1.2, 5.2.6): what it asks for and what is answered.
// Time and queues are the device's business; see virtio_blk.h.
#pragma once

#include <array>
#include <optional>

#include "base/types.h"
#include "devices/virtio/disk_image.h"
#include "devices/virtio/virtqueue.h"

namespace bhvm {

/// 5.2.3: feature bits.
namespace blk_feature {
inline constexpr u64 kSegMax = u64{1} << 2;
inline constexpr u64 kRo = u64{1} << 5;
inline constexpr u64 kBlkSize = u64{1} << 6;
inline constexpr u64 kFlush = u64{1} << 9;
inline constexpr u64 kTopology = u64{1} << 10;
inline constexpr u64 kConfigWce = u64{1} << 11;
inline constexpr u64 kDiscard = u64{1} << 13;
inline constexpr u64 kWriteZeroes = u64{1} << 14;
}  // namespace blk_feature

/// 5.2.6: request types.
namespace blk_type {
inline constexpr u32 kIn = 0;
inline constexpr u32 kOut = 1;
inline constexpr u32 kFlush = 4;
inline constexpr u32 kGetId = 8;
inline constexpr u32 kDiscard = 11;
inline constexpr u32 kWriteZeroes = 13;
}  // namespace blk_type

/// 5.2.6: status.
enum class BlkStatus : u8 { kOk = 0, kIoErr = 1, kUnsupp = 2 };

struct BlkRequestHeader {
  u32 type = 0;
  u32 reserved = 0;
  u64 sector = 0;
};

/// 5.2.6: one range of a discard or write zeroes request.
struct BlkRange {
  u64 sector = 0;
  u32 num_sectors = 0;
  u32 flags = 0;  // bit 0: unmap
};

/// What a request works on.
struct BlkTarget {
  DiskImage& disk;
  bool read_only;
  u64 features;  // negotiated
  const std::array<char, 20>& id;
  u64 logical_sectors = 1;                      // of a logical block: what is read and written is whole ones
  std::optional<u64> fails_after_sectors = {};  // the medium fails: a write when so many are written, others at once
};

class BlkRequest {
 public:
  static constexpr u64 kTransferMax = u64{64} << 20;
  static constexpr u32 kRangeSectorsMax = u32{1} << 19;  // of one discard or write zeroes: 256 MiB
  static constexpr u32 kRangesMax = 1;

  /// Does the chain have room for a header and a status, wherever its segments are cut (2.7.4.3)? Reads the header.
  static bool read_header(const Virtqueue& queue, const Chain& chain, BlkRequestHeader& header);

  /// How many sectors a write request moves; 0 when it is another or would be refused.
  static u64 sectors_to_write(const BlkTarget& target, const BlkRequestHeader& header, const Chain& chain);
  /// Writes the first sectors of a write request and answers nothing. REQUIRES: at most sectors_to_write(). False
  /// after a host error.
  static bool write_first_sectors(const BlkTarget& target, const Virtqueue& queue, const Chain& chain, u64 sectors);

  /// Does the request and writes the status. Returns the number of bytes written to the chain, as the used ring counts
  /// them: from its first writable byte on, without a gap.
  static u64 execute(const BlkTarget& target, const Virtqueue& queue, const Chain& chain);
};

}  // namespace bhvm
