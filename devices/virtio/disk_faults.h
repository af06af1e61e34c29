// What can be wrong with a disk, and what a power cut leaves of what was not flushed.
//
// Faults belong to the block device that serves the disk (virtio_blk.h) and are part of its state, as is the stream
// they draw from. With everything at its default nothing is drawn.
#pragma once

#include "base/types.h"

namespace bhvm {

inline constexpr u32 kPartsPerMillion = 1'000'000;

struct DiskFaults {
  /// How many of a million requests of each kind fail with VIRTIO_BLK_S_IOERR. Of a failed write a random part, from
  /// its beginning and in whole physical blocks, is written; a failed flush has synced nothing.
  u32 read_error_ppm = 0;
  u32 write_error_ppm = 0;  // also discard and write zeroes
  u32 flush_error_ppm = 0;
  /// Every request takes this much longer, and up to `jitter_ns` more, drawn for each; so requests overtake each other.
  u64 latency_ns = 0;
  u64 jitter_ns = 0;
  /// The disk is thinly provisioned and its pool is exhausted: a write, or part of one, to a block that was never
  /// written fails; blocks that have been written can be written again.
  bool full = false;
};

/// Since the device was made.
struct DiskCounters {
  u64 reads = 0;
  u64 writes = 0;  // also discard and write zeroes
  u64 flushes = 0;
  u64 read_bytes = 0;
  u64 written_bytes = 0;
  u64 errors = 0;   // of those that DiskFaults made fail
  u64 delayed = 0;  // requests that DiskFaults made slower
};

/// How a power cut treats the writes that no flush covered.
struct PowerCut {
  /// How many of a million unsynced blocks (4 KiB) reached the medium nevertheless.
  u32 survive_ppm = kPartsPerMillion / 2;
  /// Torn: of each write that was in flight a random part, from its beginning, is on the medium, and what survives is
  /// drawn for each of the disk's physical blocks, which it writes as a whole or not at all. Otherwise writes in flight
  /// are undone.
  bool torn = false;
};

}  // namespace bhvm
