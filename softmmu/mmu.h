// The MMU: linear to physical, by SDM volume 3, chapter 4.
//
// translate() is the one entry: it looks in the TLB, walks the page tables on a miss (setting A and D bits only when
// the access is allowed), enters what it found and reports a #PF otherwise. It knows all paging modes of the machine:
// none, 32-bit (with PSE), PAE and 4-level. Linear addresses given to it are already checked for canonical form and
// truncated to 32 bits where the mode asks for it.
//
// A TLB hit that forbids the access, or a store through an entry without kDirty, walks again before it faults: the
// guest may have widened the rights without a flush, as the SDM permits (volume 3, 4.10.4.3). An access that faults
// removes the translations of its address (4.10.4.1).
//
// Without paging every linear address is its own physical address. Such accesses enter identity translations (present,
// writable, user, global, dirty) into the TLB like any other, so that one rule holds for the fast entries; the flush
// that CR0.PG asks for removes them.
//
// Page tables outside RAM read as zero (not present).
#pragma once

#include <array>

#include "base/types.h"
#include "softmmu/guest_memory.h"
#include "softmmu/tlb.h"

namespace bhvm {

/// The control-register bits that paging depends on. Set by the CPU whenever one of them changes.
struct PagingControls {
  u64 cr3 = 0;
  u16 pcid = 0;                // CR3[11:0] under CR4.PCIDE, else 0
  std::array<u64, 4> pdpte{};  // the four PDPTE registers, loaded with CR3 under PAE paging (SDM 3, 4.4.1)
  bool pg = false;             // CR0.PG
  bool pae = false;            // CR4.PAE
  bool lma = false;            // IA32_EFER.LMA: 4-level paging
  bool pse = false;            // CR4.PSE
  bool pge = false;            // CR4.PGE
  bool wp = false;             // CR0.WP
  bool smep = false;
  bool smap = false;
  bool nxe = false;  // IA32_EFER.NXE
};

enum class Access : u8 { kRead, kWrite, kFetch };

/// Page-fault error code bits (SDM 3, 4.7).
namespace pf_error {
inline constexpr u32 kPresent = 1 << 0;
inline constexpr u32 kWrite = 1 << 1;
inline constexpr u32 kUser = 1 << 2;
inline constexpr u32 kReserved = 1 << 3;
inline constexpr u32 kFetch = 1 << 4;
}  // namespace pf_error

struct Translation {
  bool ok = false;
  u32 error_code = 0;    // of the #PF when not ok
  PhysicalAddress page;  // when ok: the physical page
  u64 flags = 0;         // when ok: tlb_flag bits
};

class Mmu final : public MemoryObserver {
 public:
  explicit Mmu(GuestMemory& memory);
  ~Mmu();
  Mmu(const Mmu&) = delete;
  Mmu& operator=(const Mmu&) = delete;

  GuestMemory& memory() { return *memory_; }

  /// Changes the controls. Translations stay: the CPU flushes where the SDM says so. But a change of anything except
  /// CR3, PCID and the PDPTEs drops the host pointers and the fetch translations, whose presence alone grants the
  /// access.
  void set_controls(const PagingControls& controls);
  const PagingControls& controls() const { return controls_; }

  /// Translates a data access to the page of `linear`. kChecked counts as kUser when `user`, else like kSupervisor or
  /// kSupervisorOverUser by `over_user`.
  Translation translate_data(LinearAddress linear, Access access, bool user, bool over_user);
  /// Would translate_data() allow the access? Sets no A or D bit and enters nothing; a fault it tells is final.
  Translation probe_data(LinearAddress linear, Access access, bool user, bool over_user);
  /// Translates an instruction fetch.
  Translation translate_fetch(LinearAddress linear, bool user);

  /// After translate_data() allowed the access to `page`: enters a fast entry for that mode if the page is plain RAM
  /// (no code for stores) and returns the host address of the page's first byte, or nullptr when it must go the slow
  /// way. A mode of kChecked gets the address but no fast entry.
  const u8* fill_read(LinearAddress linear, DataMode mode, PhysicalAddress page);
  u8* fill_write(LinearAddress linear, DataMode mode, PhysicalAddress page);

  /// Is a fetch from `linear` at this privilege a hit that needs no translate_fetch(), and where? The page address, or
  /// ~0 on a miss. Inline: whoever comes to another page asks.
  u64 fetch_hit(u64 linear, bool user) const {
    const FastFetchEntry& entry = fast_fetch(user)[fetch_tlb_index(linear)];
    return entry.tag == fast_tag(linear) ? entry.page : ~u64{0};
  }

  void flush_all();                       // CR0.PG, CR4 changes
  void flush_non_global();                // MOV to CR3: this PCID's
  void flush_page(LinearAddress linear);  // INVLPG: also all pieces of a large page that covers it

  /// The tables of the inline paths, for the controls as they are.
  FastEntry* fast(DataMode mode) { return tlb_.fast(mode); }
  const FastFetchEntry* fast_fetch(bool user) const { return tlb_.fast_fetch(user); }
  /// The number of the table fast_fetch(user), until the controls or the privilege change.
  FetchGeneration& fetch_generation(bool user) { return tlb_.fetch_generation(user); }
  /// Voids whatever was noted under any of these numbers.
  void renew_fetch_generations() { tlb_.renew_fetch_generations(); }

  const TlbState& state() const { return tlb_.state(); }
  void set_state(const TlbState& state);  // host pointers start empty

  /// Called for code_written(); set by the CPU. The Mmu itself drops host pointers.
  void set_code_listener(MemoryObserver* listener) { code_listener_ = listener; }

  void drop_host_pointers(PhysicalAddress page) override;
  void drop_all_host_pointers() override;
  void code_written(PhysicalAddress address, u64 size) override;

  u64 walks() const { return walks_; }  // statistics only; not state

 private:
  bool hits_data(LinearAddress linear, Access access, bool user, bool over_user) const;
  bool allows_data(u64 flags, Access access, bool user, bool over_user) const;
  bool allows_fetch(u64 flags, bool user) const;
  bool has_entry(LinearAddress linear, PhysicalAddress page, DataMode mode) const;
  Translation fault(LinearAddress linear, u32 error_code, Access access, bool user);

  GuestMemory* memory_;
  MemoryObserver* code_listener_ = nullptr;
  PagingControls controls_;
  Tlb tlb_;
  u64 walks_ = 0;
};

}  // namespace bhvm
