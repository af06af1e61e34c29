#include "softmmu/page_arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <new>

namespace bhvm {

void host_memory_exhausted() {
  std::fputs(
      "bhvm: the host has no memory left for guest RAM; give the guest less memory, run fewer machines at once or keep "
      "fewer snapshots\n",
      stderr);
  std::abort();
}

PageArena::~PageArena() {
  for (const Slab& slab : slabs_) std::free(slab.bytes);
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
  slab.bytes = static_cast<u8*>(std::aligned_alloc(kSlabSize, kSlabSize));
  if (slab.bytes == nullptr) return false;
  // Guest RAM is touched at random: a huge host page saves the host's own page walks.
  madvise(slab.bytes, kSlabSize, MADV_HUGEPAGE);
  for (std::size_t i = kPagesPerSlab; i-- > 0;) {
    slab.pages[i].bytes = slab.bytes + i * kPageSize;
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

HostPage* PageCache::allocate() {
  if (free_.empty()) {
    try {
      free_.reserve(kKept);
    } catch (const std::bad_alloc&) {
      host_memory_exhausted();
    }
    arena_->take(free_, kBatch);
  }
  HostPage* page = free_.back();
  free_.pop_back();
  page->references.store(1, std::memory_order_relaxed);
  page->hash_known.store(false, std::memory_order_relaxed);
  return page;
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
