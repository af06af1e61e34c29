// Host pages for guest RAM: 4 KiB pages cut from 2 MiB slabs, their metadata aside, so that the slabs stay whole.
//
// An arena belongs to a family of memories (one create() and all its forks) and is shared by them; it lives until the
// last is gone and gives its slabs back to the host then. Pages are reference-counted by the chunks that hold them.
// Each memory takes pages through a cache of its own, so that the arena's lock is taken once for many pages.
//
// A page with more than one reference is never written. Its cached hash may be set by several memories at once, all
// with the same value (a page stays at one page number all its life between two allocations).
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "base/hash.h"
#include "base/types.h"

namespace bhvm {

/// The metadata of one host page.
struct HostPage {
  u8* bytes = nullptr;
  std::atomic<u32> references{0};
  bool untouched = true;  // since the host gave it: all zero
  std::atomic<bool> hash_known{false};
  std::atomic<u64> hash_low{0};
  std::atomic<u64> hash_high{0};

  void set_hash(const Hash128& hash) {
    hash_low.store(hash.low, std::memory_order_relaxed);
    hash_high.store(hash.high, std::memory_order_relaxed);
    hash_known.store(true, std::memory_order_release);
  }
  /// REQUIRES: hash_known, seen with acquire.
  Hash128 hash() const { return {hash_low.load(std::memory_order_relaxed), hash_high.load(std::memory_order_relaxed)}; }
};

/// Says that the host has no memory left for guest RAM, and aborts: there is no caller who could go on.
[[noreturn]] void host_memory_exhausted();

class PageArena {
 public:
  static constexpr std::size_t kSlabSize = std::size_t{2} << 20;
  static constexpr std::size_t kPagesPerSlab = kSlabSize / kPageSize;

  PageArena() = default;
  PageArena(const PageArena&) = delete;
  PageArena& operator=(const PageArena&) = delete;

  /// Adds a slab; false when the host has no memory for it.
  bool grow();
  /// Moves `count` free pages to `pages`, in ascending order of allocation; aborts when the host has no memory.
  void take(std::vector<HostPage*>& pages, std::size_t count);
  /// Takes back the last `count` of `pages`.
  void give_back(std::vector<HostPage*>& pages, std::size_t count);

 private:
  struct Unmap {
    void operator()(u8* slab) const;
  };
  struct Slab {
    std::unique_ptr<u8, Unmap> bytes;
    std::unique_ptr<HostPage[]> pages;
  };
  static std::unique_ptr<u8, Unmap> map_slab();
  bool grow_locked();

  std::mutex mutex_;
  std::vector<Slab> slabs_;
  std::vector<HostPage*> free_;  // the next one at the back
};

/// One memory's way to the arena. Used by one thread at a time.
class PageCache {
 public:
  explicit PageCache(std::shared_ptr<PageArena> arena) : arena_(std::move(arena)) {}
  ~PageCache();
  PageCache(const PageCache&) = delete;
  PageCache& operator=(const PageCache&) = delete;

  /// A page with one reference, its contents undefined, its hash unknown.
  HostPage* allocate();
  /// The same, all zero.
  HostPage* allocate_zeroed();
  /// Drops a reference; the last one frees the page.
  void release(HostPage* page);
  const std::shared_ptr<PageArena>& arena() const { return arena_; }

 private:
  HostPage* next_free();

  static constexpr std::size_t kBatch = 16;  // pages moved under one lock
  static constexpr std::size_t kKept = 64;   // free pages kept at most
  std::shared_ptr<PageArena> arena_;
  std::vector<HostPage*> free_;
};

}  // namespace bhvm
