// The code cache: guest instructions, decoded once.
//
// A block is found by the physical address of its first byte and the mode key. Blocks and their ops live in an arena of
// which the older half is emptied when it is full (cpu/block_arena.h); ops that lead there are told. A store into
// decoded bytes kills the blocks over them: a dead block is not found any more and its first op leaves the dispatch, so
// whoever still points at it (a link, the jump cache) need not be told. The memory of dead blocks comes back when their
// half of the arena is emptied.
//
// The cache is invisible: what is in it, and since when, changes nothing but speed.
#pragma once

#include <Zydis/Zydis.h>

#include <array>
#include <vector>

#include "base/types.h"
#include "base/zeroed_array.h"
#include "cpu/block_arena.h"
#include "cpu/block_builder.h"
#include "cpu/decoded_shapes.h"
#include "cpu/op.h"
#include "cpu/small_ops.h"
#include "softmmu/guest_memory.h"
#include "softmmu/mmu.h"

namespace bhvm {

/// What an unlinked jump points to: never fits a budget, is on no page.
extern const Block unlinked_block;

/// The budget of one dispatch, below the count of `unlinked_block`. What is left when it is spent goes on at once.
inline constexpr i64 kMostAtOnce = 0xF000;

struct CodeCacheStatistics {
  u64 blocks_built = 0;
  u64 blocks_killed = 0;
  u64 flushes = 0;  // times that blocks were thrown away
};

class CodeCache final : public MemoryObserver {
 public:
  static constexpr unsigned kMaxInstructions = 20;

  /// REQUIRES: `mmu` outlives it.
  explicit CodeCache(Mmu& mmu);
  ~CodeCache();

  /// The block that starts at `address` under `mode`, decoded now if need be. `second_page` is the physical page that
  /// follows in linear space, if the caller knows it: without it an instruction that runs over the page's end makes
  /// needs_second_page() true and the result nullptr.
  const Block* block_at(PhysicalAddress address, u32 mode, const PhysicalAddress* second_page);
  /// The same, if it is there already.
  const Block* find(PhysicalAddress address, u32 mode) {
    return find(address.page().value, static_cast<u16>(address.page_offset()), mode);
  }
  /// Has the host fetch what find() looks at first.
  void prefetch(PhysicalAddress address, u32 mode) const {
    __builtin_prefetch(&buckets_[bucket_index(address.page().value, static_cast<u16>(address.page_offset()), mode)]);
  }
  const BlockArena& arena() const { return arena_; }
  bool needs_second_page() const { return needs_second_page_; }
  /// Does the second page hold the bytes that a straddling block was decoded from?
  bool holds_end_of(const Block* block, PhysicalAddress second_page) const;
  /// The same; if so, a store into these bytes makes a new number for all fetch tables (FetchGeneration).
  bool watch_end_of(const Block* block, PhysicalAddress second_page);
  /// The same as holds_end_of(); if not, the block is killed.
  bool revalidate(const Block* block, PhysicalAddress second_page);

  /// The number of times that blocks were thrown away. Whoever points to a block must forget it when that moves, but
  /// for the blocks' own ops.
  u64 generation() const { return statistics_.flushes; }
  /// Throws all away.
  void flush();
  const CodeCacheStatistics& statistics() const { return statistics_; }

  // MemoryObserver: only code_written() concerns the cache.
  void drop_host_pointers(PhysicalAddress) override {}
  void drop_all_host_pointers() override {}
  void code_written(PhysicalAddress address, u64 size) override;

 private:
  /// Blocks are found by hash: a bucket is the place of its first block.
  static constexpr unsigned kBuckets = 1 << 18;
  static u64 bucket_index(u64 page, u16 start, u32 mode) {
    return (((page >> kPageShift) * 0x9E3779B1) ^ start ^ (mode << 5)) & (kBuckets - 1);
  }
  u32& bucket_of(u64 page, u16 start, u32 mode) { return buckets_[bucket_index(page, start, mode)]; }
  u32& bucket_of(const Block* block) { return bucket_of(block->page().value, block->start, block->mode); }
  std::size_t page_index(PhysicalAddress page) const;
  Block* find(u64 page, u16 start, u32 mode);
  Block* build(PhysicalAddress address, u32 mode, const PhysicalAddress* second_page);
  Decoded decode(std::span<const u8> bytes, const InstructionShape& shape, u16 page_offset, u32 mode,
                 Instruction*& insn);
  Decoded decode_joined(const u8* first, std::size_t first_size, PhysicalAddress second_page, u16 page_offset, u32 mode,
                        Instruction*& insn);
  void translate(const Instruction& insn, bool straddles);
  Block* commit(PhysicalAddress page, u32 mode, u16 start, u16 end, u8 second_size);
  void enter(Block& block);
  void remove(Block* block);
  Block* allocate(std::size_t slots);
  void throw_older_half_away();
  void kill(Block* block);

  Mmu& mmu_;
  GuestMemory& memory_;
  DecodedShapes* decoder_ = nullptr;  // of the thread that builds a block, while it does
  BlockBuilder builder_;
  std::array<OpKind, BlockBuilder::kMostOps> kinds_;  // what its ops become
  ZeroedArray<u32> buckets_;
  ZeroedArray<u32> pages_;     // the place of the first block of each RAM page
  ZeroedArray<bool> watched_;  // is the end of a straddling block watched there?
  std::vector<PhysicalAddress> pages_in_use_;
  BlockArena arena_;
  bool needs_second_page_ = false;
  CodeCacheStatistics statistics_;
};

}  // namespace bhvm
