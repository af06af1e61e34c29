#include "devices/io_apic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "devices/local_apic.h"
#include "tests/devices/bench_board.h"

namespace bhvm {
namespace {

constexpr u32 kLevel = 1 << 15;
constexpr u32 kMasked = 1 << 16;
constexpr u32 kActiveLow = 1 << 13;
constexpr u32 kRemoteIrr = 1 << 14;

class IoApicTest : public testing::Test, public InterruptDestination {
 protected:
  bool deliver(const InterruptMessage& message) override {
    messages.push_back(message);
    return accepts;
  }
  u32 get(u8 index) {
    chip.write(0, 4, index);
    return static_cast<u32>(chip.read(0x10, 4));
  }
  void set(u8 index, u32 value) {
    chip.write(0, 4, index);
    chip.write(0x10, 4, value);
  }
  void route(u32 pin, u32 low, u32 high = 0) {
    set(static_cast<u8>(0x11 + 2 * pin), high);
    set(static_cast<u8>(0x10 + 2 * pin), low);
  }
  u32 low(u32 pin) { return get(static_cast<u8>(0x10 + 2 * pin)); }

  IoApic chip{*this};
  std::vector<InterruptMessage> messages;
  bool accepts = true;
};

TEST_F(IoApicTest, Registers) {
  EXPECT_EQ(get(0x01), 0x00170020u);
  set(0x00, ~u32{0});
  EXPECT_EQ(get(0x00), 0x0F000000u);
  EXPECT_EQ(get(0x02), 0x0F000000u);
  EXPECT_EQ(get(0x10), kMasked);
  set(0x10, ~u32{0});
  EXPECT_EQ(get(0x10), 0x0001AFFFu);
  set(0x11, ~u32{0});
  EXPECT_EQ(get(0x11), 0xFF000000u);
  EXPECT_EQ(get(0x3F), 0u);
  for (const u8 absent : std::initializer_list<u8>{0x03, 0x0F, 0x40, 0xFF}) {
    set(absent, ~u32{0});
    EXPECT_EQ(get(absent), 0u) << int{absent};
  }
  EXPECT_EQ(chip.read(0, 1), 0xFFu);
  chip.write(0, 1, 0x01);
  EXPECT_EQ(chip.read(0x12, 1), 0x17u);
  EXPECT_EQ(chip.read(0x20, 4), 0u);
  chip.reset();
  EXPECT_EQ(get(0x10), kMasked);
}

TEST_F(IoApicTest, AnEdgeSendsOneMessage) {
  route(4, 0x934, 0xA1000000);  // logical, lowest priority, vector 34h
  chip.set_line(4, true);
  chip.set_line(4, true);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].vector, 0x34);
  EXPECT_EQ(messages[0].mode, DeliveryMode::kLowestPriority);
  EXPECT_TRUE(messages[0].logical);
  EXPECT_FALSE(messages[0].level);
  EXPECT_EQ(messages[0].destination, 0xA1);
  chip.set_line(4, false);
  EXPECT_EQ(messages.size(), 1u);
  chip.set_line(4, true);
  EXPECT_EQ(messages.size(), 2u);
  chip.set_line(24, true);  // no such pin
  chip.set_line(~u32{0}, true);
  EXPECT_EQ(messages.size(), 2u);
}

TEST_F(IoApicTest, AnEdgeOnAMaskedPinIsLost) {
  chip.set_line(4, true);
  route(4, 0x34);
  EXPECT_TRUE(messages.empty());
  chip.set_line(4, false);
  chip.set_line(4, true);
  EXPECT_EQ(messages.size(), 1u);
}

TEST_F(IoApicTest, ALevelIsSentAgainAfterItsEnd) {
  route(9, kLevel | 0x61);
  chip.set_line(9, true);
  EXPECT_EQ(messages.size(), 1u);
  EXPECT_TRUE(messages[0].level);
  EXPECT_EQ(low(9), kLevel | kRemoteIrr | 0x61);
  chip.set_line(9, false);
  chip.set_line(9, true);
  EXPECT_EQ(messages.size(), 1u);
  chip.end_of_interrupt(0x60);
  EXPECT_EQ(messages.size(), 1u);
  chip.end_of_interrupt(0x61);
  EXPECT_EQ(messages.size(), 2u);
  chip.set_line(9, false);
  chip.write(0x40, 4, 0x61);  // the EOI register does the same
  EXPECT_EQ(messages.size(), 2u);
  EXPECT_EQ(low(9), kLevel | 0x61);
}

TEST_F(IoApicTest, AMaskedLevelWaits) {
  route(9, kMasked | kLevel | 0x61);
  chip.set_line(9, true);
  EXPECT_TRUE(messages.empty());
  route(9, kLevel | 0x61);
  EXPECT_EQ(messages.size(), 1u);
  route(9, kMasked | kLevel | 0x61);
  chip.end_of_interrupt(0x61);
  EXPECT_EQ(messages.size(), 1u);
}

TEST_F(IoApicTest, ARefusedLevelLeavesNoTrace) {
  accepts = false;
  route(9, kLevel | 0x61);
  chip.set_line(9, true);
  EXPECT_EQ(low(9), kLevel | 0x61);
  accepts = true;
  route(9, kLevel | 0x61);
  EXPECT_EQ(low(9), kLevel | kRemoteIrr | 0x61);
}

TEST_F(IoApicTest, TurningToEdgeClearsRemoteIrr) {
  route(9, kLevel | 0x61);
  chip.set_line(9, true);
  route(9, kMasked | 0x61);
  EXPECT_EQ(low(9), kMasked | 0x61);
}

TEST_F(IoApicTest, Polarity) {
  chip.set_line(16, true);
  route(16, kLevel | kActiveLow | 0x71);
  EXPECT_TRUE(messages.empty());
  chip.set_line(16, false);
  EXPECT_EQ(messages.size(), 1u);
  chip.set_line(17, true);
  route(17, kActiveLow | 0x72);
  chip.set_line(17, false);
  EXPECT_EQ(messages.size(), 2u);
  chip.set_line(17, true);
  EXPECT_EQ(messages.size(), 2u);
}

TEST_F(IoApicTest, AnInterruptWithoutAnEndHasNoRemoteIrr) {
  route(9, kLevel | 0x400);  // NMI
  chip.set_line(9, true);
  EXPECT_EQ(low(9), kLevel | 0x400u);
}

TEST(InterruptPath, ALevelGoesThroughBothApicsAndBack) {
  BenchBoard board;
  LocalApic local(board.events(), board.lines.line(0), Line(), {.timer_hz = 1, .tsc_hz = 1});
  IoApic io(local);
  local.connect(io);
  local.write(0xF0, 4, 0x1FF);
  io.write(0, 4, 0x22);
  io.write(0x10, 4, kLevel | 0x61);
  io.set_line(9, true);
  EXPECT_EQ(local.acknowledge(), 0x61);
  EXPECT_FALSE(board.lines.level(0));
  local.write(0xB0, 4, 0);  // not served: it comes again
  EXPECT_TRUE(board.lines.level(0));
  EXPECT_EQ(local.acknowledge(), 0x61);
  io.set_line(9, false);
  local.write(0xB0, 4, 0);
  EXPECT_FALSE(board.lines.level(0));
}

}  // namespace
}  // namespace bhvm
