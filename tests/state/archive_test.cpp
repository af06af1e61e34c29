#include "state/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/random_stream.h"
#include "state/diff.h"
#include "state/hash_state.h"
#include "state/schema.h"
#include "tests/state/sample_state.h"

namespace bhvm {
namespace {

using sample::State;
using testing::ElementsAre;

template <class S>
std::vector<u8> saved(const S& state) {
  Writer writer;
  save(writer, state);
  return writer.take();
}

struct Small {
  u16 word = 0x1234;
  bool flag = true;
  sample::Mode mode = sample::Mode::kPeriodic;
  i32 negative = -2;
  std::vector<u16> list{0x0506};
};

TEST(Archive, WritesFieldsInOrderLittleEndianWithoutPadding) {
  EXPECT_THAT(saved(Small{}),
              ElementsAre(0x34, 0x12, 1, 1, 0xfe, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0x06, 0x05));
}

TEST(Archive, LoadsWhatItSaved) {
  const State state = sample::filled();
  const std::vector<u8> bytes = saved(state);
  Reader reader(bytes);
  State loaded;
  loaded.fifo = {1, 2, 3, 4, 5};  // must be replaced, not kept
  ASSERT_TRUE(load(reader, loaded));
  EXPECT_TRUE(reader.finished());
  std::vector<FieldDifference> differences;
  diff(state, loaded, differences);
  EXPECT_TRUE(differences.empty());
  EXPECT_EQ(saved(loaded), bytes);
}

TEST(Archive, BulkFormIsTheElementwiseForm) {
  static_assert(state_shape::saves_in_bulk<sample::Pair>());
  static_assert(!state_shape::saves_in_bulk<sample::Timer>());  // padded
  static_assert(!state_shape::loads_in_bulk<std::array<bool, 4>>());
  const std::array<sample::Pair, 2> pairs{{{0x0102, 3}, {4, 5}}};
  Writer writer;
  for (const sample::Pair& pair : pairs) {
    writer.put(pair.tag);
    writer.put(pair.frame);
  }
  EXPECT_EQ(saved(pairs), writer.bytes());
}

struct Plain {
  u8 before = 1;
  std::array<sample::Pair, 3> pairs{};
  std::array<sample::Timer, 2> timers{};
};

struct Boxed {
  u8 before = 1;
  BoxedArray<sample::Pair, 3> pairs;
  BoxedArray<sample::Timer, 2> timers;
};

TEST(Archive, ABoxedArrayIsSavedAsAnArray) {
  static_assert(!state_shape::saves_in_bulk<Boxed>(), "its memory is elsewhere");
  static_assert(!state_shape::loads_in_bulk<BoxedArray<sample::Pair, 3>>());
  static_assert(state_shape::saved_size_min<Boxed>() == state_shape::saved_size_min<Plain>());
  EXPECT_EQ(schema<Boxed>(), schema<Plain>());
  Plain plain;
  plain.pairs[2] = {5, 6};
  plain.timers[1] = {7, sample::Mode::kPeriodic, true};
  const std::vector<u8> bytes = saved(plain);
  Reader reader(bytes);
  Boxed boxed;
  ASSERT_TRUE(load(reader, boxed));
  EXPECT_EQ(boxed.pairs[2].frame, 6u);
  EXPECT_EQ(boxed.timers[1].count, 7u);
  EXPECT_EQ(saved(boxed), bytes);
  EXPECT_EQ(hash_state(boxed), hash_state(plain));
  Reader shorter{std::span(bytes).first(bytes.size() - 1)};
  EXPECT_FALSE(load(shorter, boxed));
}

TEST(Archive, EveryTruncationFails) {
  const std::vector<u8> bytes = saved(sample::filled());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    Reader reader(std::span<const u8>(bytes).first(size));
    State state;
    EXPECT_FALSE(load(reader, state)) << size;
    EXPECT_TRUE(reader.failed());
    EXPECT_EQ(reader.get<u64>(), 0u);
  }
}

TEST(Archive, BytesLeftOverAreSeen) {
  std::vector<u8> bytes = saved(sample::filled());
  bytes.push_back(0);
  Reader reader(bytes);
  State state;
  EXPECT_TRUE(load(reader, state));
  EXPECT_FALSE(reader.finished());
}

TEST(Archive, ABoolIsZeroOrOne) {
  const std::array<u8, 2> bytes{1, 2};
  Reader reader(bytes);
  std::array<bool, 2> flags{};
  EXPECT_FALSE(load(reader, flags));
}

TEST(Archive, AVectorsLengthIsCheckedBeforeMemoryIsTaken) {
  for (const u64 length : {u64{3}, u64{1} << 40, u64{1} << 63, ~u64{0}}) {
    Writer writer;
    writer.put(length);
    writer.put(u32{0});
    Reader reader(writer.bytes());
    std::vector<u16> list;
    EXPECT_FALSE(load(reader, list)) << length;
    EXPECT_EQ(list.capacity(), 0u);

    Reader nested_reader(writer.bytes());
    std::vector<std::vector<u64>> nested;
    EXPECT_FALSE(load(nested_reader, nested)) << length;
  }
}

TEST(Archive, RandomBytesNeverHarm) {
  RandomStream random(1, 0, "archive test");
  const std::vector<u8> good = saved(sample::filled());
  for (int round = 0; round < 20000; ++round) {
    std::vector<u8> bytes = good;
    for (u64 changes = random.below(4) + 1; changes > 0; --changes) {
      bytes[random.below(bytes.size())] = static_cast<u8>(random.next());
    }
    Reader reader(bytes);
    State state;
    if (load(reader, state) && reader.finished()) {
      EXPECT_EQ(saved(state), bytes);  // what loads is a saved form
    }
  }
}

}  // namespace
}  // namespace bhvm
