#include "base/boxed_array.h"

#include <gtest/gtest.h>

#include <numeric>
#include <utility>

#include "base/types.h"

namespace bhvm {
namespace {

using Table = BoxedArray<u64, 1000>;

TEST(BoxedArray, StartsAsZeroAndHasTheSizeOfAPointer) {
  const Table table;
  EXPECT_EQ(std::accumulate(table.begin(), table.end(), u64{0}), 0u);
  EXPECT_EQ(table.size(), 1000u);
  static_assert(std::tuple_size_v<Table> == 1000);
  static_assert(sizeof(Table) == sizeof(void*));
}

TEST(BoxedArray, CopiesAreApart) {
  Table table;
  table[999] = 7;
  Table copy = table;
  table[999] = 8;
  EXPECT_EQ(copy[999], 7u);
  const u64* place = copy.data();
  copy = table;
  EXPECT_EQ(copy[999], 8u);
  EXPECT_EQ(copy.data(), place) << "assigning takes no new memory";
  table[999] = 9;
  EXPECT_EQ(copy[999], 8u);
}

TEST(BoxedArray, OneThatWasMovedFromCanBeAssignedTo) {
  Table table;
  table[0] = 1;
  const Table taken = std::move(table);
  EXPECT_EQ(taken[0], 1u);
  table = taken;
  table[0] = 2;
  EXPECT_EQ(taken[0], 1u);
  EXPECT_EQ(table[0], 2u);
}

}  // namespace
}  // namespace bhvm
