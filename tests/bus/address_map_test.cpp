#include "bus/address_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bhvm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

struct Call {
  u64 offset;
  unsigned size;
  u64 value;
  friend bool operator==(const Call&, const Call&) = default;
};

/// Reads as the offset of each byte; keeps what is written.
class Recorder final : public Chip {
 public:
  u64 read(u64 offset, unsigned size) override {
    reads.push_back({offset, size, 0});
    u64 value = 0;
    for (unsigned i = 0; i < size; ++i) value |= ((offset + i) & 0xff) << (8 * i);
    return value | garbage;
  }
  void write(u64 offset, unsigned size, u64 value) override { writes.push_back({offset, size, value}); }
  u64 garbage = 0;
  std::vector<Call> reads;
  std::vector<Call> writes;
};

TEST(AddressMap, GivesAChipItsOffsets) {
  AddressMap map;
  Recorder a;
  Recorder b;
  ASSERT_TRUE(map.attach(0x2000, 0x100, b, "b").ok());
  ASSERT_TRUE(map.attach(0x1000, 0x1000, a, "a").ok());  // ends where b begins
  EXPECT_EQ(map.ranges()[0].name, "a");
  EXPECT_EQ(map.read(0x1004, 4), 0x07060504u);
  map.write(0x20ff, 1, 0x1234);
  EXPECT_THAT(b.writes, ElementsAre(Call{0xff, 1, 0x34}));
  EXPECT_THAT(a.writes, IsEmpty());
}

TEST(AddressMap, TheEmptyBusReadsAsOnes) {
  AddressMap map;
  EXPECT_EQ(map.read(0, 8), ~u64{0});
  Recorder chip;
  ASSERT_TRUE(map.attach(0x1000, 0x10, chip, "chip").ok());
  EXPECT_EQ(map.read(0xfff, 1), 0xffu);
  EXPECT_EQ(map.read(0xffe, 4), 0xffffffffu);  // begins on the empty bus: belongs to nobody
  EXPECT_EQ(map.read(0x1010, 2), 0xffffu);
  map.write(0x1010, 4, 1);
  EXPECT_THAT(chip.reads, IsEmpty());
  EXPECT_THAT(chip.writes, IsEmpty());
}

TEST(AddressMap, AnAccessOverTheEndIsCut) {
  AddressMap map;
  Recorder chip;
  Recorder next;
  ASSERT_TRUE(map.attach(0x1000, 0x13, chip, "chip").ok());
  ASSERT_TRUE(map.attach(0x1013, 0x10, next, "next").ok());
  EXPECT_EQ(map.read(0x1010, 8), 0xffff'ffff'ff12'1110u);
  EXPECT_THAT(chip.reads, ElementsAre(Call{0x10, 2, 0}, Call{0x12, 1, 0}));
  map.write(0x1010, 4, 0xaabbccdd);
  EXPECT_THAT(chip.writes, ElementsAre(Call{0x10, 2, 0xccdd}, Call{0x12, 1, 0xbb}));
  EXPECT_THAT(next.reads, IsEmpty());
  EXPECT_THAT(next.writes, IsEmpty());
}

TEST(AddressMap, ValuesAreCutToTheSize) {
  AddressMap map;
  Recorder chip;
  chip.garbage = ~u64{0} << 8;
  ASSERT_TRUE(map.attach(0, 0x10, chip, "chip").ok());
  EXPECT_EQ(map.read(3, 1), 3u);
  chip.garbage = ~u64{0};
  EXPECT_EQ(map.read(0xe, 4), 0xffffffffu);
}

TEST(AddressMap, TheLastByteOfTheAddressSpaceCanBeAttached) {
  AddressMap map;
  Recorder chip;
  ASSERT_TRUE(map.attach(~u64{0} - 3, 4, chip, "top").ok());
  EXPECT_EQ(map.read(~u64{0}, 8), 0xffff'ffff'ffff'ff03u);
  EXPECT_EQ(map.read(~u64{0} - 3, 4), 0x03020100u);
}

struct Attempt {
  u64 base;
  u64 size;
  const char* reason;  // nullptr: allowed
};

class AddressMapAttach : public testing::TestWithParam<Attempt> {};

TEST_P(AddressMapAttach, RefusesOverlaps) {
  AddressMap map;
  Recorder chip;
  ASSERT_TRUE(map.attach(0x1000, 0x100, chip, "uart").ok());
  ASSERT_TRUE(map.attach(0x3000, 0x100, chip, "hpet").ok());
  const Status status = map.attach(GetParam().base, GetParam().size, chip, "new");
  EXPECT_EQ(status.ok(), GetParam().reason == nullptr);
  if (!status.ok()) {
    EXPECT_THAT(status.error().message, HasSubstr(GetParam().reason));
  }
  EXPECT_EQ(map.ranges().size(), status.ok() ? 3u : 2u);
}

INSTANTIATE_TEST_SUITE_P(Attempts, AddressMapAttach,
                         testing::Values(Attempt{0x1000, 0x100, "uart"}, Attempt{0xfff, 2, "uart"},
                                         Attempt{0x10ff, 1, "uart"}, Attempt{0x1080, 1, "uart"},
                                         Attempt{0, 0x10000, "is already at"}, Attempt{0x1100, 0x2000, "hpet"},
                                         Attempt{0x2fff, 2, "hpet"}, Attempt{0, 0, "empty"},
                                         Attempt{~u64{0}, 2, "passes the end"}, Attempt{0, 0x1000, nullptr},
                                         Attempt{0x1100, 0x1f00, nullptr}, Attempt{0x3100, ~u64{0} - 0x30ff, nullptr}));

}  // namespace
}  // namespace bhvm
