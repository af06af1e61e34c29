// A disk: what was written, over a host file that never changes or over zeroes.
//
// Written blocks (4 KiB) lie in chunks of 2 MiB. Chunks and blocks are reference-counted and copied when written while
// shared, so fork() copies a table of one pointer for each 2 MiB of disk and settles the hashes of what changed.
//
// Synced and not. Writes stay unsynced until sync(): for each block written since, the image remembers what it held
// before. lose_unsynced() is the power cut: every sector that was not synced keeps its new contents or falls back,
// as its caller decides.
//
// hash() is a function of size, contents and unsynced contents, however they came about: a disk over a file hashes like
// one over zeroes into which the same bytes were written. It costs what changed, plus one reading of the base file at
// the first call in the life of that file.
//
// Host errors (the base file fails to read or got shorter) make a call return false and stay in host_error(): what the
// guest saw from then on depends on the host, so the board should end the run with that sentence.
//
// One image is used by one thread at a time; images that share blocks may live on different threads.
#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "base/types.h"
#include "devices/virtio/base_file.h"

namespace bhvm {

inline constexpr u64 kSectorSize = 512;

/// Contents of one block in a saved image.
struct DiskBlockState {
  u64 index = 0;
  bool from_base = false;  // contents are those of the base; `bytes` is empty
  std::vector<u8> bytes;   // kDiskBlockSize bytes, or none: all zero
};

struct DiskImageState {
  u64 size_bytes = 0;
  u64 base_hash_low = 0;  // BaseFile::content_hash(); 0 over zeroes
  u64 base_hash_high = 0;
  std::vector<DiskBlockState> written;   // ascending by index
  std::vector<DiskBlockState> unsynced;  // contents at the last sync, ascending by index
};

class DiskImage {
 public:
  /// A disk of zeroes. An error when the size is 0, no multiple of 512 or over 2 TiB.
  static Result<DiskImage> create(u64 size_bytes);
  /// A disk over a host file; see BaseFile::open().
  static Result<DiskImage> open(const std::string& path);

  DiskImage(DiskImage&&) noexcept = default;
  DiskImage& operator=(DiskImage&&) noexcept = default;
  DiskImage(const DiskImage&) = delete;
  DiskImage& operator=(const DiskImage&) = delete;

  u64 size_bytes() const { return size_bytes_; }
  u64 sectors() const { return size_bytes_ / kSectorSize; }

  // REQUIRES of the next three: the range lies within the disk. False after a host error.
  bool read(u64 offset, std::span<u8> bytes);
  bool write(u64 offset, std::span<const u8> bytes);
  bool write_zeroes(u64 offset, u64 size);

  /// How many bytes from `offset` on, at most `size`, lie in blocks that hold something: that were written, or are not
  /// all zero in the base.
  u64 provisioned(u64 offset, u64 size);

  /// All that was written so far is on the medium.
  void sync() { unsynced_.clear(); }
  /// Number of blocks written since the last sync.
  std::size_t unsynced_blocks() const { return unsynced_.size(); }
  /// A power cut: asks for each sector of the unsynced blocks, ascending, whether its new contents survived; the others
  /// fall back to what the last sync left. All is synced afterwards. False after a host error.
  bool lose_unsynced(const std::function<bool(u64 sector)>& survives);

  /// A disk with the same contents that shares all blocks.
  DiskImage fork();
  Result<Hash128> hash();

  /// Reads the base file once, to name it by its contents.
  Result<DiskImageState> state() const;
  /// Takes over a saved state. An error, with nothing changed, when it belongs to another size or base or is malformed.
  Status set_state(const DiskImageState& state);

  const std::optional<Error>& host_error() const { return host_error_; }
  /// Blocks that differ, or may differ, from the base.
  u64 written_blocks() const;

 private:
  using Bytes = std::array<u8, kDiskBlockSize>;
  /// What the sum of hashes holds for a written block.
  enum class Counted : u8 {
    kNow,      // `hash`, which is that of the bytes
    kEarlier,  // `hash`, from before the last writes; listed in stale_
    kAsBase,   // still the base's block; listed in stale_
  };
  struct Block {
    std::unique_ptr<Bytes> bytes;  // none: all zero
    Hash128 hash;
    Counted counted = Counted::kAsBase;
  };
  using BlockRef = std::shared_ptr<Block>;
  static constexpr u64 kChunkBlocks = 512;
  struct Chunk {
    std::array<BlockRef, kChunkBlocks> blocks;
  };
  /// What a block held at the last sync; no block: the base's contents.
  struct Unsynced {
    BlockRef before;
    std::optional<Hash128> hash;
  };

  DiskImage(u64 size_bytes, std::shared_ptr<const BaseFile> base);

  u64 blocks() const { return (size_bytes_ + kDiskBlockSize - 1) / kDiskBlockSize; }
  const Block* find(u64 index) const;
  bool reads_as_zero(u64 index) const;
  bool read_base(u64 offset, std::span<u8> bytes);
  bool read_block(const Block* block, u64 index, Bytes& bytes);
  /// Makes the block written, this image's own and stale; without `keep` its bytes are the
  /// caller's to overwrite. nullptr after a host error.
  Block* own(u64 index, bool keep);
  /// Brings the sum and the hashes of all written blocks up to date.
  void settle();
  DiskBlockState block_state(u64 index, const Block* block) const;

  u64 size_bytes_;
  std::shared_ptr<const BaseFile> base_;  // none: zeroes
  std::vector<std::shared_ptr<Chunk>> chunks_;
  std::map<u64, Unsynced> unsynced_;
  std::vector<u64> stale_;  // blocks whose hash is to be counted anew, each once
  Hash128 sum_;             // over the written blocks: what is counted, less what the base has there
  std::optional<Error> host_error_;
};

}  // namespace bhvm
