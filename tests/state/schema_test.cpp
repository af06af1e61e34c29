#include "state/schema.h"

#include <gtest/gtest.h>

#include "tests/state/sample_state.h"

namespace bhvm {
namespace {

TEST(Schema, OneLineForEachValue) {
  EXPECT_EQ(schema<sample::State>(),
            "gpr[4]: u64\n"
            "narrow: u8\n"
            "offset: i16\n"
            "halted: bool\n"
            "mode: enum u8\n"
            "timer.count: u32\n"
            "timer.mode: enum u8\n"
            "timer.running: bool\n"
            "timers[2].count: u32\n"
            "timers[2].mode: enum u8\n"
            "timers[2].running: bool\n"
            "grid[2][3]: u8\n"
            "pairs[2].tag: u64\n"
            "pairs[2].frame: u64\n"
            "fifo[]: u16\n"
            "queue[].count: u32\n"
            "queue[].mode: enum u8\n"
            "queue[].running: bool\n"
            "frames[][]: u8\n");
}

}  // namespace
}  // namespace bhvm
