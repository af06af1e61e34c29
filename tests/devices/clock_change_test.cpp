// The clock chips when their oscillator jumps or changes its rate.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "devices/acpi_pm.h"
#include "devices/cmos_rtc.h"
#include "devices/hpet.h"
#include "devices/local_apic.h"
#include "tests/devices/bench_board.h"

namespace bhvm {
namespace {

constexpr u64 kSecond = 1'000'000'000;
constexpr u64 kMillisecond = 1'000'000;

class ClockChange : public testing::Test {
 protected:
  /// Around the changes, as the board does it.
  template <class C>
  void step(C& chip, i64 delta_ns) {
    if constexpr (requires { chip.clock_changing(); }) chip.clock_changing();
    board.oscillator.step(board.now_ns(), delta_ns);
    chip.clock_changed();
  }
  template <class C>
  void set_rate(C& chip, u64 numerator, u64 denominator) {
    if constexpr (requires { chip.clock_changing(); }) chip.clock_changing();
    board.oscillator.set_rate(board.now_ns(), numerator, denominator);
    chip.clock_changed();
  }

  BenchBoard board;
};

// ---- Local APIC timer

class ApicClockChange : public ClockChange {
 protected:
  static constexpr u8 kVector = 0x40;
  LocalApic apic{board.clock_events(), board.lines.line(0), board.lines.line(1),
                 LocalApicConfig{.timer_hz = 1'000'000'000, .tsc_hz = 1'000'000'000}};

  void set(LocalApicRegister r, u32 value) { apic.write(static_cast<u64>(r), 4, value); }
  void start_timer(u32 mode) {
    set(LocalApicRegister::kSvr, 0x1FF);
    set(LocalApicRegister::kDivideConfiguration, 0xB);  // by 1
    set(LocalApicRegister::kLvtTimer, kVector | mode << 17);
  }
  /// Takes the interrupt, if there is one, so that the next can be told from it.
  bool expired() {
    if (!board.lines.level(0)) return false;
    EXPECT_EQ(apic.acknowledge(), kVector);
    set(LocalApicRegister::kEoi, 0);
    return true;
  }
};

TEST_F(ApicClockChange, ADeadlineIsReachedByTheNewTime) {
  start_timer(2);
  apic.write_msr(LocalApic::kMsrTscDeadline, 1000);
  board.advance_to(100, apic);
  step(apic, 500);
  board.advance_to(499, apic);
  EXPECT_FALSE(expired());
  board.advance_to(500, apic);
  EXPECT_TRUE(expired());

  apic.write_msr(LocalApic::kMsrTscDeadline, 2000);  // it is 1000
  step(apic, 5000);
  EXPECT_TRUE(expired()) << "a jump over the deadline";

  apic.write_msr(LocalApic::kMsrTscDeadline, 6100);  // it is 6000
  step(apic, -1000);
  board.advance_to(500 + 1099, apic);
  EXPECT_FALSE(expired());
  board.advance_to(500 + 1100, apic);
  EXPECT_TRUE(expired()) << "a jump back makes it later";
}

TEST_F(ApicClockChange, ACountGoesWithTheOscillator) {
  start_timer(0);
  set(LocalApicRegister::kInitialCount, 1000);
  board.advance_to(100, apic);
  set_rate(apic, 1, 3);
  board.advance_to(100 + 3 * 900 - 1, apic);
  EXPECT_FALSE(expired());
  board.advance_to(100 + 3 * 900, apic);
  EXPECT_TRUE(expired());

  start_timer(1);
  set_rate(apic, 1, 1);
  set(LocalApicRegister::kInitialCount, 1000);
  step(apic, 10'500);
  u64 first = board.now_ns();
  while (!expired()) board.advance(1, apic);
  first = board.now_ns() - first;
  EXPECT_EQ(first, 500u) << "a periodic timer keeps its phase";
  board.advance(999, apic);
  EXPECT_FALSE(expired());
  board.advance(1, apic);
  EXPECT_TRUE(expired());
}

TEST(TimerJitter, IsDrawnForEachExpiryAndDoesNotAddUp) {
  BenchBoard board;
  TimerJitter jitter(100, RandomStream(1, 2, "timer-jitter"));
  LocalApic apic(board.clock_events(), board.lines.line(0), board.lines.line(1),
                 LocalApicConfig{.timer_hz = 1'000'000'000, .tsc_hz = 1'000'000'000, .timer_jitter = &jitter});
  const auto set = [&](LocalApicRegister r, u32 value) { apic.write(static_cast<u64>(r), 4, value); };
  set(LocalApicRegister::kSvr, 0x1FF);
  set(LocalApicRegister::kDivideConfiguration, 0xB);
  set(LocalApicRegister::kLvtTimer, 0x40 | 1 << 17);
  set(LocalApicRegister::kInitialCount, 1000);
  std::set<u64> late;
  for (u64 n = 1; n <= 200; ++n) {
    while (!board.lines.level(0)) board.advance(1, apic);
    ASSERT_GE(board.now_ns(), n * 1000);
    ASSERT_LE(board.now_ns(), n * 1000 + 100);
    late.insert(board.now_ns() - n * 1000);
    apic.acknowledge();
    set(LocalApicRegister::kEoi, 0);
  }
  EXPECT_GT(late.size(), 60u);
  EXPECT_TRUE(late.contains(0) || late.contains(1));
}

TEST(TimerJitter, OffDrawsNothing) {
  const RandomStream stream(1, 2, "timer-jitter");
  TimerJitter jitter(0, stream);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(jitter.draw(), 0u);
  EXPECT_EQ(jitter.state().stream.s, stream.state().s);
}

// ---- HPET

class HpetClockChange : public ClockChange {
 protected:
  HpetWiring wiring() {
    HpetWiring w;
    w.route_capability = 1 << 13;
    w.routes[13] = board.lines.line(13);
    return w;
  }
  Hpet hpet{board.clock_events(), wiring()};

  void start_timer(u64 ticks) {
    hpet.write(0x100 + 0x20, 8, 0x4 | 0x2 | 13 << 9);  // timer 1: interrupts, level, input 13
    hpet.write(0x108 + 0x20, 8, ticks);
    hpet.write(0x10, 8, 1);
  }
  u64 count() { return hpet.read(0xF0, 8); }
};

TEST_F(HpetClockChange, CountsWithItAndMatchesWhatIsJumpedOver) {
  start_timer(1'000'000);  // 10 ns each: at 10 ms
  board.advance_to(kMillisecond, hpet);
  EXPECT_EQ(count(), 100'000u);
  step(hpet, static_cast<i64>(20 * kMillisecond));
  EXPECT_EQ(count(), 2'100'000u);
  EXPECT_TRUE(board.lines.level(13));
}

TEST_F(HpetClockChange, AJumpBackMakesAMatchLater) {
  start_timer(1'000'000);
  board.advance_to(8 * kMillisecond, hpet);
  step(hpet, -static_cast<i64>(5 * kMillisecond));
  EXPECT_EQ(count(), 300'000u);
  EXPECT_FALSE(board.lines.level(13));
  board.advance_to(15 * kMillisecond - 1, hpet);
  EXPECT_FALSE(board.lines.level(13));
  board.advance_to(15 * kMillisecond, hpet);
  EXPECT_TRUE(board.lines.level(13));
}

TEST_F(HpetClockChange, FollowsARate) {
  start_timer(1'000'000);
  set_rate(hpet, 2, 1);
  board.advance_to(5 * kMillisecond - 1, hpet);
  EXPECT_FALSE(board.lines.level(13));
  board.advance_to(5 * kMillisecond, hpet);
  EXPECT_TRUE(board.lines.level(13));
}

// ---- PM timer

TEST_F(ClockChange, ThePmTimerCountsWithIt) {
  MachineLog machine;
  AcpiPm pm(board.clock_events(), board.lines.line(9), machine);
  board.advance_to(kSecond, pm);
  step(pm, static_cast<i64>(kSecond));
  EXPECT_EQ(pm.read(8, 4), 2u * 3'579'545);
  step(pm, -static_cast<i64>(kSecond));
  EXPECT_EQ(pm.read(8, 4), 3'579'545u);
  set_rate(pm, 1, 2);
  board.advance_to(3 * kSecond, pm);
  EXPECT_EQ(pm.read(8, 4), 2u * 3'579'545);
  // The carry of bit 31, after 600 s: over it by a jump.
  pm.write(2, 2, 1);
  EXPECT_FALSE(board.lines.level(9));
  step(pm, static_cast<i64>(600 * kSecond));
  EXPECT_TRUE(board.lines.level(9));
}

// ---- RTC

class RtcClockChange : public ClockChange {
 protected:
  CmosRtc rtc{board.clock_events(), board.lines.line(8), 1'700'000'000};  // 22:13:20

  u8 get(CmosRegister r) {
    rtc.write(0, 1, static_cast<u8>(r));
    return static_cast<u8>(rtc.read(1, 1));
  }
  void set(CmosRegister r, u8 value) {
    rtc.write(0, 1, static_cast<u8>(r));
    rtc.write(1, 1, value);
  }
};

TEST_F(RtcClockChange, TheDateJumps) {
  board.advance_to(kSecond, rtc);
  step(rtc, static_cast<i64>(3600 * kSecond));
  EXPECT_EQ(get(CmosRegister::kHours), 0x23);
  EXPECT_EQ(get(CmosRegister::kSeconds), 0x21);
  step(rtc, -static_cast<i64>(3601 * kSecond));
  EXPECT_EQ(get(CmosRegister::kHours), 0x22);
  EXPECT_EQ(get(CmosRegister::kSeconds), 0x20);
}

TEST_F(RtcClockChange, AJumpToBeforeTheDateWasSetGoesBackFromIt) {
  board.advance_to(100 * kSecond, rtc);
  set(CmosRegister::kMinutes, 0x30);  // 22:30:00, at 100 s
  EXPECT_EQ(get(CmosRegister::kSeconds), 0x00);
  step(rtc, -static_cast<i64>(90 * kSecond + kSecond / 2));
  EXPECT_EQ(get(CmosRegister::kMinutes), 0x28);
  EXPECT_EQ(get(CmosRegister::kSeconds), 0x29);
  board.advance(kSecond / 2, rtc);
  EXPECT_EQ(get(CmosRegister::kSeconds), 0x30);
}

TEST_F(RtcClockChange, AnAlarmThatIsJumpedOverGoesOff) {
  set(CmosRegister::kHoursAlarm, 0x22);
  set(CmosRegister::kMinutesAlarm, 0x30);
  set(CmosRegister::kSecondsAlarm, 0x00);
  set(CmosRegister::kRegisterB, 0x22);  // AIE, 24 hours
  EXPECT_FALSE(board.lines.level(8));
  step(rtc, static_cast<i64>(3600 * kSecond));
  EXPECT_TRUE(board.lines.level(8));
  EXPECT_EQ(get(CmosRegister::kRegisterC) & 0xA0, 0xA0);
}

TEST_F(RtcClockChange, TheDateAdvances) {
  rtc.advance_date(86'400 + 5);
  EXPECT_EQ(get(CmosRegister::kDayOfMonth), 0x15);
  EXPECT_EQ(get(CmosRegister::kSeconds), 0x25);
  rtc.advance_date(~u64{0});
  EXPECT_EQ(get(CmosRegister::kCentury), 0x99);
}

}  // namespace
}  // namespace bhvm
