#include "devices/virtio/base_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

namespace bhvm {

Hash128 disk_block_hash(u64 index, std::span<const u8, kDiskBlockSize> bytes) {
  if (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0) return {};
  return hash_bytes(bytes.data(), bytes.size(), index + 1);
}

Result<std::shared_ptr<const BaseFile>> BaseFile::open(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return Error{fmt::format("disk image {}: cannot be opened: {}.", path, std::strerror(errno))};
  }
  const off_t end = ::lseek(descriptor, 0, SEEK_END);  // unlike st_size, this also knows the size of a block device
  std::string complaint;
  if (end < 0) {
    complaint = fmt::format("its size cannot be found: {}", std::strerror(errno));
  } else if (end == 0) {
    complaint = "it is empty; make it at least one sector (512 bytes) long";
  } else if (end % 512 != 0) {
    complaint = fmt::format("its size, {} bytes, is no multiple of 512; pad it with `truncate -s %512`", end);
  } else if (static_cast<u64>(end) > kSizeMax) {
    complaint = "it is larger than 2 TiB";
  }
  if (!complaint.empty()) {
    ::close(descriptor);
    return Error{fmt::format("disk image {}: {}.", path, complaint)};
  }
  return std::shared_ptr<const BaseFile>(new BaseFile(path, descriptor, static_cast<u64>(end)));
}

BaseFile::~BaseFile() { ::close(descriptor_); }

Status BaseFile::read(u64 offset, std::span<u8> bytes) const {
  const u64 inside = offset < size_bytes_ ? std::min<u64>(bytes.size(), size_bytes_ - offset) : 0;
  u64 done = 0;
  while (done < inside) {
    const ssize_t got = ::pread(descriptor_, bytes.data() + done, inside - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      return Error{
          fmt::format("disk image {}: reading at byte {} failed: {}.", path_, offset + done, std::strerror(errno))};
    }
    if (got == 0) {
      return Error{
          fmt::format("disk image {}: it ends at byte {} now, but had {} bytes when the machine started; "
                      "leave the file alone while machines use it.",
                      path_, offset + done, size_bytes_)};
    }
    done += static_cast<u64>(got);
  }
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(inside), bytes.end(), u8{0});
  return success();
}

Result<Hash128> BaseFile::content_hash() const {
  const std::lock_guard lock(mutex_);
  if (!hash_.has_value()) {
    Result<Hash128> computed = compute_content_hash();
    if (!computed) return computed;
    hash_ = computed.value();
  }
  return *hash_;
}

Result<Hash128> BaseFile::compute_content_hash() const {
  std::vector<u8> buffer(u64{1} << 20);
  Hash128 sum;
  for (u64 offset = 0; offset < size_bytes_; offset += buffer.size()) {
    const Status status = read(offset, buffer);
    if (!status) return status.error();
    for (u64 at = 0; at < buffer.size() && offset + at < size_bytes_; at += kDiskBlockSize) {
      sum = sum + disk_block_hash((offset + at) / kDiskBlockSize,
                                  std::span<const u8, kDiskBlockSize>(buffer.data() + at, kDiskBlockSize));
    }
  }
  return sum;
}

}  // namespace bhvm
