#include "devices/virtio/disk_image.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>

namespace bhvm {
namespace {

constexpr u64 kUnsyncedSeed = u64{1} << 63;  // tells unsynced contents from written ones in the hash

/// Is this the only reference? What other threads did with the object before they let go of it has then happened.
template <class T>
bool owned_alone(const std::shared_ptr<T>& reference) {
  if (reference.use_count() != 1) return false;
  std::atomic_thread_fence(std::memory_order_acquire);
  return true;
}

bool well_formed(const std::vector<DiskBlockState>& blocks, u64 count, bool base_allowed) {
  u64 next = 0;
  for (const DiskBlockState& block : blocks) {
    if (block.index < next || block.index >= count) return false;
    if (!block.bytes.empty() && block.bytes.size() != kDiskBlockSize) return false;
    if (block.from_base && (!base_allowed || !block.bytes.empty())) return false;
    next = block.index + 1;
  }
  return true;
}

}  // namespace

DiskImage::DiskImage(u64 size_bytes, std::shared_ptr<const BaseFile> base)
    : size_bytes_(size_bytes), base_(std::move(base)), chunks_((blocks() + kChunkBlocks - 1) / kChunkBlocks) {}

Result<DiskImage> DiskImage::create(u64 size_bytes) {
  if (size_bytes == 0 || size_bytes % kSectorSize != 0 || size_bytes > BaseFile::kSizeMax) {
    return Error{"disk: its size must be a multiple of 512 bytes, at least 512 bytes and at most 2 TiB."};
  }
  return DiskImage(size_bytes, nullptr);
}

Result<DiskImage> DiskImage::open(const std::string& path) {
  Result<std::shared_ptr<const BaseFile>> base = BaseFile::open(path);
  if (!base) return base.error();
  const u64 size_bytes = base.value()->size_bytes();
  return DiskImage(size_bytes, std::move(base).value());
}

const DiskImage::Block* DiskImage::find(u64 index) const {
  const Chunk* chunk = chunks_[index / kChunkBlocks].get();
  return chunk != nullptr ? chunk->blocks[index % kChunkBlocks].get() : nullptr;
}

bool DiskImage::reads_as_zero(u64 index) const {
  const Block* block = find(index);
  return block != nullptr ? block->bytes == nullptr : base_ == nullptr;
}

bool DiskImage::read_base(u64 offset, std::span<u8> bytes) {
  if (base_ == nullptr) {
    std::fill(bytes.begin(), bytes.end(), u8{0});
    return true;
  }
  const Status status = base_->read(offset, bytes);
  if (!status && !host_error_.has_value()) host_error_ = status.error();
  return status.ok();
}

bool DiskImage::read_block(const Block* block, u64 index, Bytes& bytes) {
  if (block == nullptr) return read_base(index * kDiskBlockSize, bytes);
  if (block->bytes != nullptr) {
    bytes = *block->bytes;
  } else {
    bytes.fill(0);
  }
  return true;
}

bool DiskImage::read(u64 offset, std::span<u8> bytes) {
  BHVM_CHECK(offset <= size_bytes_ && bytes.size() <= size_bytes_ - offset, "a read beyond the end of a disk");
  u64 done = 0;
  while (done < bytes.size()) {
    const u64 at = offset + done;
    const u64 index = at / kDiskBlockSize;
    const u64 in_block = at % kDiskBlockSize;
    u64 piece = std::min<u64>(kDiskBlockSize - in_block, bytes.size() - done);
    if (const Block* block = find(index); block == nullptr) {
      // One read for all that comes from the base in a row.
      for (u64 next = index + 1; done + piece < bytes.size() && find(next) == nullptr; ++next) {
        piece += std::min<u64>(kDiskBlockSize, bytes.size() - done - piece);
      }
      if (!read_base(at, bytes.subspan(done, piece))) return false;
    } else if (block->bytes == nullptr) {
      std::memset(bytes.data() + done, 0, piece);
    } else {
      std::memcpy(bytes.data() + done, block->bytes->data() + in_block, piece);
    }
    done += piece;
  }
  return true;
}

DiskImage::Block* DiskImage::own(u64 index, bool keep) {
  std::shared_ptr<Chunk>& chunk = chunks_[index / kChunkBlocks];
  if (chunk == nullptr) {
    chunk = std::make_shared<Chunk>();
  } else if (!owned_alone(chunk)) {
    chunk = std::make_shared<Chunk>(*chunk);
  }
  BlockRef& block = chunk->blocks[index % kChunkBlocks];

  if (block == nullptr || !unsynced_.contains(index) || !owned_alone(block)) {
    auto fresh = std::make_shared<Block>();
    if (keep && (block == nullptr || block->bytes != nullptr)) {
      fresh->bytes = std::make_unique<Bytes>();
      if (!read_block(block.get(), index, *fresh->bytes)) return nullptr;
    }
    if (block == nullptr) {
      stale_.push_back(index);
    } else {
      fresh->hash = block->hash;
      fresh->counted = block->counted;
    }
    unsynced_.try_emplace(index, Unsynced{block, std::nullopt});
    block = std::move(fresh);
  }
  if (block->counted == Counted::kNow) {
    block->counted = Counted::kEarlier;
    stale_.push_back(index);
  }
  return block.get();
}

bool DiskImage::write(u64 offset, std::span<const u8> bytes) {
  BHVM_CHECK(offset <= size_bytes_ && bytes.size() <= size_bytes_ - offset, "a write beyond the end of a disk");
  for (u64 done = 0; done < bytes.size();) {
    const u64 index = (offset + done) / kDiskBlockSize;
    const u64 in_block = (offset + done) % kDiskBlockSize;
    const u64 piece = std::min<u64>(kDiskBlockSize - in_block, bytes.size() - done);
    Block* block = own(index, piece != kDiskBlockSize);
    if (block == nullptr) return false;
    if (block->bytes == nullptr) block->bytes = std::make_unique<Bytes>();
    std::memcpy(block->bytes->data() + in_block, bytes.data() + done, piece);
    done += piece;
  }
  return true;
}

bool DiskImage::write_zeroes(u64 offset, u64 size) {
  BHVM_CHECK(offset <= size_bytes_ && size <= size_bytes_ - offset, "a write beyond the end of a disk");
  for (u64 done = 0; done < size;) {
    const u64 index = (offset + done) / kDiskBlockSize;
    const u64 in_block = (offset + done) % kDiskBlockSize;
    const u64 piece = std::min<u64>(kDiskBlockSize - in_block, size - done);
    done += piece;
    if (reads_as_zero(index)) continue;
    Block* block = own(index, piece != kDiskBlockSize);
    if (block == nullptr) return false;
    if (piece == kDiskBlockSize) {
      block->bytes.reset();
    } else {
      std::memset(block->bytes->data() + in_block, 0, piece);
    }
  }
  return true;
}

u64 DiskImage::provisioned(u64 offset, u64 size) {
  BHVM_CHECK(offset <= size_bytes_ && size <= size_bytes_ - offset, "a question beyond the end of a disk");
  u64 done = 0;
  while (done < size) {
    const u64 index = (offset + done) / kDiskBlockSize;
    Bytes bytes;
    if (find(index) == nullptr) {
      if (!read_block(nullptr, index, bytes)) break;
      if (std::ranges::all_of(bytes, [](u8 byte) { return byte == 0; })) break;
    }
    done += std::min<u64>(kDiskBlockSize - (offset + done) % kDiskBlockSize, size - done);
  }
  return done;
}

bool DiskImage::lose_unsynced(const std::function<bool(u64 sector)>& survives) {
  const std::map<u64, Unsynced> lost = std::move(unsynced_);
  unsynced_.clear();
  bool ok = true;
  for (const auto& [index, entry] : lost) {
    Bytes before;
    if (!read_block(entry.before.get(), index, before)) {
      ok = false;
      continue;
    }
    for (u64 at = 0; at < kDiskBlockSize; at += kSectorSize) {
      const u64 offset = index * kDiskBlockSize + at;
      if (offset >= size_bytes_ || survives(offset / kSectorSize)) continue;
      ok = write(offset, std::span(before).subspan(at, kSectorSize)) && ok;
    }
  }
  unsynced_.clear();
  return ok;
}

void DiskImage::settle() {
  Bytes bytes;
  for (const u64 index : stale_) {
    Block& block = *chunks_[index / kChunkBlocks]->blocks[index % kChunkBlocks];
    Hash128 counted = block.hash;
    if (block.counted == Counted::kAsBase) {
      counted = read_base(index * kDiskBlockSize, bytes) ? disk_block_hash(index, bytes) : Hash128{};
    }
    block.hash = block.bytes != nullptr ? disk_block_hash(index, *block.bytes) : Hash128{};
    block.counted = Counted::kNow;
    sum_ = sum_ + block.hash - counted;
  }
  stale_.clear();
}

DiskImage DiskImage::fork() {
  settle();  // what is shared must not change, the hashes in the blocks included
  DiskImage other(size_bytes_, base_);
  other.chunks_ = chunks_;
  other.unsynced_ = unsynced_;
  other.sum_ = sum_;
  other.host_error_ = host_error_;
  return other;
}

Result<Hash128> DiskImage::hash() {
  settle();
  Hash128 total = sum_ + hash_bytes(&size_bytes_, sizeof size_bytes_);
  Bytes bytes;
  for (auto& [index, entry] : unsynced_) {
    if (!entry.hash.has_value()) {
      if (!read_block(entry.before.get(), index, bytes)) break;
      entry.hash = hash_bytes(bytes.data(), bytes.size(), kUnsyncedSeed | index);
    }
    total = total + *entry.hash;
  }
  if (host_error_.has_value()) return *host_error_;
  if (base_ == nullptr) return total;
  const Result<Hash128> base = base_->content_hash();
  if (!base) return base.error();
  return total + base.value();
}

DiskBlockState DiskImage::block_state(u64 index, const Block* block) const {
  DiskBlockState state{.index = index, .from_base = block == nullptr, .bytes = {}};
  if (block != nullptr && block->bytes != nullptr) state.bytes.assign(block->bytes->begin(), block->bytes->end());
  return state;
}

Result<DiskImageState> DiskImage::state() const {
  Hash128 base_hash;
  if (base_ != nullptr) {
    const Result<Hash128> result = base_->content_hash();
    if (!result) return result.error();
    base_hash = result.value();
  }
  DiskImageState state{.size_bytes = size_bytes_,
                       .base_hash_low = base_hash.low,
                       .base_hash_high = base_hash.high,
                       .written = {},
                       .unsynced = {}};
  for (u64 index = 0; index < blocks(); ++index) {
    if (chunks_[index / kChunkBlocks] == nullptr) {
      index |= kChunkBlocks - 1;  // on to the next chunk
    } else if (const Block* block = find(index); block != nullptr) {
      state.written.push_back(block_state(index, block));
    }
  }
  for (const auto& [index, entry] : unsynced_) state.unsynced.push_back(block_state(index, entry.before.get()));
  return state;
}

Status DiskImage::set_state(const DiskImageState& state) {
  if (state.size_bytes != size_bytes_) {
    return Error{
        fmt::format("disk: the saved state is of a disk of {} bytes, this one has {}; give the disk image "
                    "that the state was saved with.",
                    state.size_bytes, size_bytes_)};
  }
  Hash128 base_hash;
  if (base_ != nullptr) {
    const Result<Hash128> result = base_->content_hash();
    if (!result) return result.error();
    base_hash = result.value();
  }
  if (base_hash != Hash128{state.base_hash_low, state.base_hash_high}) {
    return Error{
        fmt::format("disk: the saved state stands on other contents than {}; give the unchanged disk image "
                    "that the state was saved with.",
                    base_ != nullptr ? base_->path() : "an empty disk")};
  }
  if (!well_formed(state.written, blocks(), false) || !well_formed(state.unsynced, blocks(), true)) {
    return Error{"disk: the saved state is damaged: its blocks are out of order, out of range or of a wrong length."};
  }
  std::fill(chunks_.begin(), chunks_.end(), nullptr);
  unsynced_.clear();
  stale_.clear();
  sum_ = {};
  host_error_.reset();
  for (const DiskBlockState& saved : state.written) {
    Block* block = own(saved.index, false);
    if (!saved.bytes.empty()) {
      block->bytes = std::make_unique<Bytes>();
      std::copy(saved.bytes.begin(), saved.bytes.end(), block->bytes->begin());
    }
  }
  unsynced_.clear();
  for (const DiskBlockState& saved : state.unsynced) {
    BlockRef before;
    if (!saved.from_base) {
      before = std::make_shared<Block>();
      if (!saved.bytes.empty()) {
        before->bytes = std::make_unique<Bytes>();
        std::copy(saved.bytes.begin(), saved.bytes.end(), before->bytes->begin());
      }
    }
    unsynced_.try_emplace(saved.index, Unsynced{std::move(before), std::nullopt});
  }
  return success();
}

u64 DiskImage::written_blocks() const {
  u64 count = 0;
  for (const auto& chunk : chunks_) {
    if (chunk == nullptr) continue;
    count +=
        static_cast<u64>(std::ranges::count_if(chunk->blocks, [](const BlockRef& block) { return block != nullptr; }));
  }
  return count;
}

}  // namespace bhvm
