#include "cpu/block_arena.h"

#include <sys/mman.h>

#include <new>

#include "base/check.h"
#include "cpu/control.h"

namespace bhvm {
namespace {

/// Code is read at random: huge host pages save the host's own page walks.
u8* allocate_memory(u64 size) {
  constexpr std::size_t kHugePage = std::size_t{2} << 20;
  u8* const memory = static_cast<u8*>(std::aligned_alloc(kHugePage, size));
  BHVM_CHECK(memory != nullptr, "the host has no memory left for decoded code");
  madvise(memory, size, MADV_HUGEPAGE);
  return memory;
}

}  // namespace

BlockArena::BlockArena() : memory_(allocate_memory(kBytes)) { empty(); }

bool BlockArena::fits(std::size_t slots) const {
  return ends_[current_] + size_of(slots) <= (current_ + 1) * kBytes / 2;
}

Block* BlockArena::allocate(std::size_t slots) {
  // Not before: a fork that never runs costs no memory.
  if (ends_[current_] == begin_of(0)) new (memory_.get()) Block(unlinked_block);
  Block* const block = new (memory_.get() + ends_[current_]) Block;
  ends_[current_] += size_of(slots);
  block->slots = static_cast<u8>(slots);
  BHVM_CHECK(block->slots == slots, "a block has more ops than any instructions make");
  return block;
}

BlockArena::Range BlockArena::empty_older_half() {
  current_ = 1 - current_;
  const Range gone = {memory_.get() + begin_of(current_), memory_.get() + ends_[current_]};
  ends_[current_] = begin_of(current_);
  return gone;
}

void BlockArena::empty() {
  for (unsigned half = 0; half < 2; ++half) ends_[half] = begin_of(half);
  current_ = 0;
}

}  // namespace bhvm
