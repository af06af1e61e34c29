#include "softmmu/page_arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

namespace bhvm {

void host_memory_exhausted() {
  std::fputs(
      "bhvm: the host has no memory left for guest RAM; give the guest less memory, run fewer machines at once or keep "
      "fewer snapshots\n",
      stderr);
  std::abort();
}

void PageArena::Unmap::operator()(u8* slab) const { munmap(slab, kSlabSize); }

/// 2 MiB, aligned to as much, that nobody has written to; nullptr when the host has none left.
std::unique_ptr<u8, PageArena::Unmap> PageArena::map_slab() {
  void* const twice = mmap(nullptr, 2 * kSlabSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (twice == MAP_FAILED) return nullptr;
  u8* const begin = static_cast<u8*>(twice);
  const std::size_t before = -reinterpret_cast<std::uintptr_t>(begin) % kSlabSize;
  if (before != 0) munmap(begin, before);
  munmap(begin + before + kSlabSize, kSlabSize - before);
  // Guest RAM is touched at random: a huge host page saves the host's own page walks.
  madvise(begin + before, kSlabSize, MADV_HUGEPAGE);
  return std::unique_ptr<u8, Unmap>(begin + before);
}

bool PageArena::grow() {
  const std::lock_guard lock(mutex_);
  return grow_locked();
}

bool PageArena::grow_locked() {
  Slab slab;
  try {
    slab.pages = std::make_unique<HostPage[]>(kPagesPerSlab);
    if (slabs_.size() == slabs_.capacity()) {
      slabs_.reserve(std::max<std::size_t>(16, 2 * slabs_.size()));
      free_.reserve(slabs_.capacity() * kPagesPerSlab);  // room for every page: give_back() never allocates
    }
  } catch (const std::bad_alloc&) {
    return false;
  }
  slab.bytes = map_slab();
  if (slab.bytes == nullptr) return false;
  for (std::size_t i = kPagesPerSlab; i-- > 0;) {
    slab.pages[i].bytes = slab.bytes.get() + i * kPageSize;
    free_.push_back(&slab.pages[i]);
  }
  slabs_.push_back(std::move(slab));
  return true;
}

void PageArena::take(std::vector<HostPage*>& pages, std::size_t count) {
  const std::lock_guard lock(mutex_);
  while (free_.size() < count) {
    if (!grow_locked()) host_memory_exhausted();
  }
  pages.insert(pages.end(), free_.end() - static_cast<std::ptrdiff_t>(count), free_.end());
  free_.resize(free_.size() - count);
}

void PageArena::give_back(std::vector<HostPage*>& pages, std::size_t count) {
  const std::lock_guard lock(mutex_);
  free_.insert(free_.end(), pages.end() - static_cast<std::ptrdiff_t>(count), pages.end());
  pages.resize(pages.size() - count);
}

PageCache::~PageCache() { arena_->give_back(free_, free_.size()); }

HostPage* PageCache::allocate_zeroed() {
  const bool untouched = next_free()->untouched;
  HostPage* const page = allocate();
  if (!untouched) std::memset(page->bytes, 0, kPageSize);
  return page;
}

HostPage* PageCache::allocate() {
  HostPage* const page = next_free();
  free_.pop_back();
  page->untouched = false;
  page->references.store(1, std::memory_order_relaxed);
  page->hash_known.store(false, std::memory_order_relaxed);
  return page;
}

HostPage* PageCache::next_free() {
  if (free_.empty()) {
    try {
      free_.reserve(kKept);
    } catch (const std::bad_alloc&) {
      host_memory_exhausted();
    }
    arena_->take(free_, kBatch);
  }
  return free_.back();
}

void PageCache::release(HostPage* page) {
  if (page->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (free_.size() >= kKept) arena_->give_back(free_, kBatch);
  try {
    free_.push_back(page);
  } catch (const std::bad_alloc&) {
    host_memory_exhausted();
  }
}

}  // namespace bhvm
