#include "devices/hpet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/devices/bench_board.h"

namespace bhvm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr u64 kCapabilities = 0x000;
constexpr u64 kConfiguration = 0x010;
constexpr u64 kStatus = 0x020;
constexpr u64 kCounter = 0x0F0;
constexpr u64 conf(u32 n) { return 0x100 + 0x20 * n; }
constexpr u64 comparator(u32 n) { return 0x108 + 0x20 * n; }

constexpr u64 kLevel = 0x2;
constexpr u64 kInterrupts = 0x4;
constexpr u64 kPeriodic = 0x8;
constexpr u64 kValueSet = 0x40;
constexpr u64 k32Bit = 0x100;
constexpr u64 route(u64 input) { return input << 9; }

class HpetTest : public testing::Test {
 protected:
  HpetWiring wiring() {
    HpetWiring w;
    w.legacy_timer0 = board.lines.line(2);
    w.legacy_timer1 = board.lines.line(8);
    w.route_capability = 1 << 13 | 1 << 21;
    w.routes[13] = board.lines.line(13);
    w.routes[21] = board.lines.line(21);
    return w;
  }
  u64 get(u64 offset) { return hpet.read(offset, 8); }
  void set(u64 offset, u64 value) { hpet.write(offset, 8, value); }

  BenchBoard board;
  Hpet hpet{board.events(), wiring()};
};

TEST_F(HpetTest, Capabilities) {
  EXPECT_EQ(get(kCapabilities), 0x009896808086A201u);
  EXPECT_EQ(get(conf(0)), 0x0020200000000030u);
  EXPECT_EQ(get(conf(1)), 0x0020200000000020u);
  EXPECT_EQ(get(comparator(2)), ~u64{0});
  EXPECT_EQ(get(conf(3)), 0u);
  set(kCapabilities, 0);
  EXPECT_EQ(get(kCapabilities), 0x009896808086A201u);
  set(conf(1), ~u64{0});  // cannot be periodic; input 31 is not offered
  EXPECT_EQ(get(conf(1)), 0x0020200000000126u);
  set(conf(0), kPeriodic | kValueSet | route(13));
  EXPECT_EQ(get(conf(0)), 0x0020200000001A38u);  // VAL_SET reads as zero
}

TEST_F(HpetTest, TheCounterRunsWhileEnabled) {
  set(kCounter, 1000);
  board.clock.idle_until(500);
  EXPECT_EQ(get(kCounter), 1000u);
  set(kConfiguration, 1);
  board.clock.idle_until(519);
  EXPECT_EQ(get(kCounter), 1001u);
  set(kConfiguration, 3);  // does not disturb the phase
  board.clock.idle_until(520);
  EXPECT_EQ(get(kCounter), 1002u);
  set(kCounter, 7);  // ignored while it runs
  board.clock.idle_until(700);
  EXPECT_EQ(get(kCounter), 1020u);
  set(kConfiguration, 0);
  board.clock.idle_until(900);
  EXPECT_EQ(get(kCounter), 1020u);
}

TEST_F(HpetTest, OddAccesses) {
  EXPECT_EQ(hpet.read(4, 4), 0x00989680u);
  EXPECT_EQ(hpet.read(2, 2), 0x8086u);
  EXPECT_EQ(hpet.read(6, 8), 0x0098u);
  hpet.write(kCounter, 4, 0x11111111);
  hpet.write(kCounter + 4, 4, 0x22222222);
  EXPECT_EQ(get(kCounter), 0x2222222211111111u);
  hpet.write(kCounter, 1, 0);
  hpet.write(kCounter + 2, 4, 0);
  hpet.write(kCounter + 4, 8, 0);
  EXPECT_EQ(get(kCounter), 0x2222222211111111u);
  EXPECT_EQ(hpet.read(0x3FF, 8), 0u);
}

TEST_F(HpetTest, AnEdgeTriggeredTimerFiresOnceAtItsMatch) {
  set(conf(1), kInterrupts | route(13));
  set(comparator(1), 100);
  board.clock.idle_until(3);
  set(kConfiguration, 1);
  board.advance_to(1002, hpet);
  EXPECT_FALSE(board.lines.level(13));
  board.advance_to(10'000, hpet);
  EXPECT_THAT(board.lines.take_rises(13), ElementsAre(1003));
  EXPECT_FALSE(board.lines.level(13));
  EXPECT_EQ(get(kStatus), 0u);
  EXPECT_EQ(board.queue.next_time_ns(), EventQueue::kNever);
  set(comparator(1), get(kCounter));  // now
  EXPECT_THAT(board.lines.take_rises(13), ElementsAre(10'000));
  set(comparator(1), get(kCounter) - 1);  // passed: when the counter has gone round
  EXPECT_EQ(board.queue.next_time_ns(), EventQueue::kNever);
}

TEST_F(HpetTest, A32BitTimerComesRound) {
  set(conf(2), kInterrupts | k32Bit | route(21));
  set(comparator(2), 0x7700000064);
  EXPECT_EQ(get(comparator(2)), 100u);
  set(kConfiguration, 1);
  board.advance_to(90'000'000'000, hpet);
  EXPECT_THAT(board.lines.take_rises(21), ElementsAre(1000, 1000 + 42'949'672'960, 1000 + 2 * 42'949'672'960));
}

TEST_F(HpetTest, ALevelTriggeredTimerHoldsItsLineUntilItsStatusIsCleared) {
  set(conf(1), kInterrupts | kLevel | route(13));
  set(comparator(1), 50);
  set(kConfiguration, 1);
  board.advance_to(600, hpet);
  EXPECT_THAT(board.lines.take_rises(13), ElementsAre(500));
  EXPECT_TRUE(board.lines.level(13));
  EXPECT_EQ(get(kStatus), 2u);
  set(conf(1), kInterrupts | kLevel | route(21));  // the line moves
  EXPECT_FALSE(board.lines.level(13));
  EXPECT_TRUE(board.lines.level(21));
  set(kStatus, 5);
  EXPECT_TRUE(board.lines.level(21));
  set(kStatus, 2);
  EXPECT_FALSE(board.lines.level(21));
}

TEST_F(HpetTest, StatusIsKeptWithoutInterruptsAndWithoutEvents) {
  set(conf(1), kLevel | route(13));
  set(comparator(1), 50);
  set(kConfiguration, 1);
  EXPECT_EQ(board.queue.next_time_ns(), EventQueue::kNever);
  board.clock.idle_until(499);
  EXPECT_EQ(get(kStatus), 0u);
  board.clock.idle_until(500);
  EXPECT_EQ(get(kStatus), 2u);
  EXPECT_FALSE(board.lines.level(13));
  set(conf(1), kInterrupts | kLevel | route(13));
  EXPECT_TRUE(board.lines.level(13));
}

TEST_F(HpetTest, PeriodicByTheSpecificationsRecipe) {
  set(conf(0), kInterrupts | kPeriodic | kValueSet | route(13));
  set(comparator(0), 100);
  set(comparator(0), 30);  // without VAL_SET: the period
  EXPECT_EQ(get(comparator(0)), 100u);
  set(kConfiguration, 1);
  board.advance_to(1700, hpet);
  EXPECT_THAT(board.lines.take_rises(13), ElementsAre(1000, 1300, 1600));
  EXPECT_EQ(get(comparator(0)), 190u);
  set(conf(0), kPeriodic | route(13));  // no interrupts: no events, the comparator still goes on
  EXPECT_EQ(board.queue.next_time_ns(), EventQueue::kNever);
  board.clock.idle_until(5000);
  EXPECT_EQ(get(comparator(0)), 520u);
  set(conf(0), kInterrupts | kPeriodic | route(13));
  EXPECT_EQ(board.queue.next_time_ns(), 5200u);
}

TEST_F(HpetTest, TheLegacyRouteReplacesTheRtc) {
  const Line rtc(hpet, Hpet::kRtcInput);
  rtc.set(true);
  EXPECT_TRUE(board.lines.level(8));
  set(kConfiguration, 3);
  EXPECT_FALSE(board.lines.level(8));
  set(conf(0), kInterrupts | route(13));
  set(conf(1), kInterrupts | kLevel | route(13));
  set(comparator(0), 10);
  set(comparator(1), 20);
  board.advance_to(1000, hpet);
  EXPECT_THAT(board.lines.take_rises(2), ElementsAre(100));
  EXPECT_TRUE(board.lines.level(8));
  EXPECT_THAT(board.lines.take_rises(13), IsEmpty());
  set(kStatus, 2);
  EXPECT_FALSE(board.lines.level(8));
  set(kConfiguration, 1);
  EXPECT_TRUE(board.lines.level(8));
  rtc.set(false);
  EXPECT_FALSE(board.lines.level(8));
}

TEST_F(HpetTest, HaltingSilencesTheTimers) {
  set(conf(1), kInterrupts | kLevel | route(13));
  set(comparator(1), 50);
  set(kConfiguration, 1);
  board.advance_to(600, hpet);
  EXPECT_TRUE(board.lines.level(13));
  set(kConfiguration, 0);
  EXPECT_FALSE(board.lines.level(13));
  EXPECT_EQ(board.queue.next_time_ns(), EventQueue::kNever);
}

}  // namespace
}  // namespace bhvm
