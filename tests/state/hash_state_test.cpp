#include "state/hash_state.h"

#include <gtest/gtest.h>

#include <cstring>
#include <new>

#include "tests/state/sample_state.h"

namespace bhvm {
namespace {

TEST(HashState, IsTheHashOfTheSavedForm) {
  const sample::State state = sample::filled();
  Writer writer;
  save(writer, state);
  EXPECT_EQ(hash_state(state), hash_bytes(writer.bytes().data(), writer.bytes().size()));

  Writer bulk;
  save(bulk, state.pairs);
  EXPECT_EQ(hash_state(state.pairs), hash_bytes(bulk.bytes().data(), bulk.bytes().size()));
}

TEST(HashState, SeesEveryField) {
  const Hash128 before = hash_state(sample::filled());
  sample::State state = sample::filled();
  state.frames[1][1] ^= 1;
  EXPECT_NE(hash_state(state), before);
  state.frames[1][1] ^= 1;
  EXPECT_EQ(hash_state(state), before);
  std::swap(state.fifo[0], state.fifo[1]);
  EXPECT_NE(hash_state(state), before);
}

TEST(HashState, PaddingDoesNotCount) {
  alignas(sample::Timer) unsigned char dirty[sizeof(sample::Timer)];
  std::memset(dirty, 0xee, sizeof(dirty));
  auto* timer = new (dirty) sample::Timer;
  EXPECT_EQ(hash_state(*timer), hash_state(sample::Timer{}));
}

}  // namespace
}  // namespace bhvm
