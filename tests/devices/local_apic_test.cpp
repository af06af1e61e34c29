#include "devices/local_apic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/devices/bench_board.h"

namespace bhvm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using R = LocalApicRegister;

constexpr u32 kIntr = 0;
constexpr u32 kNmi = 1;
constexpr u32 kMasked = 1 << 16;

class LocalApicTest : public testing::Test, public EoiListener {
 protected:
  LocalApicTest() { apic.connect(*this); }
  void end_of_interrupt(u8 vector) override { ends.push_back(vector); }

  u32 get(R r) { return static_cast<u32>(apic.read(static_cast<u64>(r), 4)); }
  void set(R r, u32 value) { apic.write(static_cast<u64>(r), 4, value); }
  void enable() { set(R::kSvr, 0x1FF); }
  bool fixed(u8 vector, bool level = false) {
    return apic.deliver({.vector = vector, .destination = 0, .level = level});
  }
  bool intr() const { return board.lines.level(kIntr); }

  BenchBoard board;
  LocalApic apic{board.events(), board.lines.line(kIntr), board.lines.line(kNmi),
                 LocalApicConfig{.timer_hz = 25'000'000, .tsc_hz = 1'000'000'000}};
  std::vector<u8> ends;
};

// ---- Registers

TEST_F(LocalApicTest, PowerUpValues) {
  const std::pair<R, u32> values[] = {{R::kId, 0},
                                      {R::kVersion, 0x00050014},
                                      {R::kTpr, 0},
                                      {R::kPpr, 0},
                                      {R::kLdr, 0},
                                      {R::kDfr, ~u32{0}},
                                      {R::kSvr, 0xFF},
                                      {R::kEsr, 0},
                                      {R::kIcrLow, 0},
                                      {R::kLvtTimer, kMasked},
                                      {R::kLvtError, kMasked},
                                      {R::kLvtLint0, kMasked},
                                      {R::kInitialCount, 0},
                                      {R::kCurrentCount, 0},
                                      {R::kDivideConfiguration, 0}};
  for (const auto& [r, value] : values) EXPECT_EQ(get(r), value) << std::hex << static_cast<u64>(r);
  u64 base = 0;
  EXPECT_TRUE(apic.read_msr(LocalApic::kMsrApicBase, base));
  EXPECT_EQ(base, 0xFEE00900u);
}

TEST_F(LocalApicTest, WritableBits) {
  enable();
  const std::tuple<R, u32> values[] = {{R::kId, 0xFF000000},
                                       {R::kTpr, 0xFF},
                                       {R::kLdr, 0xFF000000},
                                       {R::kDfr, ~u32{0}},
                                       {R::kSvr, 0x1FF},
                                       {R::kIcrHigh, 0xFF000000},
                                       {R::kLvtThermal, 0x000107FF},
                                       {R::kLvtLint1, 0x0001A7FF},
                                       {R::kLvtError, 0x000100FF},
                                       {R::kLvtTimer, 0x000700FF},
                                       {R::kDivideConfiguration, 0xB}};
  for (const auto& [r, value] : values) {
    set(r, ~u32{0});
    EXPECT_EQ(get(r), value) << std::hex << static_cast<u64>(r);
  }
  set(R::kVersion, 0);
  EXPECT_EQ(get(R::kVersion), 0x00050014u);
}

TEST_F(LocalApicTest, OddAccesses) {
  EXPECT_EQ(apic.read(0x31, 1), 0u);
  EXPECT_EQ(apic.read(0x32, 1), 5u);
  EXPECT_EQ(apic.read(0x30, 8), 0x00050014u);
  EXPECT_EQ(apic.read(0x34, 4), 0u);
  EXPECT_EQ(apic.read(0x3E, 8), 0u);
  apic.write(0x80, 1, 0x20);
  apic.write(0x82, 4, 0x20);
  EXPECT_EQ(get(R::kTpr), 0u);
  apic.write(0x80, 8, 0xFFFFFFFF00000020);
  EXPECT_EQ(get(R::kTpr), 0x20u);
}

TEST_F(LocalApicTest, SoftwareDisabledMasksTheLvtAndAcceptsNothing) {
  set(R::kLvtTimer, 0x30);
  EXPECT_EQ(get(R::kLvtTimer), kMasked | 0x30);
  EXPECT_FALSE(fixed(0x40));
  enable();
  set(R::kLvtTimer, 0x30);
  EXPECT_EQ(get(R::kLvtTimer), 0x30u);
  EXPECT_TRUE(fixed(0x40));
  set(R::kSvr, 0xFF);
  EXPECT_EQ(get(R::kLvtTimer), kMasked | 0x30);
  EXPECT_TRUE(intr());  // what was accepted stays
}

TEST_F(LocalApicTest, ApicBase) {
  enable();
  fixed(0x40);
  EXPECT_FALSE(apic.write_msr(LocalApic::kMsrApicBase, 0xFEC00900));  // relocation
  EXPECT_FALSE(apic.write_msr(LocalApic::kMsrApicBase, 0xFEE00D00));  // x2APIC
  EXPECT_FALSE(apic.write_msr(0x802, 0));
  u64 value = 0;
  EXPECT_FALSE(apic.read_msr(0x802, value));
  EXPECT_TRUE(intr());
  EXPECT_TRUE(apic.write_msr(LocalApic::kMsrApicBase, 0xFEE00100));
  EXPECT_FALSE(intr());
  EXPECT_EQ(apic.read(0x30, 4), 0xFFFFFFFFu);
  EXPECT_EQ(apic.acknowledge(), -1);
  EXPECT_FALSE(fixed(0x40));
  EXPECT_TRUE(apic.write_msr(LocalApic::kMsrApicBase, 0xFEE00900));
  EXPECT_EQ(get(R::kSvr), 0xFFu);
  EXPECT_EQ(get(static_cast<R>(0x220)), 0u);
}

// ---- Priorities

TEST_F(LocalApicTest, TheHighestRequestComesFirst) {
  enable();
  fixed(0x31);
  fixed(0x52);
  fixed(0x51);
  EXPECT_EQ(apic.acknowledge(), 0x52);
  EXPECT_EQ(get(R::kPpr), 0x50u);
  EXPECT_FALSE(intr());                 // 0x51 is of the class in service
  EXPECT_EQ(apic.acknowledge(), 0xFF);  // spurious
  EXPECT_EQ(get(static_cast<R>(0x120)), 0x00040000u);
  EXPECT_EQ(get(static_cast<R>(0x220)), 0x00020000u);
  fixed(0x60);
  EXPECT_TRUE(intr());
  EXPECT_EQ(apic.acknowledge(), 0x60);
  set(R::kEoi, 0);
  EXPECT_FALSE(intr());
  set(R::kEoi, 0);
  EXPECT_EQ(apic.acknowledge(), 0x51);
  set(R::kEoi, 0);
  EXPECT_EQ(apic.acknowledge(), 0x31);
  set(R::kEoi, 0);
  EXPECT_FALSE(intr());
  EXPECT_THAT(ends, IsEmpty());
}

TEST_F(LocalApicTest, TaskPriorityHoldsBack) {
  enable();
  apic.write_cr8(0x14);  // bits beyond 3:0 are the processor's to refuse
  EXPECT_EQ(get(R::kTpr), 0x40u);
  fixed(0x45);
  EXPECT_FALSE(intr());
  set(R::kTpr, 0x3F);
  EXPECT_EQ(apic.read_cr8(), 3u);
  EXPECT_EQ(get(R::kPpr), 0x3Fu);
  EXPECT_TRUE(intr());
  set(R::kTpr, 0x40);
  EXPECT_FALSE(intr());
  EXPECT_EQ(apic.acknowledge(), 0xFF);
}

TEST_F(LocalApicTest, OnlyLevelTriggeredInterruptsAreAnnouncedAtTheirEnd) {
  enable();
  fixed(0x81, true);
  EXPECT_EQ(get(static_cast<R>(0x1C0)), 2u);
  EXPECT_EQ(apic.acknowledge(), 0x81);
  EXPECT_THAT(ends, IsEmpty());
  set(R::kEoi, 0);
  EXPECT_THAT(ends, ElementsAre(0x81));
  fixed(0x81, false);
  EXPECT_EQ(get(static_cast<R>(0x1C0)), 0u);
  apic.acknowledge();
  set(R::kEoi, 0);
  set(R::kEoi, 0);  // nothing in service
  EXPECT_THAT(ends, ElementsAre(0x81));
}

// ---- Messages

TEST_F(LocalApicTest, Destinations) {
  enable();
  set(R::kId, 0x05000000);
  set(R::kLdr, 0x22000000);
  const auto physical = [&](u8 d) { return apic.deliver({.vector = 0x40, .destination = d}); };
  const auto logical = [&](u8 d) { return apic.deliver({.vector = 0x40, .destination = d, .logical = true}); };
  EXPECT_TRUE(physical(5));
  EXPECT_TRUE(physical(0xFF));
  EXPECT_FALSE(physical(0));
  EXPECT_TRUE(logical(0x02));
  EXPECT_TRUE(logical(0xFF));
  EXPECT_FALSE(logical(0x0D));
  set(R::kDfr, 0x0FFFFFFF);  // cluster model: cluster 2, member 2
  EXPECT_TRUE(logical(0x22));
  EXPECT_TRUE(logical(0xF2));
  EXPECT_FALSE(logical(0x12));
  EXPECT_FALSE(logical(0x21));
}

TEST_F(LocalApicTest, NmiIsAPulseAndTheRestIsDropped) {
  enable();
  for (const DeliveryMode mode : {DeliveryMode::kSmi, DeliveryMode::kInit, DeliveryMode::kStartUp,
                                  DeliveryMode::kExtInt, DeliveryMode::kReserved}) {
    EXPECT_TRUE(apic.deliver({.vector = 0x40, .mode = mode}));
  }
  EXPECT_FALSE(intr());
  EXPECT_TRUE(apic.deliver({.mode = DeliveryMode::kNmi}));
  EXPECT_THAT(board.lines.take_rises(kNmi), ElementsAre(0));
  EXPECT_FALSE(board.lines.level(kNmi));
}

TEST_F(LocalApicTest, InterprocessorInterrupts) {
  enable();
  set(R::kIcrHigh, 0x09000000);
  set(R::kIcrLow, 0x00000041);  // to APIC 9
  EXPECT_FALSE(intr());
  set(R::kIcrLow, 0x000C0041);  // all excluding self
  EXPECT_FALSE(intr());
  set(R::kIcrLow, 0x00040042);  // self
  EXPECT_EQ(apic.acknowledge(), 0x42);
  set(R::kIcrLow, 0x00080053);  // all including self
  EXPECT_EQ(apic.acknowledge(), 0x53);
  set(R::kIcrHigh, 0);
  set(R::kIcrLow, 0x00001064);  // to APIC 0; delivery status cannot be written
  EXPECT_EQ(apic.acknowledge(), 0x64);
  EXPECT_EQ(get(R::kIcrLow), 0x00000064u);
  set(R::kIcrLow, 0x00000400);
  EXPECT_THAT(board.lines.take_rises(kNmi), ElementsAre(0));
}

TEST_F(LocalApicTest, Errors) {
  enable();
  set(R::kLvtError, 0x33);
  set(R::kIcrLow, 0x0004000F);  // send illegal vector
  EXPECT_EQ(get(R::kEsr), 0u);
  set(R::kEsr, 0);
  EXPECT_EQ(get(R::kEsr), 0x20u);
  EXPECT_EQ(apic.acknowledge(), 0x33);
  set(R::kEoi, 0);
  get(static_cast<R>(0x2F0));  // no such register
  set(static_cast<R>(0x000), 1);
  fixed(0x0F);
  EXPECT_EQ(apic.acknowledge(), 0x33);
  set(R::kEsr, 0);
  EXPECT_EQ(get(R::kEsr), 0xC0u);
  set(R::kEsr, 0);
  EXPECT_EQ(get(R::kEsr), 0u);
  set(R::kEoi, 0);
  set(R::kLvtError, 0x03);  // an error in reporting an error
  get(static_cast<R>(0x2F0));
  set(R::kEsr, 0);
  EXPECT_EQ(get(R::kEsr), 0xC0u);
  EXPECT_FALSE(intr());
}

// ---- The timer: 25 MHz, a tick is 40 ns

TEST_F(LocalApicTest, OneShotExpiresOnceAtTheExactTime) {
  enable();
  set(R::kLvtTimer, 0x40);
  set(R::kDivideConfiguration, 0xB);  // divide by 1
  board.clock.idle_until(1000);
  set(R::kInitialCount, 10);
  board.advance_to(1039, apic);
  EXPECT_EQ(get(R::kCurrentCount), 10u);
  board.advance_to(1040, apic);
  EXPECT_EQ(get(R::kCurrentCount), 9u);
  board.advance_to(1399, apic);
  EXPECT_EQ(get(R::kCurrentCount), 1u);
  EXPECT_FALSE(intr());
  board.advance_to(1'000'000, apic);
  EXPECT_THAT(board.lines.take_rises(kIntr), ElementsAre(1400));
  EXPECT_EQ(get(R::kCurrentCount), 0u);
  EXPECT_EQ(get(R::kInitialCount), 10u);
  EXPECT_EQ(board.queue.next_time_ns(), EventQueue::kNever);
}

TEST_F(LocalApicTest, EveryDivisor) {
  const std::pair<u32, u64> divisors[] = {{0x0, 2},  {0x1, 4},  {0x2, 8},   {0x3, 16},
                                          {0x8, 32}, {0x9, 64}, {0xA, 128}, {0xB, 1}};
  enable();
  set(R::kLvtTimer, 0x40);
  for (const auto& [configuration, divisor] : divisors) {
    set(R::kDivideConfiguration, configuration);
    set(R::kInitialCount, 100);
    EXPECT_EQ(board.queue.next_time_ns(), divisor * 4000) << configuration;
  }
}

TEST_F(LocalApicTest, ThePeriodicTimerDoesNotDrift) {
  BenchBoard third;  // 300 MHz: a tick is 3 1/3 ns
  LocalApic fast(third.events(), third.lines.line(kIntr), Line(), {.timer_hz = 300'000'000, .tsc_hz = 1'000'000'000});
  const auto write = [&](R r, u32 value) { fast.write(static_cast<u64>(r), 4, value); };
  write(R::kSvr, 0x1FF);
  write(R::kLvtTimer, 0x20040);
  write(R::kDivideConfiguration, 0xB);
  write(R::kInitialCount, 1);
  for (const u64 expected : {4, 7, 10, 14, 17, 20}) {
    EXPECT_EQ(third.queue.next_time_ns(), expected);
    third.advance_to(expected, fast);
    EXPECT_EQ(fast.acknowledge(), 0x40);
    write(R::kEoi, 0);
  }
  write(R::kInitialCount, 7);  // at 20 ns; every 23 1/3 ns
  third.advance_to(20 + 7'000'000, fast);
  EXPECT_EQ(third.queue.next_time_ns(), 20u + 7'000'024u);
  EXPECT_EQ(fast.read(static_cast<u64>(R::kCurrentCount), 4), 7u);
}

TEST_F(LocalApicTest, AMaskedTimerCounts) {
  enable();
  set(R::kDivideConfiguration, 0xB);
  set(R::kLvtTimer, 0x30040);
  set(R::kInitialCount, 5);
  board.advance_to(1000, apic);
  EXPECT_FALSE(intr());
  EXPECT_EQ(get(R::kCurrentCount), 5u);
  set(R::kLvtTimer, 0x20040);
  board.advance_to(1200, apic);
  EXPECT_THAT(board.lines.take_rises(kIntr), ElementsAre(1200));
}

TEST_F(LocalApicTest, ChangesWhileCounting) {
  enable();
  set(R::kLvtTimer, 0x40);
  set(R::kDivideConfiguration, 0xB);
  set(R::kInitialCount, 10);
  board.advance_to(200, apic);
  set(R::kDivideConfiguration, 0x0);  // five left, of 80 ns each
  EXPECT_EQ(get(R::kCurrentCount), 5u);
  EXPECT_EQ(board.queue.next_time_ns(), 600u);
  set(R::kLvtTimer, 0x20040);  // becomes periodic: ten more, again and again
  board.advance_to(600, apic);
  EXPECT_EQ(board.queue.next_time_ns(), 1400u);
  set(R::kInitialCount, 0);
  EXPECT_EQ(board.queue.next_time_ns(), EventQueue::kNever);
  set(R::kInitialCount, 10);
  set(R::kLvtTimer, 0x40040);  // TSC deadline: the count is disarmed and reads 0
  EXPECT_EQ(board.queue.next_time_ns(), EventQueue::kNever);
  set(R::kInitialCount, 10);
  EXPECT_EQ(get(R::kInitialCount), 0u);
  EXPECT_EQ(get(R::kCurrentCount), 0u);
  EXPECT_EQ(board.queue.next_time_ns(), EventQueue::kNever);
}

TEST_F(LocalApicTest, TscDeadline) {
  BenchBoard slow;  // TSC of 300 MHz
  LocalApic late(slow.events(), slow.lines.line(kIntr), Line(), {.timer_hz = 25'000'000, .tsc_hz = 300'000'000});
  const auto write = [&](R r, u32 value) { late.write(static_cast<u64>(r), 4, value); };
  const auto deadline = [&] {
    u64 value = 1;
    EXPECT_TRUE(late.read_msr(LocalApic::kMsrTscDeadline, value));
    return value;
  };
  write(R::kSvr, 0x1FF);
  EXPECT_TRUE(late.write_msr(LocalApic::kMsrTscDeadline, 5));
  EXPECT_EQ(deadline(), 0u);  // ignored in another mode
  write(R::kLvtTimer, 0x40050);
  late.write_msr(LocalApic::kMsrTscDeadline, 10);
  EXPECT_EQ(deadline(), 10u);
  EXPECT_EQ(slow.queue.next_time_ns(), 34u);  // 33 ns hold 9 ticks
  slow.advance_to(40, late);
  EXPECT_THAT(slow.lines.take_rises(kIntr), ElementsAre(34));
  EXPECT_EQ(deadline(), 0u);
  EXPECT_EQ(late.acknowledge(), 0x50);
  write(R::kEoi, 0);
  late.write_msr(LocalApic::kMsrTscDeadline, 12);  // now is 12: at once
  EXPECT_THAT(slow.lines.take_rises(kIntr), ElementsAre(40));
  EXPECT_EQ(deadline(), 0u);
  late.acknowledge();
  write(R::kEoi, 0);
  late.write_msr(LocalApic::kMsrTscDeadline, 100);
  late.write_msr(LocalApic::kMsrTscDeadline, 0);  // disarmed
  EXPECT_EQ(slow.queue.next_time_ns(), EventQueue::kNever);
  late.write_msr(LocalApic::kMsrTscDeadline, ~u64{0});  // beyond the end of time
  EXPECT_EQ(slow.queue.next_time_ns(), EventQueue::kNever);
}

TEST_F(LocalApicTest, TheDeadlineFollowsTscAdjust) {
  enable();
  set(R::kLvtTimer, 0x40050);
  board.clock.idle_until(1000);
  apic.write_msr(LocalApic::kMsrTscDeadline, 5000);
  EXPECT_EQ(board.queue.next_time_ns(), 5000u);
  apic.tsc_adjusted(500);
  EXPECT_EQ(board.queue.next_time_ns(), 4500u);
  apic.tsc_adjusted(static_cast<u64>(-900));
  EXPECT_EQ(board.queue.next_time_ns(), 5900u);
  EXPECT_FALSE(intr());
  apic.tsc_adjusted(4000);
  EXPECT_TRUE(intr());
  EXPECT_EQ(board.queue.next_time_ns(), EventQueue::kNever);
}

}  // namespace
}  // namespace bhvm
