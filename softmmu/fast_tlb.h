// FastTlb: what the inline paths of loads, stores and jumps look in.
//
// A cache over the TLB's state (softmmu/tlb.h) with host addresses for data and physical pages for fetches. An entry is
// present only if the state entry of the same index allows that access now, so a hit needs no other question, and
// dropping an entry never changes what the guest sees.
//
// Tables are kept for the last kContexts process contexts (PCIDs): a guest that switches between a few processes finds
// each one's entries as it left them. What is accessed in supervisor mode is the same in all of them as far as it is
// global, so those tables are shared, and a switch takes the few entries out that are not.
#pragma once

#include <array>
#include <bit>

#include "base/types.h"
#include "base/zeroed_array.h"

namespace bhvm {

/// Who makes a data access. A fast table for each of the first three; kChecked has no fast entries, so that every
/// access takes the slow path (alignment checking, data breakpoints).
enum class DataMode : u8 {
  kUser,                // CPL 3
  kSupervisor,          // CPL 0-2, user pages refused (CR4.SMAP and not EFLAGS.AC)
  kSupervisorOverUser,  // CPL 0-2, user pages allowed
  kChecked,
};
inline constexpr unsigned kFastModes = 4;

inline constexpr unsigned kDataTlbEntries = 4096;
inline constexpr unsigned kFetchTlbEntries = 8192;

/// What a fast entry of fetches compares: the linear address of the page's last byte. Never 0, so an entry of zeroes
/// matches nothing and a new table needs no filling.
constexpr u64 fast_tag(u64 linear) { return linear | kPageOffsetMask; }
inline constexpr u64 kNoTag = 0;
/// What one of data compares: the address of the page that an access' last byte is in. It is 0 in page 0, also of an
/// access that runs into that from the last page; at no other index does an entry of zeroes match anything.
constexpr u64 data_tag(u64 linear) { return linear & kPageMask; }
constexpr u64 no_data_tag(unsigned index) { return index == 0 || index == kDataTlbEntries - 1 ? ~u64{0} : 0; }

/// What a load waits for stands first: hosts take a cycle more for it anywhere else.
struct FastEntry {
  u64 addend;     // host address = linear address + addend (modulo 2^64)
  u64 read_tag;   // data_tag() of the page when a load may go straight to the host
  u64 write_tag;  // the same for a store
  u64 unused;     // keeps the index a shift
};

struct FastFetchEntry {
  u64 tag;   // fast_tag() of the page
  u64 page;  // physical address of the page
};

/// As long as the number of a fetch table is the same, each entry that it had stands in it: who has once seen where an
/// address leads, and noted the number, need not look again. No two tables ever have the same number.
class FetchGeneration {
 public:
  /// Before anything was noted; no table's number.
  static constexpr u32 kNever = 0;

  /// The number to note.
  u32 note() {
    noted_ = true;
    return exhausted() ? kNever : value_;
  }
  bool is(u32 noted) const { return noted == value_; }

 private:
  friend class FastTlb;
  /// Numbers are spent only on what was noted, and are never used again: after four thousand million of them the tables
  /// have one that is not given out.
  static constexpr u32 kLast = ~u32{0};
  bool exhausted() const { return value_ == kLast; }

  u32 value_ = kLast;
  bool noted_ = false;
};

constexpr unsigned data_tlb_index(u64 linear) { return (linear >> kPageShift) & (kDataTlbEntries - 1); }
constexpr unsigned fetch_tlb_index(u64 linear) { return (linear >> kPageShift) & (kFetchTlbEntries - 1); }

/// A set of TLB indices.
template <unsigned kSize>
class TlbIndexSet {
 public:
  static constexpr unsigned kWords = kSize / 64;
  bool test(unsigned index) const { return (words_[index / 64] >> (index % 64)) & 1; }
  void set(unsigned index) { words_[index / 64] |= u64{1} << (index % 64); }
  void clear(unsigned index) { words_[index / 64] &= ~(u64{1} << (index % 64)); }
  /// Calls visit(index) for each member, ascending. `visit` may remove the index it is called with.
  template <class Visit>
  void for_each(Visit visit) const {
    for (unsigned word = 0; word < kWords; ++word) {
      for (u64 bits = words_[word]; bits != 0; bits &= bits - 1) {
        visit(word * 64 + static_cast<unsigned>(std::countr_zero(bits)));
      }
    }
  }

 private:
  std::array<u64, kWords> words_{};
};

class FastTlb {
 public:
  static constexpr unsigned kContexts = 8;

  FastTlb();

  /// From here on data(), fetch() and the fills are about this PCID.
  void select(u16 pcid);

  FastEntry* data(DataMode mode) {
    return data_.data() + std::size_t{mode == DataMode::kSupervisor ? kShared : current_} * kContextEntries +
           static_cast<std::size_t>(mode) * kDataTlbEntries;
  }
  const FastFetchEntry* fetch(bool user) const {
    return fetch_.data() + std::size_t{user ? current_ : kShared} * kFetchTlbEntries;
  }
  FetchGeneration& fetch_generation(bool user) { return contexts_[user ? current_ : kShared].fetch_generation; }
  /// New numbers for all fetch tables.
  void renew_fetch_generations();

  /// Lets loads, or loads and stores, of the page go straight to `host`.
  void fill_read(DataMode mode, LinearAddress page, const u8* host, bool global);
  void fill_write(DataMode mode, LinearAddress page, u8* host, bool global);
  /// Lets jumps to the page know that it is the physical page `frame`.
  void fill_fetch(LinearAddress page, bool user, PhysicalAddress frame, bool global);

  /// Drops the entries of a page, in every context, or everything.
  void drop_data(LinearAddress page);
  void drop_fetch(LinearAddress page);
  void drop_all();

 private:
  using DataSet = TlbIndexSet<kDataTlbEntries>;
  using FetchSet = TlbIndexSet<kFetchTlbEntries>;
  using ContextMask = u16;

  /// The tables of one PCID; the last one has the shared tables, and no PCID.
  struct Context {
    u16 pcid = 0;
    bool in_use = false;
    std::array<DataSet, kFastModes> data;  // which entries are filled
    FetchSet fetch;
    FetchGeneration fetch_generation;
  };
  static constexpr unsigned kShared = kContexts;
  static constexpr std::size_t kContextEntries = std::size_t{kFastModes} * kDataTlbEntries;

  FastEntry& note_data(DataMode mode, unsigned index, bool global);
  bool holds_data(unsigned context, LinearAddress page) const;
  void clear_data(unsigned context, unsigned index);
  void clear_fetch(unsigned context, unsigned index);
  void clear(unsigned context);
  /// No entry of the context's new tables matches anything.
  void prepare(unsigned context);
  void renew(FetchGeneration& generation);

  ZeroedArray<FastEntry> data_;        // [context][mode][index]
  ZeroedArray<FastFetchEntry> fetch_;  // [context][index]
  std::array<Context, kContexts + 1> contexts_;
  // For each index the contexts that have an entry there, and which shared ones must go at a switch.
  std::array<ContextMask, kDataTlbEntries> data_contexts_{};
  std::array<ContextMask, kFetchTlbEntries> fetch_contexts_{};
  DataSet shared_data_non_global_;
  FetchSet shared_fetch_non_global_;
  unsigned current_ = 0;
  unsigned next_victim_ = 0;
  u32 newest_generation_ = FetchGeneration::kNever;
};

}  // namespace bhvm
