#include "oracle/compare/fields.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

namespace bhvm::oracle {
namespace {

Pristine zeros{};

std::vector<Difference> compare(const Outcome& a, const Outcome& b) {
  std::vector<Difference> differences;
  compare_outcomes(a, b, zeros, differences);
  return differences;
}

TEST(Fields, EqualOutcomesDoNotDiffer) { EXPECT_TRUE(compare(Outcome{}, Outcome{}).empty()); }

TEST(Fields, EveryByteThatMattersIsSeen) {
  // Flipping any byte of an outcome shows, but for padding and what FXSAVE leaves to software.
  const Outcome before{};
  const std::size_t changes = offsetof(Outcome, changes);
  for (std::size_t at = 0; at < changes; ++at) {
    Outcome after = before;
    reinterpret_cast<u8*>(&after)[at] ^= 0x01;
    const bool padding = at >= offsetof(Outcome, reserved) && at < offsetof(Outcome, fx);
    const std::size_t fx = at - offsetof(Outcome, fx);
    const bool in_fx = at >= offsetof(Outcome, fx) && fx < sizeof(Outcome::fx);
    const bool unused_fx = in_fx && (fx == 5 || fx >= 416 || (fx >= 32 && fx < 160 && fx % 16 >= 10));
    EXPECT_EQ(compare(before, after).empty(), padding || unused_fx) << "byte " << at;
  }
}

TEST(Fields, MemoryIsComparedByContentsNotByList) {
  Outcome a{}, b{};
  a.change_count = 2;
  a.changes[0] = {10, 0, 5};
  a.changes[1] = {12, 0, 6};
  a.change_hash = 1;
  b.change_count = 1;
  b.changes[0] = {12, 0, 7};
  b.change_hash = 2;
  const auto differences = compare(a, b);
  ASSERT_EQ(differences.size(), 2U);
  EXPECT_EQ(differences[0].field, Field::kMemory);
  EXPECT_EQ(differences[0].index, 10);
  EXPECT_EQ(differences[0].ours, 5U);
  EXPECT_EQ(differences[0].theirs, 0U);
  EXPECT_EQ(differences[1].index, 12);
  EXPECT_EQ(name_of(Field::kMemory, 12), "mem[0x10000060]");
}

TEST(Fields, ChangesBeyondTheListShowInTheHash) {
  Outcome a{}, b{};
  a.change_count = b.change_count = kMaxChanges + 1;
  a.change_hash = 1;
  b.change_hash = 2;
  const auto differences = compare(a, b);
  ASSERT_EQ(differences.size(), 1U);
  EXPECT_EQ(differences[0].field, Field::kMemoryHash);
}

TEST(Fields, WordsOfAnOutcomeHaveUniqueNames) {
  Outcome all;
  std::memset(&all, 0xFF, sizeof(all));
  all.change_count = 2;
  all.changes[0].qword = 1;
  all.changes[1].qword = 2;
  std::set<std::string> names;
  const std::vector<Word> words = words_of(all, zeros);
  for (const Word& word : words) names.insert(name_of(word.field, word.index));
  EXPECT_EQ(names.size(), words.size());
}

}  // namespace
}  // namespace bhvm::oracle
