#include "devices/acpi_pm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/devices/bench_board.h"

namespace bhvm {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr u32 kSci = 9;
constexpr u64 kSecond = 1'000'000'000;

class AcpiPmTest : public testing::Test {
 protected:
  BenchBoard board;
  MachineLog machine;
  AcpiPm pm{board.events(), board.lines.line(kSci), machine};
};

TEST_F(AcpiPmTest, ThePmTimerIsExact) {
  EXPECT_EQ(pm.read(8, 4), 0u);
  board.clock.idle_until(279);
  EXPECT_EQ(pm.read(8, 4), 0u);
  board.clock.idle_until(280);
  EXPECT_EQ(pm.read(8, 4), 1u);
  board.clock.idle_until(kSecond);
  EXPECT_EQ(pm.read(8, 4), 3'579'545u);
  board.clock.idle_until(3600 * kSecond);
  EXPECT_EQ(pm.read(8, 4), 3'579'545u * u64{3600} & 0xFFFFFFFF);
  pm.write(8, 4, 0);
  EXPECT_EQ(pm.read(8, 4), 3'579'545u * u64{3600} & 0xFFFFFFFF);
}

TEST_F(AcpiPmTest, Registers) {
  EXPECT_EQ(pm.read(4, 2), 1u);  // SCI_EN
  pm.write(4, 2, 0xFFFF & ~0x2000);
  EXPECT_EQ(pm.read(4, 2), 0x1C03u);
  pm.write(4, 2, 0);
  EXPECT_EQ(pm.read(4, 2), 1u);
  pm.write(2, 2, 0xFFFF);
  EXPECT_EQ(pm.read(2, 2), 0x0721u);
  EXPECT_EQ(pm.read(0, 4), 0x07210000u);
  EXPECT_EQ(pm.read(3, 1), 0x07u);
  pm.write(3, 1, 0);
  EXPECT_EQ(pm.read(2, 2), 0x0021u);
  pm.write(0, 4, 0);
  EXPECT_EQ(pm.read(2, 2), 0u);
  board.clock.idle_until(kSecond);
  EXPECT_EQ(pm.read(4, 8), u64{3'579'545} << 32 | 1);
  EXPECT_EQ(pm.read(9, 1), 3'579'545u >> 8 & 0xFF);
  EXPECT_EQ(pm.read(15, 8), 0u);
  EXPECT_THAT(machine.log, IsEmpty());
}

TEST_F(AcpiPmTest, SoftOff) {
  pm.write(4, 2, 3 << 10 | 0x2000);
  pm.write(4, 2, 5 << 10);
  EXPECT_THAT(machine.log, IsEmpty());
  pm.write(4, 2, 5 << 10 | 0x2000);
  EXPECT_THAT(machine.log, ElementsAre("power-off"));
  EXPECT_EQ(pm.read(4, 2), 0x1401u);  // SLP_EN reads as zero
}

TEST_F(AcpiPmTest, ThePowerButtonRaisesTheSciUntilCleared) {
  pm.press_power_button();
  EXPECT_EQ(pm.read(0, 2), 0x100u);
  EXPECT_FALSE(board.lines.level(kSci));
  pm.write(2, 2, 0x100);
  EXPECT_TRUE(board.lines.level(kSci));
  pm.write(0, 2, 0x001);
  EXPECT_TRUE(board.lines.level(kSci));
  pm.write(0, 2, 0x100);
  EXPECT_FALSE(board.lines.level(kSci));
  EXPECT_EQ(pm.read(0, 2), 0u);
}

TEST_F(AcpiPmTest, TheTimersCarry) {
  const u64 carry_ns = ((u64{1} << 31) * u128{kSecond} + 3'579'544) / 3'579'545;
  EXPECT_EQ(board.queue.next_time_ns(), EventQueue::kNever);
  pm.write(2, 2, 1);
  board.advance_to(carry_ns + 5, pm);
  EXPECT_THAT(board.lines.take_rises(kSci), ElementsAre(carry_ns));
  EXPECT_EQ(pm.read(0, 2), 1u);
  pm.write(2, 2, 0);
  pm.write(0, 2, 1);
  board.clock.idle_until(2 * carry_ns);
  EXPECT_EQ(pm.read(0, 2), 1u);  // without an event
}

}  // namespace
}  // namespace bhvm
