#include "cpu/block_arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
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

BlockArena::BlockArena()
    : memory_(allocate_memory(kBytes)), starts_(kBytes / kAlignment / 64), ends_{begin_of(0), begin_of(1)} {}

bool BlockArena::fits(std::size_t slots) const {
  return ends_[current_] + size_of(slots) <= (current_ + 1) * kBytes / 2;
}

Block* BlockArena::allocate(std::size_t slots) {
  // Not before: a fork that never runs costs no memory.
  if (ends_[current_] == begin_of(0)) new (memory_.get()) Block(unlinked_block);
  const u64 place = ends_[current_];
  Block* const block = new (memory_.get() + place) Block;
  starts_[place / kAlignment / 64] |= u64{1} << (place / kAlignment % 64);
  ends_[current_] += size_of(slots);
  block->slots = static_cast<u16>(slots);
  return block;
}

const Block* BlockArena::block_of(const Op* op) const {
  const u64 slot = static_cast<u64>(reinterpret_cast<const u8*>(op) - memory_.get()) / kAlignment;
  u64 word = slot / 64;
  u64 starts = starts_[word] & (~u64{0} >> (63 - slot % 64));
  while (starts == 0) starts = starts_[--word];
  const u64 start = word * 64 + 63 - static_cast<unsigned>(std::countl_zero(starts));
  return reinterpret_cast<const Block*>(memory_.get() + start * kAlignment);
}

void BlockArena::empty_half(unsigned half) {
  const u64 first = begin_of(half) / kAlignment / 64;
  const u64 behind = (ends_[half] / kAlignment + 63) / 64;
  std::fill(starts_.data() + first, starts_.data() + behind, u64{0});
  ends_[half] = begin_of(half);
}

BlockArena::Range BlockArena::empty_older_half() {
  current_ = 1 - current_;
  const Range gone = {memory_.get() + begin_of(current_), memory_.get() + ends_[current_]};
  empty_half(current_);
  return gone;
}

void BlockArena::empty() {
  for (unsigned half = 0; half < 2; ++half) empty_half(half);
  current_ = 0;
}

}  // namespace bhvm
