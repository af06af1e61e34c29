// A host file that a disk image starts from. It is opened read-only and never changes through this class.
//
// Shared by a disk image and all its forks, from any thread: it is read with pread. A file that turns shorter while the
// machine runs gives a failed read, never a crash.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include "base/hash.h"
#include "base/result.h"
#include "base/types.h"

namespace bhvm {

/// Disk images are kept, shared and hashed in blocks of this size.
inline constexpr u64 kDiskBlockSize = 4096;

/// What one block adds to a disk's hash: nothing when it is all zero, else a hash of its bytes under its index. A
/// disk's contents are hashed as the sum over all blocks, so that the order of writing leaves no trace.
Hash128 disk_block_hash(u64 index, std::span<const u8, kDiskBlockSize> bytes);

class BaseFile {
 public:
  static constexpr u64 kSizeMax = u64{2} << 40;

  /// An error when the file cannot be opened, is empty, is no multiple of 512 bytes or is over 2 TiB.
  static Result<std::shared_ptr<const BaseFile>> open(const std::string& path);
  ~BaseFile();
  BaseFile(const BaseFile&) = delete;
  BaseFile& operator=(const BaseFile&) = delete;

  u64 size_bytes() const { return size_bytes_; }
  const std::string& path() const { return path_; }
  /// Reads [offset, offset + bytes.size()); bytes beyond the end are zero.
  Status read(u64 offset, std::span<u8> bytes) const;
  /// Sum of disk_block_hash() over the file. Reads the whole file at the first call (about 0.1 s for 1 GiB in the page
  /// cache); the answer is kept.
  Result<Hash128> content_hash() const;

 private:
  BaseFile(std::string path, int descriptor, u64 size_bytes)
      : path_(std::move(path)), descriptor_(descriptor), size_bytes_(size_bytes) {}
  Result<Hash128> compute_content_hash() const;

  std::string path_;
  int descriptor_;
  u64 size_bytes_;
  mutable std::mutex mutex_;  // guards hash_
  mutable std::optional<Hash128> hash_;
};

}  // namespace bhvm
