#include "softmmu/guest_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "base/check.h"
#include "softmmu/page_arena.h"

namespace bhvm {
namespace {

constexpr u64 kMaxSize = u64{64} << 30;
constexpr u64 kPagesPerChunk = GuestMemory::kChunkSize / kPageSize;
constexpr u64 kNotRam = ~u64{0};

alignas(kPageSize) constexpr u8 kZeroPage[kPageSize] = {};

/// 512 pages, shared by all memories that have not written there since they were forked. nullptr: the zero page.
/// While references > 1 nobody changes it.
struct Chunk {
  std::atomic<u32> references{1};
  std::array<HostPage*, kPagesPerChunk> pages{};
};

/// One bit for each page of a chunk.
class PageBits {
 public:
  bool test(u64 page) const { return (words_[page / 64] >> (page % 64)) & 1; }
  void set(u64 page) { words_[page / 64] |= u64{1} << (page % 64); }
  void clear(u64 page) { words_[page / 64] &= ~(u64{1} << (page % 64)); }
  void clear_all() { words_ = {}; }
  template <class Visit>
  void for_each(Visit visit) const {
    for (u64 word = 0; word < words_.size(); ++word) {
      for (u64 bits = words_[word]; bits != 0; bits &= bits - 1) visit(word * 64 + std::countr_zero(bits));
    }
  }

 private:
  std::array<u64, kPagesPerChunk / 64> words_{};
};

using CodeMasks = std::array<u64, kPagesPerChunk>;  // a bit for each 64-byte granule
static_assert(kPageSize / GuestMemory::kCodeGranule == 64);

/// What one memory knows of a chunk.
struct Slot {
  Chunk* chunk = nullptr;  // nullptr: all zero
  PageBits unhashed;  // pages whose contents are not counted in the total; all are this memory's own or were at a fork
  PageBits handed_out;  // pages whose host pointer the observer may hold
  std::unique_ptr<CodeMasks> code;
};

bool all_zero(const u8* page) { return page[0] == 0 && std::memcmp(page, page + 1, kPageSize - 1) == 0; }

}  // namespace

struct GuestMemory::Impl {
  Impl(u64 size, std::shared_ptr<PageArena> arena) : size_bytes(size), cache(std::move(arena)) {
    low_pages = std::min(size, kLowLimit) / kPageSize;
    slots.resize((size + kChunkSize - 1) / kChunkSize);
  }
  ~Impl() {
    for (Slot& slot : slots) release_chunk(slot.chunk);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  /// Pages are numbered without the hole below 4 GiB; kNotRam for an address that is not RAM.
  u64 index_of(u64 address) const {
    const u64 page = address / kPageSize;
    if (page < low_pages) return page;
    const u64 high = page - kHighBase / kPageSize + kLowLimit / kPageSize;
    return page >= kHighBase / kPageSize && high < size_bytes / kPageSize ? high : kNotRam;
  }
  u64 address_of(u64 index) const {
    return (index < kLowLimit / kPageSize ? index : index - kLowLimit / kPageSize + kHighBase / kPageSize) * kPageSize;
  }
  bool is_ram(u64 address, u64 size) const {
    if (size == 0) return true;
    const u64 last = address + (size - 1);
    if (last < address) return false;
    const u64 first_index = index_of(address);
    const u64 last_index = index_of(last);
    return first_index != kNotRam && last_index != kNotRam &&
           last_index - first_index == last / kPageSize - address / kPageSize;
  }

  const HostPage* page_at(u64 index) const {
    const Chunk* chunk = slots[index / kPagesPerChunk].chunk;
    return chunk == nullptr ? nullptr : chunk->pages[index % kPagesPerChunk];
  }
  const u8* bytes_at(u64 index) const {
    const HostPage* page = page_at(index);
    return page == nullptr ? kZeroPage : page->bytes;
  }

  void release_chunk(Chunk* chunk) {
    if (chunk == nullptr || chunk->references.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    for (HostPage* page : chunk->pages) {
      if (page != nullptr) cache.release(page);
    }
    delete chunk;
  }

  /// The slot's chunk as this memory's own.
  Chunk& own_chunk(Slot& slot) {
    if (slot.chunk != nullptr && slot.chunk->references.load(std::memory_order_acquire) == 1) return *slot.chunk;
    Chunk* copy = new (std::nothrow) Chunk;
    if (copy == nullptr) host_memory_exhausted();
    if (slot.chunk != nullptr) {
      copy->pages = slot.chunk->pages;
      for (HostPage* page : copy->pages) {
        if (page != nullptr) page->references.fetch_add(1, std::memory_order_relaxed);
      }
      release_chunk(slot.chunk);
    }
    slot.chunk = copy;
    return *copy;
  }

  /// The page's bytes, about to change: this memory's own, and out of the total. `all_change`: whatever they were.
  u8* own_bytes(u64 index, bool all_change = false) {
    Slot& slot = slots[index / kPagesPerChunk];
    const u64 in_chunk = index % kPagesPerChunk;
    HostPage*& page = own_chunk(slot).pages[in_chunk];
    uncount(slot, in_chunk, page);
    if (page != nullptr && page->references.load(std::memory_order_acquire) == 1) {
      page->hash_known.store(false, std::memory_order_relaxed);
      return page->bytes;
    }
    if (slot.handed_out.test(in_chunk)) drop_host_pointers(slot, in_chunk, index);
    HostPage* const copy = page == nullptr && !all_change ? cache.allocate_zeroed() : cache.allocate();
    if (page != nullptr) {
      if (!all_change) std::memcpy(copy->bytes, page->bytes, kPageSize);
      cache.release(page);
    }
    page = copy;
    return copy->bytes;
  }

  /// Takes the page's hash out of the total, and notes that it has to be put back.
  void uncount(Slot& slot, u64 in_chunk, const HostPage* page) {
    if (slot.unhashed.test(in_chunk)) return;
    if (page != nullptr) total = total - page->hash();
    slot.unhashed.set(in_chunk);
  }

  void drop_host_pointers(Slot& slot, u64 in_chunk, u64 index) {
    slot.handed_out.clear(in_chunk);
    if (observer != nullptr) observer->drop_host_pointers({address_of(index)});
  }
  void drop_all_host_pointers() {
    if (!any_handed_out) return;
    any_handed_out = false;
    for (Slot& slot : slots) slot.handed_out.clear_all();
    if (observer != nullptr) observer->drop_all_host_pointers();
  }
  void hand_out(u64 index) {
    slots[index / kPagesPerChunk].handed_out.set(index % kPagesPerChunk);
    any_handed_out = true;
  }

  u64 code_mask(u64 index) const {
    const Slot& slot = slots[index / kPagesPerChunk];
    return slot.code == nullptr ? 0 : (*slot.code)[index % kPagesPerChunk];
  }
  void report_code(u64 address, u64 index, u64 size) const {
    if (observer == nullptr || (code_mask(index) & GuestMemory::code_granules(address % kPageSize, size)) == 0) return;
    observer->code_written({address}, size);
  }

  /// Calls part(address, index, size, bytes done) for the piece of [address, address + size) in each page.
  template <class Part>
  void for_each_page(u64 address, u64 size, Part part) const {
    for (u64 done = 0; done < size;) {
      const u64 piece = std::min(size - done, kPageSize - (address + done) % kPageSize);
      part(address + done, index_of(address + done), piece, done);
      done += piece;
    }
  }

  void zero_page(u64 index) {
    Slot& slot = slots[index / kPagesPerChunk];
    const u64 in_chunk = index % kPagesPerChunk;
    if (page_at(index) == nullptr) return;
    HostPage*& page = own_chunk(slot).pages[in_chunk];
    uncount(slot, in_chunk, page);
    if (slot.handed_out.test(in_chunk)) drop_host_pointers(slot, in_chunk, index);
    cache.release(std::exchange(page, nullptr));
  }

  void count_unhashed() {
    for (u64 i = 0; i < slots.size(); ++i) {
      Slot& slot = slots[i];
      slot.unhashed.for_each([&](u64 in_chunk) {
        HostPage* page = slot.chunk == nullptr ? nullptr : slot.chunk->pages[in_chunk];
        if (page == nullptr) return;
        if (!page->hash_known.load(std::memory_order_acquire)) {
          const u64 page_number = address_of(i * kPagesPerChunk + in_chunk) / kPageSize;
          page->set_hash(all_zero(page->bytes) ? Hash128{} : hash_bytes(page->bytes, kPageSize, page_number));
        }
        total = total + page->hash();
      });
      slot.unhashed.clear_all();
    }
  }

  u64 size_bytes;
  u64 low_pages = 0;
  PageCache cache;
  std::vector<Slot> slots;
  Hash128 total;  // sum of the hashes of all pages that are not `unhashed`
  MemoryObserver* observer = nullptr;
  bool any_handed_out = false;
};

Result<GuestMemory> GuestMemory::create(u64 size_bytes) {
  if (size_bytes == 0 || size_bytes % kPageSize != 0 || size_bytes > kMaxSize) {
    return Error{
        fmt::format("{} bytes of guest RAM are not possible: give a multiple of 4 KiB, at most 64 GiB.", size_bytes)};
  }
  try {
    auto arena = std::make_shared<PageArena>();
    if (!arena->grow()) throw std::bad_alloc();
    return GuestMemory(std::make_unique<Impl>(size_bytes, std::move(arena)));
  } catch (const std::bad_alloc&) {
    return Error{fmt::format("the host has no memory for {} bytes of guest RAM: give the guest less", size_bytes)};
  }
}

GuestMemory::GuestMemory(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
GuestMemory::GuestMemory(GuestMemory&&) noexcept = default;
GuestMemory::~GuestMemory() = default;

GuestMemory& GuestMemory::operator=(GuestMemory&& other) noexcept {
  if (this == &other) return *this;
  MemoryObserver* observer = nullptr;
  if (impl_ != nullptr) {
    impl_->drop_all_host_pointers();
    observer = impl_->observer;
  }
  impl_ = std::move(other.impl_);
  if (impl_ != nullptr) {
    impl_->drop_all_host_pointers();
    for (Slot& slot : impl_->slots) slot.code.reset();
    impl_->observer = observer;
  }
  return *this;
}

u64 GuestMemory::size_bytes() const { return impl_->size_bytes; }

bool GuestMemory::is_ram(PhysicalAddress address) const { return impl_->index_of(address.value) != kNotRam; }

GuestMemory GuestMemory::fork() {
  impl_->drop_all_host_pointers();
  try {
    auto copy = std::make_unique<Impl>(impl_->size_bytes, impl_->cache.arena());
    for (u64 i = 0; i < impl_->slots.size(); ++i) {
      const Slot& slot = impl_->slots[i];
      if (slot.chunk != nullptr) slot.chunk->references.fetch_add(1, std::memory_order_relaxed);
      copy->slots[i].chunk = slot.chunk;
      copy->slots[i].unhashed = slot.unhashed;
    }
    copy->total = impl_->total;
    return GuestMemory(std::move(copy));
  } catch (const std::bad_alloc&) {
    host_memory_exhausted();
  }
}

void GuestMemory::set_observer(MemoryObserver* observer) {
  impl_->drop_all_host_pointers();
  impl_->observer = observer;
}

const u8* GuestMemory::peek_page(PhysicalAddress page) const {
  const u64 index = impl_->index_of(page.value);
  return index == kNotRam ? nullptr : impl_->bytes_at(index);
}

const u8* GuestMemory::page_for_read(PhysicalAddress page) {
  const u64 index = impl_->index_of(page.value);
  if (index == kNotRam) return nullptr;
  impl_->hand_out(index);
  return impl_->bytes_at(index);
}

u8* GuestMemory::page_for_write(PhysicalAddress page) {
  const u64 index = impl_->index_of(page.value);
  if (index == kNotRam || impl_->code_mask(index) != 0) return nullptr;
  u8* bytes = impl_->own_bytes(index);
  impl_->hand_out(index);
  return bytes;
}

bool GuestMemory::read(PhysicalAddress address, void* bytes, u64 size) const {
  if (!impl_->is_ram(address.value, size)) return false;
  impl_->for_each_page(address.value, size, [&](u64 at, u64 index, u64 piece, u64 done) {
    std::memcpy(static_cast<u8*>(bytes) + done, impl_->bytes_at(index) + at % kPageSize, piece);
  });
  return true;
}

bool GuestMemory::write(PhysicalAddress address, const void* bytes, u64 size) {
  if (!impl_->is_ram(address.value, size)) return false;
  impl_->for_each_page(address.value, size, [&](u64 at, u64 index, u64 piece, u64 done) {
    impl_->report_code(at, index, piece);
    u8* const page = impl_->own_bytes(index, piece == kPageSize);
    std::memcpy(page + at % kPageSize, static_cast<const u8*>(bytes) + done, piece);
  });
  return true;
}

bool GuestMemory::fill_zero(PhysicalAddress address, u64 size) {
  if (!impl_->is_ram(address.value, size)) return false;
  impl_->for_each_page(address.value, size, [&](u64 at, u64 index, u64 piece, u64) {
    impl_->report_code(at, index, piece);
    if (piece == kPageSize) {
      impl_->zero_page(index);
    } else if (impl_->page_at(index) != nullptr) {
      std::memset(impl_->own_bytes(index) + at % kPageSize, 0, piece);
    }
  });
  return true;
}

void GuestMemory::mark_code(PhysicalAddress address, u64 size) {
  const u64 index = impl_->index_of(address.value);
  BHVM_CHECK(index != kNotRam && size != 0 && address.page_offset() + size <= kPageSize,
             "code was marked outside RAM or over the end of a page");
  Slot& slot = impl_->slots[index / kPagesPerChunk];
  const u64 in_chunk = index % kPagesPerChunk;
  if (slot.code == nullptr) slot.code = std::make_unique<CodeMasks>();
  u64& mask = (*slot.code)[in_chunk];
  if (mask == 0 && slot.handed_out.test(in_chunk)) impl_->drop_host_pointers(slot, in_chunk, index);
  mask |= code_granules(address.page_offset(), size);
}

void GuestMemory::clear_code(PhysicalAddress page, u64 keep) {
  const u64 index = impl_->index_of(page.value);
  if (index == kNotRam) return;
  Slot& slot = impl_->slots[index / kPagesPerChunk];
  if (slot.code != nullptr) (*slot.code)[index % kPagesPerChunk] &= keep;
}

bool GuestMemory::has_code(PhysicalAddress page) const {
  const u64 index = impl_->index_of(page.value);
  return index != kNotRam && impl_->code_mask(index) != 0;
}

bool GuestMemory::touches_code(PhysicalAddress address, u64 size) const {
  const u64 index = impl_->index_of(address.value);
  if (index == kNotRam || size == 0) return false;
  const u64 inside = std::min(size, kPageSize - address.page_offset());
  return (impl_->code_mask(index) & code_granules(address.page_offset(), inside)) != 0;
}

Hash128 GuestMemory::hash() {
  impl_->drop_all_host_pointers();
  impl_->count_unhashed();
  const std::array<u64, 3> parts{impl_->size_bytes, impl_->total.low, impl_->total.high};
  return hash_bytes(parts.data(), sizeof(parts));
}

GuestMemory::Usage GuestMemory::usage() const {
  Usage usage;
  for (const Slot& slot : impl_->slots) {
    if (slot.chunk == nullptr) continue;
    const bool own_chunk = slot.chunk->references.load(std::memory_order_acquire) == 1;
    for (const HostPage* page : slot.chunk->pages) {
      if (page == nullptr) continue;
      const bool own = own_chunk && page->references.load(std::memory_order_acquire) == 1;
      ++(own ? usage.own_pages : usage.shared_pages);
    }
  }
  return usage;
}

void GuestMemory::visit_pages(const std::function<void(u64 page_number, std::span<const u8, kPageSize>)>& visit) const {
  for (u64 index = 0; index < impl_->size_bytes / kPageSize; ++index) {
    const HostPage* page = impl_->page_at(index);
    if (page == nullptr || all_zero(page->bytes)) continue;
    visit(impl_->address_of(index) / kPageSize, std::span<const u8, kPageSize>(page->bytes, kPageSize));
  }
}

}  // namespace bhvm
