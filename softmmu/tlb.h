// The TLB: guest state in front, host pointers behind.
//
// A guest can see a stale translation, so which translations are cached is part of the machine's state: TlbState is
// saved, loaded and hashed. A data access looks in `data`, an instruction fetch in `fetch`; both are direct-mapped by
// linear page number. Entering or removing translations is a function of what the guest executes alone.
//
// The sizes: 4096 data entries reach 16 MiB, so that programs of that size walk no tables between two flushes; code is
// denser, so 1024 fetch entries serve. Direct-mapped, because
// the inline path compares one tag, and because which entry is evicted then depends on nothing but the address. Large
// pages are entered as 4 KiB pieces so that the inline path knows one size; each piece remembers how large its page is,
// and INVLPG removes all of them, as the SDM asks (volume 3, 4.10.4.1).
//
// The fast entries are a cache over `data` for the inline path of loads and stores: one array for each data mode, where
// an entry is present only if the state entry of the same index allows that access in that mode and the page is plain
// RAM. They hold host addresses and are dropped and rebuilt at will; dropping one never changes what the guest sees.
#pragma once

#include <array>
#include <bit>
#include <memory>

#include "base/types.h"
#include "base/zeroed_array.h"

namespace bhvm {

/// Who makes a data access. A fast array for each of the first three; kChecked has no fast entries, so that every
/// access takes the slow path (alignment checking, data breakpoints).
enum class DataMode : u8 {
  kUser,                // CPL 3
  kSupervisor,          // CPL 0-2, user pages refused (CR4.SMAP and not EFLAGS.AC)
  kSupervisorOverUser,  // CPL 0-2, user pages allowed
  kChecked,
};
inline constexpr unsigned kFastModes = 4;

namespace tlb_flag {
inline constexpr u64 kPresent = 1 << 0;
inline constexpr u64 kWritable = 1 << 1;   // R/W allowed at every level
inline constexpr u64 kUser = 1 << 2;       // U/S set at every level
inline constexpr u64 kNoExecute = 1 << 3;  // XD at some level, with EFER.NXE
inline constexpr u64 kGlobal = 1 << 4;     // survives a CR3 write
inline constexpr u64 kDirty = 1 << 5;      // D was set when the entry was made: writes need no walk
inline constexpr u64 kSize2M = 1 << 6;     // a 4 KiB piece of a 2 MiB (or 4 MiB) page
inline constexpr u64 kSize1G = 1 << 7;     // a 4 KiB piece of a 1 GiB page
inline constexpr u64 kSize4M = 1 << 8;     // with kSize2M: the 4 MiB page of 32-bit paging
}  // namespace tlb_flag

/// One translation. `tag`: linear page address, plus 1 for a fetch entry made at CPL 3. `frame`: physical page address
/// with tlb_flag bits below. Not present: frame == 0.
struct TlbEntry {
  u64 tag = 0;
  u64 frame = 0;
  u64 flags() const { return frame & kPageOffsetMask; }
  PhysicalAddress page() const { return {frame & kPageMask}; }
};

inline constexpr unsigned kDataTlbEntries = 4096;
inline constexpr unsigned kFetchTlbEntries = 1024;

struct TlbState {
  std::array<TlbEntry, kDataTlbEntries> data{};
  std::array<TlbEntry, kFetchTlbEntries> fetch{};
};

/// What a fast entry compares: the linear address of the page's last byte. Never 0, so an entry of zeroes matches
/// nothing and a new table needs no filling.
constexpr u64 fast_tag(u64 linear) { return linear | kPageOffsetMask; }
inline constexpr u64 kNoTag = 0;

struct FastEntry {
  u64 read_tag;   // fast_tag() of the page when a load may go straight to the host
  u64 write_tag;  // the same for a store
  u64 addend;     // host address = linear address + addend (modulo 2^64)
  u64 unused;     // keeps the index a shift
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

/// TlbState, its fast entries, and what makes flushing cheap: sets of the indices that are in use, derived from the
/// two. Keeps the invariant that a fast entry stands only over a state entry with its tag.
class Tlb {
 public:
  Tlb();

  const TlbState& state() const { return *state_; }
  void set_state(const TlbState& state);
  FastEntry* fast(DataMode mode) { return fast_.data() + static_cast<std::size_t>(mode) * kDataTlbEntries; }

  /// Enters a translation over whatever has its index; drops the fast entries there. Addresses are page addresses,
  /// `flags` tlb_flag bits with kPresent.
  void enter_data(LinearAddress page, PhysicalAddress frame, u64 flags);
  void enter_fetch(LinearAddress page, bool user, PhysicalAddress frame, u64 flags);

  void flush_all();
  void flush_non_global();
  /// Removes all translations of a linear address, with all pieces of any large page that covers it.
  void flush_page(LinearAddress linear);
  void flush_fetch();

  /// Makes the fast entry at the page's index go straight to `host` for loads, or for loads and stores.
  /// REQUIRES: the state entry at that index translates `page`.
  void fill_fast_read(DataMode mode, LinearAddress page, const u8* host);
  void fill_fast_write(DataMode mode, LinearAddress page, u8* host);
  /// Drops the fast entries that lead to a physical page, or all of them. The state stays.
  void drop_fast(PhysicalAddress frame);
  void drop_all_fast();

 private:
  using DataSet = TlbIndexSet<kDataTlbEntries>;
  using FetchSet = TlbIndexSet<kFetchTlbEntries>;

  void enter(TlbEntry& entry, u64 tag, u64 frame);
  void remove_data(unsigned index);
  void remove_fetch(unsigned index);
  void drop_fast_at(unsigned index);
  void note_data(unsigned index);
  void note_fetch(unsigned index);
  u16& large_pieces_near(u64 linear) { return large_pieces_[((linear >> 30) ^ (linear >> 39)) % large_pieces_.size()]; }

  std::unique_ptr<TlbState> state_;
  ZeroedArray<FastEntry> fast_;  // kFastModes tables, one behind the other
  DataSet data_used_;
  DataSet data_non_global_;
  FetchSet fetch_used_;
  FetchSet fetch_non_global_;
  std::array<DataSet, kFastModes> fast_used_;
  // How many pieces of large pages are entered, by a hash of the 1 GiB region they lie in: most INVLPGs find 0 there
  // and need not look through the whole TLB for pieces.
  std::array<u16, 64> large_pieces_{};
};

}  // namespace bhvm
