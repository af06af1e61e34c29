#include "state/diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/state/sample_state.h"

namespace bhvm {

void PrintTo(const FieldDifference& difference, std::ostream* out) {
  *out << difference.path << ": " << difference.a << " / " << difference.b;
}

namespace {

using sample::State;
using testing::AllOf;
using testing::ElementsAre;
using testing::Field;

auto Differs(const char* path, const char* a, const char* b) {
  return AllOf(Field(&FieldDifference::path, path), Field(&FieldDifference::a, a), Field(&FieldDifference::b, b));
}

std::vector<FieldDifference> differences(const State& a, const State& b, std::size_t maximum = 64) {
  std::vector<FieldDifference> out;
  diff(a, b, out, maximum);
  return out;
}

TEST(Diff, EqualStatesDifferNowhere) { EXPECT_THAT(differences(sample::filled(), sample::filled()), ElementsAre()); }

TEST(Diff, NamesEveryKindOfField) {
  const State a = sample::filled();
  State b = a;
  b.gpr[3] = 5;
  b.offset = 3;
  b.halted = false;
  b.mode = sample::Mode::kOneShot;
  b.timer.count = 0x80000000;
  b.timers[1].running = true;
  b.grid[1][2] = 0xff;
  b.pairs[0].frame = 0;
  b.frames[1][0] = 9;
  EXPECT_THAT(differences(a, b),
              ElementsAre(Differs("gpr[3]", "0x0000000000000004", "0x0000000000000005"),
                          Differs("offset", "0xfffe", "0x0003"), Differs("halted", "true", "false"),
                          Differs("mode", "0x01", "0x00"), Differs("timer.count", "0x00000007", "0x80000000"),
                          Differs("timers[1].running", "false", "true"), Differs("grid[1][2]", "0x06", "0xff"),
                          Differs("pairs[0].frame", "0x000000000000000b", "0x0000000000000000"),
                          Differs("frames[1][0]", "0x01", "0x09")));
}

TEST(Diff, AVectorsLengthAndCommonPart) {
  const State a = sample::filled();
  State b = a;
  b.fifo = {0xaabc};
  EXPECT_THAT(differences(a, b), ElementsAre(Differs("fifo.size()", "0x0000000000000002", "0x0000000000000001"),
                                             Differs("fifo[0]", "0xaabb", "0xaabc")));
}

TEST(Diff, StopsAtTheMaximum) {
  State b;
  b.gpr = {1, 2, 3, 4};
  EXPECT_EQ(differences({}, b, 3).size(), 3u);
  EXPECT_EQ(differences({}, b, 0).size(), 0u);
}

}  // namespace
}  // namespace bhvm
