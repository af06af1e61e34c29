#include "cpu/block_arena.h"

#include <gtest/gtest.h>

#include <vector>

namespace bhvm::test {
namespace {

constexpr std::size_t kSlots = 200;

/// Fills what is left of a half.
std::vector<Block*> fill(BlockArena& arena) {
  std::vector<Block*> blocks;
  while (arena.fits(kSlots)) blocks.push_back(arena.allocate(kSlots));
  return blocks;
}

std::vector<Block*> all(BlockArena& arena) {
  std::vector<Block*> blocks;
  arena.for_each_block([&](Block& block) { blocks.push_back(&block); });
  return blocks;
}

TEST(BlockArena, HoldsAsManyBlocksAsFitBothHalves) {
  BlockArena arena;
  const std::vector<Block*> first = fill(arena);
  const BlockArena::Range nothing = arena.empty_older_half();
  EXPECT_EQ(nothing.begin, nothing.end);
  const std::vector<Block*> second = fill(arena);
  constexpr std::size_t kSize = sizeof(Block) + kSlots * Block::kSlot;
  EXPECT_EQ(first.size(), (BlockArena::kBytes / 2 - sizeof(Block)) / kSize);
  EXPECT_EQ(second.size(), BlockArena::kBytes / 2 / kSize);
  std::vector<Block*> both = first;
  both.insert(both.end(), second.begin(), second.end());
  EXPECT_EQ(all(arena), both);  // the oldest first
}

TEST(BlockArena, EmptiesTheOlderHalf) {
  BlockArena arena;
  const std::vector<Block*> first = fill(arena);
  arena.empty_older_half();
  const std::vector<Block*> second = fill(arena);
  const BlockArena::Range gone = arena.empty_older_half();
  for (const Block* block : first) EXPECT_TRUE(gone.contains(block));
  for (const Block* block : second) EXPECT_FALSE(gone.contains(block));
  EXPECT_EQ(all(arena), second);
  Block* const third = arena.allocate(1);
  EXPECT_EQ(third, first.front());
  EXPECT_EQ(all(arena).front(), second.front());
  EXPECT_EQ(all(arena).back(), third);
}

TEST(BlockArena, ABlockIsFoundByItsOps) {
  BlockArena arena;
  const std::vector<Block*> first = fill(arena);
  arena.empty_older_half();
  const std::vector<Block*> second = fill(arena);
  const auto expect_found = [&](const std::vector<Block*>& blocks) {
    for (const Block* block : blocks) {
      for (const std::size_t slot : {std::size_t{0}, kSlots / 2, kSlots - 1}) {
        ASSERT_EQ(arena.block_of(reinterpret_cast<const Op*>(block->at_slot(slot))), block);
      }
    }
  };
  expect_found(first);
  expect_found(second);
  arena.empty_older_half();
  expect_found({arena.allocate(2 * kSlots)});  // over where others began
}

TEST(BlockArena, WhatABlockDoesNotTakeIsGivenBack) {
  BlockArena arena;
  Block* const block = arena.allocate(100);
  block->slots = 10;
  arena.trim(*block);
  EXPECT_EQ(reinterpret_cast<u8*>(arena.allocate(1)), block->at_slot(10));
}

TEST(BlockArena, PlacesAreOfBlocksAndNoneIsZero) {
  BlockArena arena;
  Block* const block = arena.allocate(3);
  EXPECT_NE(arena.place_of(block), 0u);
  EXPECT_EQ(arena.at(arena.place_of(block)), block);
  EXPECT_EQ(arena.at(0), nullptr);
  arena.empty();
  EXPECT_TRUE(all(arena).empty());
  EXPECT_EQ(arena.allocate(3), block);
}

}  // namespace
}  // namespace bhvm::test
