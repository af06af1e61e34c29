// The TLB: guest state in front, host pointers behind.
//
// A guest can see a stale translation, so which translations are cached is part of the machine's state: TlbState is
// saved, loaded and hashed. A data access looks in `data`, an instruction fetch in `fetch`. Entering or removing
// translations is a function of what the guest executes alone.
//
// 4096 entries reach 16 MiB, so that programs of that size walk no tables between two flushes. They stand in sets of
// four, by linear page number and PCID, so that a kernel, a process and its fork, whose pages have the same addresses,
// stay beside each other. The one that came first is replaced: what the inline paths hit is not known here, so it
// cannot be the one that was used least recently. Large pages are entered as 4 KiB pieces so that the inline path knows
// one size; each piece remembers how large its page is, and INVLPG removes all of them, as the SDM asks (volume 3,
// 4.10.4.1).
//
// Each translation is one PCID's or global (SDM 3, 4.10.1 and 4.10.2.4); without CR4.PCIDE the PCID is 0. Of a page
// that has both, the global one counts. The inline paths do not look here but in the fast entries
// (softmmu/fast_tlb.h), which are dropped and rebuilt at will.
#pragma once

#include <array>

#include "base/boxed_array.h"
#include "base/types.h"
#include "softmmu/fast_tlb.h"

namespace bhvm {

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

/// One translation. `tag`: whose translation of which page it is (data_tag(), fetch_tag()). `frame`: physical page
/// address with tlb_flag bits below. Not present: frame == 0.
struct TlbEntry {
  u64 tag = 0;
  u64 frame = 0;
  u64 flags() const { return frame & kPageOffsetMask; }
  PhysicalAddress page() const { return {frame & kPageMask}; }
  bool is_global() const { return (frame & tlb_flag::kGlobal) != 0; }
};

/// A translation belongs to a PCID, or is global and then every PCID's. No canonical address has bits 63 and 62, or 63
/// and 61, apart.
constexpr u64 data_tag(u64 linear, u16 pcid, bool global) {
  return global ? (linear & kPageMask) ^ (u64{1} << 62) : (linear & kPageMask) | pcid;
}
constexpr u64 fetch_tag(u64 linear, u16 pcid, bool global, bool user) {
  return data_tag(linear, pcid, global) ^ (user ? u64{1} << 61 : 0);
}

inline constexpr unsigned kTlbWays = 4;
inline constexpr unsigned kTlbSets = 1024;

struct TlbTable {
  BoxedArray<TlbEntry, kTlbSets * kTlbWays> entries;  // [set][way]
  BoxedArray<u8, kTlbSets> next;                      // the way to replace when the set is full
};

struct TlbState {
  TlbTable data;
  TlbTable fetch;
};

/// TlbState, its fast entries, and what makes flushing cheap: sets of the indices that are in use, derived from the
/// two. Keeps the invariant that a fast entry stands only over a state entry with its tag.
class Tlb {
 public:
  const TlbState& state() const { return state_; }
  void set_state(const TlbState& state);

  /// From here on everything but set_state() and flush_all() is about this PCID and global translations.
  void set_pcid(u16 pcid) {
    pcid_ = pcid;
    fast_.select(pcid);
  }

  /// The translation of a page, or nullptr: of two the global one.
  const TlbEntry* find_data(u64 linear) const {
    const TlbEntry* const global = find(state_.data, linear, 0, data_tag(linear, 0, true));
    return global != nullptr ? global : find(state_.data, linear, pcid_, data_tag(linear, pcid_, false));
  }
  const TlbEntry* find_fetch(u64 linear, bool user) const {
    const TlbEntry* const global = find(state_.fetch, linear, 0, fetch_tag(linear, 0, true, user));
    return global != nullptr ? global : find(state_.fetch, linear, pcid_, fetch_tag(linear, pcid_, false, user));
  }

  /// Enters a translation, instead of the page's older one and of whatever stands where it goes. Addresses are page
  /// addresses, `flags` tlb_flag bits with kPresent.
  void enter_data(LinearAddress page, PhysicalAddress frame, u64 flags);
  void enter_fetch(LinearAddress page, bool user, PhysicalAddress frame, u64 flags);

  void flush_all();
  /// Removes this PCID's translations, but not the global ones.
  void flush_non_global();
  /// Removes this PCID's and the global translations of a linear address, with all pieces of any large page that covers
  /// it.
  void flush_page(LinearAddress linear);
  void flush_fetch();

  FastEntry* fast(DataMode mode) { return fast_.data(mode); }
  const FastFetchEntry* fast_fetch(bool user) const { return fast_.fetch(user); }
  FetchGeneration& fetch_generation(bool user) { return fast_.fetch_generation(user); }
  void renew_fetch_generations() { fast_.renew_fetch_generations(); }
  /// Makes the fast entry at the page's index go straight to `host` for loads, or for loads and stores, or to what the
  /// state says for fetches. REQUIRES: find_data(page), or find_fetch(page, user).
  void fill_fast_read(DataMode mode, LinearAddress page, const u8* host);
  void fill_fast_write(DataMode mode, LinearAddress page, u8* host);
  void fill_fast_fetch(LinearAddress page, bool user);
  /// Drops the fast entries that lead to a physical page, or all of them. The state stays.
  void drop_fast(PhysicalAddress frame);
  void drop_all_fast() { fast_.drop_all(); }

 private:
  using IndexSet = TlbIndexSet<kTlbSets * kTlbWays>;

  /// The first index of the set where a translation belongs; a global one's PCID is 0 here.
  static constexpr unsigned set_of(u64 linear, u16 pcid) {
    constexpr u64 kApart = 633;  // 1024 over the golden ratio: the first PCIDs are far from each other
    return static_cast<unsigned>(((linear >> kPageShift) + kApart * pcid) % kTlbSets) * kTlbWays;
  }
  static const TlbEntry* find(const TlbTable& table, u64 linear, u16 pcid, u64 tag) {
    const TlbEntry* const set = &table.entries[set_of(linear, pcid)];
    for (unsigned way = 0; way < kTlbWays; ++way) {
      if (set[way].tag == tag && set[way].frame != 0) return &set[way];
    }
    return nullptr;
  }
  /// The index of a free place in the set, or of the one to replace.
  static unsigned place_in(TlbTable& table, unsigned set);

  bool is_ours(const TlbEntry& entry) const;
  bool covers(const TlbEntry& entry, u64 linear) const;
  void remove_data(unsigned index);
  void remove_fetch(unsigned index);
  /// Removes the page's translations that this PCID can see.
  void forget_data(LinearAddress linear);
  void forget_fetch(LinearAddress linear);
  void note_data(unsigned index);
  void note_fetch(unsigned index);
  u16& large_pieces_near(u64 linear) { return large_pieces_[((linear >> 30) ^ (linear >> 39)) % large_pieces_.size()]; }

  TlbState state_;
  FastTlb fast_;
  u16 pcid_ = 0;
  IndexSet data_used_;
  IndexSet data_non_global_;
  IndexSet fetch_used_;
  IndexSet fetch_non_global_;
  // How many pieces of large pages are entered, by a hash of the 1 GiB region they lie in: most INVLPGs find 0 there
  // and need not look through the whole TLB for pieces.
  std::array<u16, 64> large_pieces_{};
  // For each data translation the low bits of its frame's number: those of a frame are looked for here.
  std::array<u32, kTlbSets * kTlbWays> data_frames_{};
};

}  // namespace bhvm
