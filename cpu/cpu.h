// Cpu: the interpreter's working state, laid out for its handlers.
//
// What handlers name most stands first: the lazily kept flags, and what jumps go by. Then come what addresses are made
// of and the general registers, all of them in reach of an offset of 8 bits, and the rest of the architectural state,
// in reach of one of 16. Behind it stand further operands and caches: the fast TLB of the current data mode, the code
// cache, the jump cache. Nothing but `s` is guest state between runs.
//
// run() retires instructions until its limit, HLT, or an instruction that touched a device or needs the board's
// attention; between two runs every fact about the guest is in `s` and in the MMU's TLB. How a run is cut into calls
// changes nothing that a guest or a state hash can see.
//
// The instruction count inside the dispatch: `budget` is what may still retire once the current block is done, so
//   retired before this op = limit - budget - op->rest - 1.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "base/types.h"
#include "base/zeroed_array.h"
#include "bus/cpu_port.h"
#include "cpu/cpu_state.h"
#include "cpu/exception.h"
#include "cpu/flags.h"
#include "cpu/op.h"
#include "softmmu/mmu.h"

namespace bhvm {

class CodeCache;

/// Who an access is made by, for accesses that are not the current instruction's plain data accesses.
enum class Privilege : u8 { kCurrent, kSupervisor };

enum class RunExit : u8 {
  kLimit,        // the limit was reached
  kHalted,       // HLT, and no interrupt to take
  kAttention,    // a device was touched or time was read in a way that may move the next event: ask the board
  kShutdown,     // triple fault
  kUnsupported,  // an instruction or mode that bhvm does not have; see Cpu::stop_message
};

/// The jump cache: where indirect jumps went before, as places of blocks in the code cache's arena (cpu/control.h).
inline constexpr unsigned kJumpCacheEntries = 16384;
constexpr unsigned jump_cache_index(u64 rip) { return (rip ^ (rip >> 12)) & (kJumpCacheEntries - 1); }

/// How many calls deep a return is told beforehand where it goes.
inline constexpr unsigned kReturnDepth = 16;

/// Why the dispatch was left.
enum class Leave : u8 {
  kJump,    // go on at s.rip; `link` may be set to what should point there from now on
  kBudget,  // the next block does not fit into the budget: s.rip is its start
  kFault,   // `fault` tells; s.rip is the instruction's own address
  kSystem,  // a system instruction is done: s.rip is the next instruction; look at everything
};

/// The registers that PagingControls are made from.
struct PagingRegisters {
  u64 cr0 = 0;
  u64 cr3 = 0;
  u64 cr4 = 0;
  u64 efer = 0;
  std::array<u64, 4> pdpte{};
  bool operator==(const PagingRegisters&) const = default;
};

/// A link that wants to lead somewhere: of an op, or of one that jumps inside the page and gets back `rest` when it
/// does.
struct WantedLink {
  const Block** link = nullptr;
  InPageOp* in_page = nullptr;
  u32 rest = 0;
};

struct Cpu {
  // ---- what handlers name most often: a host instruction is three bytes shorter for the first 128 bytes ----
  LazyFlags flags;                              // the arithmetic flags; s.rflags holds the others
  FetchGeneration* fetch_generation = nullptr;  // of the current privilege's fetch table
  u32 return_top = 0;                           // the newest of `returns`
  u32 page_number = 0;                          // of the physical page that instructions are fetched from
  const u16* rest_of_row = nullptr;             // of a row that goes on op by op (cpu/joined_ops.h): its parts, and 0

  // ---- operands (the offsets of what addresses are made of fit 8 bits, all others 16) ----
  u64 page_base = 0;        // linear address of the page instructions are fetched from
  u64 zero = 0;             // base or index of an address without one
  u64 scratch_address = 0;  // an address computed by an earlier op of the same instruction
  u64 scratch = 0;
  CpuState s;  // guest state, general registers first
  Xmm scratch_xmm;
  u64 discard = 0;  // destination of a result nobody reads

  // ---- the inline path of loads and stores ----
  FastEntry* fast = nullptr;                    // of the current data mode
  const FastFetchEntry* fetch_tlb = nullptr;    // of the current privilege
  u64 user = 0;                                 // 1 at CPL 3, else 0
  alignas(16) std::array<u8, 16> slow_value{};  // what a slow load read

  // ---- the current run ----
  u64 limit = 0;  // s.instructions at which it ends
  Leave leave = Leave::kJump;
  bool alone = false;                // the current block is one instruction that may touch devices and code
  bool touched_board = false;        // it did
  bool delivered_itself = false;     // the current instruction delivered an interrupt itself (INT n, INT3, INTO, INT1)
  bool stepped_by_new_flag = false;  // TF as the current instruction leaves it decides on a trap (SYSCALL, SYSRET)
  bool interrupts_wanted = false;    // an interrupt is pending or traps are: handlers that open IF leave
  DataMode data_mode = DataMode::kSupervisorOverUser;
  PagingRegisters paging_registers;  // what the MMU was told last
  u32 mode = 0;                      // mode key (cpu/mode.h)
  WantedLink link;                   // of who jumped: it is to lead to the next block
  u64 instruction_rip = 0;           // in a system instruction: its own address (s.rip is the next one's)
  u32 saved_host_mxcsr = 0x1F80;     // the host's own, while the guest's mode is loaded (cpu/sse/host_fp.h)
  bool stack_operand = false;        // its memory operand is relative to SS
  PendingFault fault;
  const char* stop_message = nullptr;

  /// The calls that have not returned, the newest at return_top. Only advice: RET asks whether what they note is
  /// where it goes (cpu/integer/jump_handlers.h).
  std::array<TransferData*, kReturnDepth> returns{};
  TransferData no_return;  // for a return without a call

  ZeroedArray<u32> jump_cache{kJumpCacheEntries};
  bool jump_cache_used = false;
  const u8* code_arena = nullptr;  // code->arena().begin()

  Mmu& mmu;
  CpuPort& port;
  std::unique_ptr<CodeCache> code;

  Cpu(Mmu& mmu, CpuPort& port);
  ~Cpu();
  Cpu(const Cpu&) = delete;
  Cpu& operator=(const Cpu&) = delete;

  /// Retires at most `max_instructions` (at least 1 is needed to make progress) and says why it came back.
  RunExit run(u64 max_instructions);
  /// Replaces the architectural state (reset, restore). The TLB is the MMU's and is set there.
  void set_state(const CpuState& state);
  /// The level of INTR from the interrupt controller. To be called between runs or from a CpuPort call.
  void set_interrupt_line(bool level);

  // ---- for instructions (cpu/system and others); each returns false so that `return cpu.raise(...)` ends them ----
  bool raise(u8 vector, u32 error_code = 0);
  bool raise_page_fault(u64 linear, u32 error_code);
  bool raise_non_canonical();
  bool unsupported(const char* message);

  /// Accesses of system code: any size up to 16 bytes, slow but complete; `privilege` kSupervisor for implicit accesses
  /// (descriptor tables, TSS, stack of a more privileged level). False with `fault` set.
  bool read_linear(u64 linear, void* bytes, unsigned size, Privilege privilege = Privilege::kCurrent);
  bool write_linear(u64 linear, const void* bytes, unsigned size, Privilege privilege = Privilege::kCurrent);
  /// Would a write of `size` bytes succeed? Sets A and D as the write would.
  bool probe_write(u64 linear, unsigned size, Privilege privilege = Privilege::kCurrent);

  /// False with #AC raised when alignment checks are on and the operand is not aligned (a power of two, in bytes).
  bool check_alignment(u64 linear, u64 alignment);

  /// RFLAGS as a whole, and back. In a system instruction s.rflags may be used directly: it is complete there.
  u64 rflags() const { return (s.rflags & ~rflags::kArithmetic) | flags.value(); }
  void set_rflags(u64 value) {
    s.rflags = (value & ~rflags::kArithmetic) | rflags::kFixed;
    flags.set(value);
  }

  /// Recomputes everything that is derived from CR0, CR3, CR4, EFER, CS, SS, CPL and RFLAGS.AC. Call after any of them
  /// changes. Does not flush the TLB.
  void update_mode();
  /// The part of update_mode() that depends on control registers alone.
  void update_paging();
  /// The next fetch translates anew. Call when CPL changes or translations are flushed.
  void forget_fetch_page() { s.fetch_linear = 1; }
  void flush_tlb_all();
  void flush_tlb_non_global();
  void flush_tlb_page(u64 linear);
  /// Forgets where indirect jumps and returns went. Call when blocks of another mode are next or blocks are gone.
  void flush_jump_cache();

  bool long_mode() const { return (s.msr.efer & (u64{1} << 10)) != 0; }
  bool code64() const;
  bool is_canonical(u64 linear) const { return static_cast<u64>(static_cast<i64>(linear << 16) >> 16) == linear; }
};

template <class T>
BHVM_INLINE T& operand(Cpu& cpu, u16 offset) {
  return *reinterpret_cast<T*>(reinterpret_cast<char*>(&cpu) + offset);
}

}  // namespace bhvm
