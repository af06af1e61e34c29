#include "devices/virtio/virtio_blk_request.h"

#include <algorithm>
#include <vector>

namespace bhvm {
namespace {

constexpr u64 kBufferSize = 64 * 1024;
constexpr u32 kFlagUnmap = 1;

bool on_disk(const DiskImage& disk, u64 sector, u64 sectors) {
  return sector <= disk.sectors() && sectors <= disk.sectors() - sector;
}

/// Is this a transfer of whole logical blocks of the disk, and not too many?
bool transferable(const BlkTarget& target, u64 sector, u64 bytes) {
  return sector % target.logical_sectors == 0 && bytes % (target.logical_sectors * kSectorSize) == 0 &&
         bytes <= BlkRequest::kTransferMax && on_disk(target.disk, sector, bytes / kSectorSize);
}

BlkStatus read_sectors(const BlkTarget& target, u64 sector, ChainCursor data, u64 bytes, u64& written) {
  if (target.fails_after_sectors.has_value()) return BlkStatus::kIoErr;
  if (!transferable(target, sector, bytes)) return BlkStatus::kIoErr;
  std::vector<u8> buffer(std::min(bytes, kBufferSize));
  while (written < bytes) {
    const std::span<u8> piece(buffer.data(), std::min<u64>(buffer.size(), bytes - written));
    if (!target.disk.read(sector * kSectorSize + written, piece)) return BlkStatus::kIoErr;
    if (data.write(piece.data(), piece.size()) != piece.size()) return BlkStatus::kIoErr;
    written += piece.size();
  }
  return BlkStatus::kOk;
}

/// Writes the first `bytes` of what the request gives.
bool write_bytes(DiskImage& disk, u64 sector, ChainCursor data, u64 bytes) {
  std::vector<u8> buffer(std::min(bytes, kBufferSize));
  u64 done = 0;
  while (done < bytes) {
    const std::span<u8> piece(buffer.data(), std::min<u64>(buffer.size(), bytes - done));
    if (data.read(piece.data(), piece.size()) != piece.size()) return false;
    if (!disk.write(sector * kSectorSize + done, piece)) return false;
    done += piece.size();
  }
  return true;
}

BlkStatus write_sectors(const BlkTarget& target, u64 sector, ChainCursor data) {
  u64 bytes = data.remaining();
  if (target.read_only || !transferable(target, sector, bytes)) return BlkStatus::kIoErr;
  BlkStatus status = BlkStatus::kOk;
  if (target.fails_after_sectors.has_value()) {
    bytes = std::min(bytes, *target.fails_after_sectors * kSectorSize);
    status = BlkStatus::kIoErr;
  }
  return write_bytes(target.disk, sector, data, bytes) ? status : BlkStatus::kIoErr;
}

/// Discard and write zeroes: all ranges are checked before the first is zeroed.
BlkStatus zero_ranges(const BlkTarget& target, ChainCursor data, bool discard) {
  if ((target.features & (discard ? blk_feature::kDiscard : blk_feature::kWriteZeroes)) == 0) return BlkStatus::kUnsupp;
  if (target.read_only || target.fails_after_sectors.has_value()) return BlkStatus::kIoErr;
  std::array<BlkRange, BlkRequest::kRangesMax> ranges;
  const u64 count = data.remaining() / sizeof(BlkRange);
  if (count == 0 || count > ranges.size() || data.remaining() % sizeof(BlkRange) != 0) return BlkStatus::kIoErr;
  if (data.read(ranges.data(), count * sizeof(BlkRange)) != count * sizeof(BlkRange)) return BlkStatus::kIoErr;
  const std::span<const BlkRange> given(ranges.data(), count);
  for (const BlkRange& range : given) {
    // 5.2.6.2: unknown flags, and unmap in a discard, are not supported.
    if ((range.flags & (discard ? ~u32{0} : ~kFlagUnmap)) != 0) return BlkStatus::kUnsupp;
    if (range.num_sectors > BlkRequest::kRangeSectorsMax || !on_disk(target.disk, range.sector, range.num_sectors)) {
      return BlkStatus::kIoErr;
    }
  }
  for (const BlkRange& range : given) {
    if (!target.disk.write_zeroes(range.sector * kSectorSize, u64{range.num_sectors} * kSectorSize)) {
      return BlkStatus::kIoErr;
    }
  }
  return BlkStatus::kOk;
}

}  // namespace

bool BlkRequest::read_header(const Virtqueue& queue, const Chain& chain, BlkRequestHeader& header) {
  if (chain.writable_bytes < 1) return false;
  return queue.reader(chain).read(&header, sizeof header) == sizeof header;
}

u64 BlkRequest::sectors_to_write(const BlkTarget& target, const BlkRequestHeader& header, const Chain& chain) {
  const u64 bytes = chain.readable_bytes - sizeof header;
  if (header.type != blk_type::kOut || target.read_only) return 0;
  return transferable(target, header.sector, bytes) ? bytes / kSectorSize : 0;
}

bool BlkRequest::write_first_sectors(const BlkTarget& target, const Virtqueue& queue, const Chain& chain, u64 sectors) {
  BlkRequestHeader header;
  ChainCursor out = queue.reader(chain);
  out.read(&header, sizeof header);
  return write_bytes(target.disk, header.sector, out, sectors * kSectorSize);
}

u64 BlkRequest::execute(const BlkTarget& target, const Virtqueue& queue, const Chain& chain) {
  BlkRequestHeader header;
  ChainCursor out = queue.reader(chain);
  out.read(&header, sizeof header);
  ChainCursor in = queue.writer(chain);
  const u64 in_bytes = chain.writable_bytes - 1;  // the last byte is the status

  u64 written = 0;
  BlkStatus status = BlkStatus::kUnsupp;
  switch (header.type) {
    case blk_type::kIn:
      status = read_sectors(target, header.sector, in, in_bytes, written);
      break;
    case blk_type::kOut:
      status = write_sectors(target, header.sector, out);
      break;
    case blk_type::kFlush:
      status = target.fails_after_sectors.has_value() ? BlkStatus::kIoErr : BlkStatus::kOk;
      if (status == BlkStatus::kOk) target.disk.sync();
      break;
    case blk_type::kGetId:
      written = ChainCursor(in).write(target.id.data(), std::min<u64>(in_bytes, target.id.size()));
      status = BlkStatus::kOk;
      break;
    case blk_type::kDiscard:
    case blk_type::kWriteZeroes:
      status = zero_ranges(target, out, header.type == blk_type::kDiscard);
      break;
    default:
      break;
  }
  in.skip(in_bytes);
  in.write(&status, sizeof status);
  return written == in_bytes ? in_bytes + 1 : written;
}

}  // namespace bhvm
