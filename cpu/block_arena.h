// BlockArena: the memory of decoded blocks.
//
// Blocks are laid one behind the other, into two halves in turn. When both are full the older one is emptied and filled
// anew: a guest whose code does not fit as a whole loses what it came to first, and keeps the rest.
#pragma once

#include <array>
#include <cstdlib>
#include <memory>

#include "base/types.h"
#include "base/zeroed_array.h"
#include "cpu/op.h"

namespace bhvm {

class BlockArena {
 public:
  static constexpr u64 kBytes = u64{40} << 20;

  /// What is gone.
  struct Range {
    const u8* begin;
    const u8* end;
    bool contains(const Block* block) const {
      const u8* const at = reinterpret_cast<const u8*>(block);
      return at >= begin && at < end;
    }
  };

  BlockArena();

  /// The place of a block is its distance in bytes from here; at place 0 is a block that nothing leads to.
  const u8* begin() const { return memory_.get(); }
  u32 place_of(const Block* block) const {
    return static_cast<u32>(reinterpret_cast<const u8*>(block) - memory_.get());
  }
  /// nullptr for place 0.
  Block* at(u32 place) { return place == 0 ? nullptr : reinterpret_cast<Block*>(memory_.get() + place); }

  /// Is there room in this half for a block of `slots` slots?
  bool fits(std::size_t slots) const;
  /// A new block, without what follows its header. REQUIRES: fits(slots).
  Block* allocate(std::size_t slots);
  /// Gives back what the newest block does not take of that many slots.
  void trim(const Block& block) { ends_[current_] = place_of(&block) + size_of(block.slots); }
  /// The block that this op is in.
  const Block* block_of(const Op* op) const;
  /// Goes on in the other half; the blocks there are no more. Empty where there were none.
  Range empty_older_half();
  /// Empties both halves.
  void empty();

  /// Calls visit(block) for each block, dead ones too, the oldest first.
  template <class Visit>
  void for_each_block(Visit visit) {
    for (const unsigned half : {1 - current_, current_}) {
      for (u64 place = begin_of(half); place < ends_[half];) {
        Block& block = *reinterpret_cast<Block*>(memory_.get() + place);
        place += size_of(block.slots);
        visit(block);
      }
    }
  }

 private:
  static u64 begin_of(unsigned half) { return half == 0 ? sizeof(Block) : kBytes / 2; }
  static constexpr u64 kAlignment = Block::kSlot;
  static_assert(sizeof(Block) % kAlignment == 0);
  static constexpr u64 size_of(std::size_t slots) { return sizeof(Block) + slots * Block::kSlot; }
  void empty_half(unsigned half);

  struct Free {
    void operator()(u8* p) const { std::free(p); }
  };
  std::unique_ptr<u8, Free> memory_;
  ZeroedArray<u64> starts_;  // a bit for each kAlignment bytes: a block begins there
  std::array<u64, 2> ends_;  // the place behind the last block of each half
  unsigned current_ = 0;
};

}  // namespace bhvm
