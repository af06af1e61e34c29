// Guest RAM: copy-on-write from its first day.
//
// A table of 2 MiB chunks, each a table of 4 KiB pages, both reference-counted; an untouched page is the one shared
// zero page. Forking a memory copies the chunk table and shares all else, so a snapshot of a 256 MiB machine copies 128
// pointers. A page is copied when it is first written through a memory that does not own it alone.
//
// Host pointers. page_for_read() and page_for_write() hand out host pointers that a TLB may keep. They go stale when
// the page is copied or when writes must be seen again; the memory then tells its observer, which drops them (host
// pointers only: translations are guest state and stay). One memory has one observer.
//
// Code pages. The interpreter marks the 64-byte granules that it has decoded. While a page has any, page_for_write()
// refuses (returns nullptr) and stores must go through write() or code_aware paths, which report them to the observer.
//
// The observer is told before a page is copied or materialised, once it was handed out for reading; after fork() and
// hash(), which share or fix the contents, all pointers are dropped. Marking the first code of a page drops its
// pointers.
//
// RAM lies at [0, min(size, 3 GiB)) and, if there is more, from 4 GiB on. Everything else is not RAM.
// One memory is used by one thread at a time; memories that share pages may live on different threads.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "base/hash.h"
#include "base/result.h"
#include "base/types.h"

namespace bhvm {

/// Who keeps host pointers or decoded code of a memory.
class MemoryObserver {
 public:
  /// The host pages behind these pointers changed or must not be written without asking again: drop them.
  virtual void drop_host_pointers(PhysicalAddress page) = 0;
  virtual void drop_all_host_pointers() = 0;
  /// Bytes [address, address + size) of a page with decoded code are about to change and touch a marked granule.
  virtual void code_written(PhysicalAddress address, u64 size) = 0;

 protected:
  ~MemoryObserver() = default;
};

class GuestMemory {
 public:
  static constexpr u64 kLowLimit = u64{3} << 30;  // RAM below 4 GiB ends here at the latest
  static constexpr u64 kHighBase = u64{4} << 30;  // and goes on here
  static constexpr u64 kChunkSize = u64{2} << 20;
  static constexpr u64 kCodeGranule = 64;

  /// RAM of `size_bytes`, all zero. An error when the size is 0, no multiple of 4 KiB or over 64 GiB.
  static Result<GuestMemory> create(u64 size_bytes);

  GuestMemory(GuestMemory&&) noexcept;
  /// Replaces the contents (a snapshot is restored so). This memory keeps its observer, whose host pointers are
  /// dropped, and has no code marked; the owner of decoded code throws it away itself.
  GuestMemory& operator=(GuestMemory&&) noexcept;
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;
  ~GuestMemory();

  u64 size_bytes() const;
  bool is_ram(PhysicalAddress address) const;

  /// A memory with the same contents that shares all pages. Drops this memory's host pointers; marks no code in the new
  /// one, which has no observer yet.
  GuestMemory fork();

  void set_observer(MemoryObserver* observer);

  /// Host address of the page's 4096 bytes, to read; nullptr when it is not RAM.
  const u8* page_for_read(PhysicalAddress page);
  /// The same to write: makes the page this memory's own and counts it as changed. nullptr when it is not RAM or when
  /// code is marked in it.
  u8* page_for_write(PhysicalAddress page);

  /// The same as page_for_read() for a look that ends before the next call of a non-const function: the pointer is not
  /// to be kept, and nobody is told when it goes stale.
  const u8* peek_page(PhysicalAddress page) const;

  /// Copies bytes in or out; may cross pages. False, with nothing written, when any byte is not RAM. Writes report to
  /// the observer when they touch marked code.
  bool read(PhysicalAddress address, void* bytes, u64 size) const;
  bool write(PhysicalAddress address, const void* bytes, u64 size);
  /// Writes zeros; whole pages go back to the host.
  bool fill_zero(PhysicalAddress address, u64 size);

  template <class T>
  bool read_value(PhysicalAddress address, T& value) const {
    return read(address, &value, sizeof(T));
  }
  template <class T>
  bool write_value(PhysicalAddress address, const T& value) {
    return write(address, &value, sizeof(T));
  }

  /// Marks [address, address + size) as decoded code, within one page; drops the page's host pointers if it had none.
  void mark_code(PhysicalAddress address, u64 size);
  /// Forgets all marks of a page but those in `keep`, a bit for each granule.
  void clear_code(PhysicalAddress page, u64 keep = 0);
  /// The granules that [page_offset, page_offset + size) touches, a bit for each; size is not 0.
  static constexpr u64 code_granules(u64 page_offset, u64 size) {
    const u64 first = page_offset / kCodeGranule;
    const u64 last = (page_offset + size - 1) / kCodeGranule;
    return (~u64{0} << first) & (~u64{0} >> (63 - last));
  }
  bool has_code(PhysicalAddress page) const;
  /// Does [address, address + size), within one page, touch a marked granule?
  bool touches_code(PhysicalAddress address, u64 size) const;

  /// Hash over size and contents. Costs the pages that changed since the last call; drops write pointers.
  Hash128 hash();

  /// Pages that this memory owns alone, and pages that it shares with others (the zero page counts as neither).
  struct Usage {
    u64 own_pages = 0;
    u64 shared_pages = 0;
  };
  Usage usage() const;

  /// Calls visit(page number, 4096 bytes) for every page that is not all zero, ascending: for saving to a file.
  void visit_pages(const std::function<void(u64 page_number, std::span<const u8, kPageSize>)>& visit) const;

 private:
  struct Impl;
  explicit GuestMemory(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bhvm
