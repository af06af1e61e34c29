#include "devices/cmos_rtc.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/devices/bench_board.h"

namespace bhvm {
namespace {

using testing::ElementsAre;
using R = CmosRegister;

constexpr u64 kSecond = 1'000'000'000;
constexpr u64 kEpoch = 1'700'000'000;  // Tuesday 2023-11-14 22:13:20 UTC
constexpr u32 kIrq = 8;

class CmosRtcTest : public testing::Test {
 protected:
  u8 get(R r) {
    rtc.write(0, 1, static_cast<u8>(r));
    return static_cast<u8>(rtc.read(1, 1));
  }
  void set(R r, u8 value) {
    rtc.write(0, 1, static_cast<u8>(r));
    rtc.write(1, 1, value);
  }
  std::vector<int> date() {
    std::vector<int> out;
    for (const R r :
         {R::kCentury, R::kYear, R::kMonth, R::kDayOfMonth, R::kDayOfWeek, R::kHours, R::kMinutes, R::kSeconds}) {
      out.push_back(get(r));
    }
    return out;
  }
  void set_date(u8 century, u8 year, u8 month, u8 day, u8 hours, u8 minutes, u8 seconds) {
    set(R::kCentury, century);
    set(R::kYear, year);
    set(R::kMonth, month);
    set(R::kDayOfMonth, day);
    set(R::kHours, hours);
    set(R::kMinutes, minutes);
    set(R::kSeconds, seconds);
  }

  BenchBoard board;
  CmosRtc rtc{board.events(), board.lines.line(kIrq), kEpoch};
};

TEST_F(CmosRtcTest, TheDateIsTheEpochAndWhatHasPassed) {
  EXPECT_THAT(date(), ElementsAre(0x20, 0x23, 0x11, 0x14, 3, 0x22, 0x13, 0x20));
  board.clock.idle_until(kSecond - 1);
  EXPECT_EQ(get(R::kSeconds), 0x20);
  board.clock.idle_until(kSecond);
  EXPECT_EQ(get(R::kSeconds), 0x21);
  board.clock.idle_until(107 * 86'400 * kSecond);  // over a leap day
  EXPECT_THAT(date(), ElementsAre(0x20, 0x24, 0x02, 0x29, 5, 0x22, 0x13, 0x20));
}

TEST_F(CmosRtcTest, Formats) {
  set(R::kRegisterB, 0x06);  // binary, 24 hours
  EXPECT_THAT(date(), ElementsAre(20, 23, 11, 14, 3, 22, 13, 20));
  set(R::kRegisterB, 0x00);  // BCD, 12 hours
  EXPECT_EQ(get(R::kHours), 0x90);
  set(R::kRegisterB, 0x04);
  EXPECT_EQ(get(R::kHours), 0x8A);
  set(R::kHours, 0x8C);  // 12 p.m. is noon
  set(R::kRegisterB, 0x06);
  EXPECT_EQ(get(R::kHours), 12);
  set(R::kRegisterB, 0x04);
  set(R::kHours, 12);  // 12 a.m. is midnight
  EXPECT_EQ(get(R::kHours), 12);
  set(R::kRegisterB, 0x06);
  EXPECT_EQ(get(R::kHours), 0);
}

TEST_F(CmosRtcTest, ControlRegisters) {
  EXPECT_EQ(get(R::kRegisterA), 0x26);
  EXPECT_EQ(get(R::kRegisterB), 0x02);
  EXPECT_EQ(get(R::kRegisterD), 0x80);
  set(R::kRegisterC, 0xFF);
  set(R::kRegisterD, 0x00);
  set(R::kRegisterA, 0xAF);
  EXPECT_EQ(get(R::kRegisterC), 0);
  EXPECT_EQ(get(R::kRegisterD), 0x80);
  EXPECT_EQ(get(R::kRegisterA), 0x2F);
  set(R::kRegisterB, 0x92);
  EXPECT_EQ(get(R::kRegisterB), 0x82);  // SET clears UIE
}

TEST_F(CmosRtcTest, MemoryAndPorts) {
  set(static_cast<R>(0x7F), 0x5A);
  set(static_cast<R>(0x0E), 0xA5);
  EXPECT_EQ(get(static_cast<R>(0x7F)), 0x5A);
  EXPECT_EQ(get(static_cast<R>(0xFF)), 0x5A);  // bit 7 of the index is the NMI mask
  EXPECT_EQ(get(static_cast<R>(0x0E)), 0xA5);
  EXPECT_EQ(rtc.read(0, 1), 0xFFu);
  rtc.write(0, 2, 0x3340);  // index and data at once
  EXPECT_EQ(rtc.read(0, 2), 0x33FFu);
  EXPECT_EQ(get(static_cast<R>(0x40)), 0x33);
}

TEST_F(CmosRtcTest, UpdateInProgress) {
  board.clock.idle_until(kSecond - 244'001);
  EXPECT_EQ(get(R::kRegisterA), 0x26);
  board.clock.idle_until(kSecond - 244'000);
  EXPECT_EQ(get(R::kRegisterA), 0xA6);
  set(R::kRegisterB, 0x82);
  EXPECT_EQ(get(R::kRegisterA), 0x26);
  set(R::kRegisterB, 0x02);
  board.clock.idle_until(kSecond);
  EXPECT_EQ(get(R::kRegisterA), 0x26);
}

TEST_F(CmosRtcTest, SettingTheDate) {
  board.clock.idle_until(300'000'000);
  set(R::kRegisterB, 0x82);
  set_date(0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58);
  set(R::kDayOfWeek, 6);
  board.clock.idle_until(10 * kSecond + 400'000'000);
  EXPECT_EQ(get(R::kSeconds), 0x58);  // stands still
  set(R::kRegisterB, 0x02);
  EXPECT_THAT(date(), ElementsAre(0x19, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x58));
  board.clock.idle_until(11 * kSecond - 1);
  EXPECT_EQ(get(R::kSeconds), 0x58);
  board.clock.idle_until(11 * kSecond);  // the second kept its phase
  EXPECT_EQ(get(R::kSeconds), 0x59);
  board.clock.idle_until(12 * kSecond);
  EXPECT_THAT(date(), ElementsAre(0x20, 0x00, 0x01, 0x01, 7, 0x00, 0x00, 0x00));
}

TEST_F(CmosRtcTest, LettingTheDividerGoUpdatesHalfASecondLater) {
  set(R::kRegisterB, 0x82);
  set(R::kRegisterA, 0x76);
  set_date(0x20, 0x30, 0x06, 0x15, 0x12, 0x00, 0x00);
  set(R::kRegisterB, 0x02);
  board.clock.idle_until(5 * kSecond + 123);
  EXPECT_EQ(get(R::kSeconds), 0x00);
  set(R::kRegisterA, 0x26);
  board.clock.idle_until(5 * kSecond + 500'000'122);
  EXPECT_EQ(get(R::kSeconds), 0x00);
  board.clock.idle_until(5 * kSecond + 500'000'123);
  EXPECT_EQ(get(R::kSeconds), 0x01);
}

TEST_F(CmosRtcTest, NonsenseCarriesOver) {
  set(R::kRegisterB, 0x86);
  set_date(20, 23, 13, 32, 25, 61, 75);
  set(R::kRegisterB, 0x06);
  EXPECT_THAT(date(), ElementsAre(20, 24, 2, 2, testing::_, 2, 2, 15));
  set(R::kRegisterB, 0x86);
  set_date(0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF);
  set(R::kRegisterB, 0x06);
  EXPECT_LE(get(R::kMonth), 12);
  set(R::kRegisterB, 0x86);
  set_date(0, 0, 0, 0, 0, 0, 0);
  set(R::kRegisterB, 0x06);
  EXPECT_EQ(get(R::kMonth), 1);
}

TEST_F(CmosRtcTest, UpdateEndedInterrupt) {
  set(R::kRegisterB, 0x12);
  board.advance_to(3 * kSecond, rtc);
  EXPECT_THAT(board.lines.take_rises(kIrq), ElementsAre(kSecond));
  EXPECT_EQ(get(R::kRegisterC) & 0xB0, 0x90);
  EXPECT_FALSE(board.lines.level(kIrq));
  EXPECT_EQ(get(R::kRegisterC), 0);
  board.advance_to(4 * kSecond, rtc);
  EXPECT_THAT(board.lines.take_rises(kIrq), ElementsAre(4 * kSecond));
}

TEST_F(CmosRtcTest, AlarmInterrupt) {
  set(R::kHoursAlarm, 0x23);
  set(R::kMinutesAlarm, 0x00);
  set(R::kSecondsAlarm, 0x05);
  set(R::kRegisterB, 0x22);
  const u64 first = (46 * 60 + 45) * kSecond;
  board.advance_to(first + 86'400 * kSecond - 1, rtc);
  EXPECT_THAT(board.lines.take_rises(kIrq), ElementsAre(first));
  EXPECT_EQ(get(R::kRegisterC) & 0xA0, 0xA0);
  board.advance_to(first + 86'400 * kSecond, rtc);
  EXPECT_THAT(board.lines.take_rises(kIrq), ElementsAre(first + 86'400 * kSecond));
  get(R::kRegisterC);
  set(R::kHoursAlarm, 0xFF);  // every hour, every minute
  set(R::kMinutesAlarm, 0xC0);
  const u64 now = board.now_ns();
  board.advance(60 * kSecond, rtc);
  EXPECT_THAT(board.lines.take_rises(kIrq), ElementsAre(now + 60 * kSecond));
  set(R::kSecondsAlarm, 0x7A);  // never
  get(R::kRegisterC);
  EXPECT_EQ(board.queue.next_time_ns(), EventQueue::kNever);
}

TEST_F(CmosRtcTest, PeriodicInterruptIsExactAndDoesNotDrift) {
  const std::pair<u8, u64> rates[] = {{1, 256}, {2, 128}, {3, 8192}, {6, 1024}, {15, 2}};
  for (const auto& [select, hz] : rates) {
    rtc.reset();
    const u64 now = board.now_ns();
    ASSERT_EQ(now % kSecond, 0u);
    set(R::kRegisterA, 0x20 | select);
    set(R::kRegisterB, 0x42);
    for (u64 n = 1; n <= hz; ++n) {
      ASSERT_EQ(board.queue.next_time_ns(), now + (n * kSecond + hz - 1) / hz);
      board.advance_to(board.queue.next_time_ns(), rtc);
      ASSERT_EQ(get(R::kRegisterC) & 0xC0, 0xC0);
    }
  }
  set(R::kRegisterA, 0x20);
  EXPECT_EQ(board.queue.next_time_ns(), EventQueue::kNever);
}

TEST_F(CmosRtcTest, FlagsAreThereWithoutInterruptsAndWithoutEvents) {
  EXPECT_EQ(board.queue.next_time_ns(), EventQueue::kNever);
  board.clock.idle_until(kSecond);
  set(R::kRegisterB, 0x02);
  EXPECT_EQ(get(R::kRegisterC), 0x50);
  board.clock.idle_until(2 * kSecond);
  set(R::kRegisterB, 0x12);  // enabling a flag that is set interrupts at once
  EXPECT_TRUE(board.lines.level(kIrq));
}

TEST(CmosRtc, DatesAtTheEdges) {
  BenchBoard board;
  for (const u64 epoch : {u64{0}, u64{253'402'300'799}, ~u64{0}}) {
    CmosRtc rtc(board.events(), Line(), epoch);
    rtc.write(0, 1, 0x09);
    EXPECT_EQ(rtc.read(1, 1), epoch == 0 ? 0x70u : 0x99u);
  }
}

}  // namespace
}  // namespace bhvm
