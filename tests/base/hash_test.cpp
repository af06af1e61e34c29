#include "base/hash.h"

#include <gtest/gtest.h>

namespace bhvm {
namespace {

// The published test value of XXH3-128 over nothing: the hash must be the same on every host and with every library.
TEST(Hash, IsXxh3) { EXPECT_EQ(to_string(hash_bytes(nullptr, 0)), "99aa06d3014798d86001c324468d497f"); }

TEST(Hash, DependsOnEveryArgument) {
  const Hash128 hash = hash_bytes("abc", 3);
  EXPECT_EQ(hash, hash_bytes("abc", 3));
  EXPECT_NE(hash, hash_bytes("abd", 3));
  EXPECT_NE(hash, hash_bytes("abc", 2));
  EXPECT_NE(hash, hash_bytes("abc", 3, 1));
}

TEST(Hash, SumsCarryAndAreUndoneByDifferences) {
  const Hash128 one{1, 0};
  const Hash128 low_full{~u64{0}, 0};
  EXPECT_EQ(low_full + one, (Hash128{0, 1}));
  EXPECT_EQ((Hash128{0, 1}) - one, low_full);
  EXPECT_EQ(Hash128{} - one, (Hash128{~u64{0}, ~u64{0}}));
  const Hash128 a = hash_bytes("a", 1);
  const Hash128 b = hash_bytes("b", 1);
  EXPECT_EQ(a + b, b + a);
  EXPECT_EQ(a + b - b, a);
  EXPECT_EQ(a - b + b, a);
}

TEST(Hash, TextHasTheHighHalfFirst) { EXPECT_EQ(to_string({0xa, 1}), "0000000000000001000000000000000a"); }

}  // namespace
}  // namespace bhvm
