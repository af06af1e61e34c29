#include "devices/uart_16550.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/devices/bench_board.h"

namespace bhvm {
namespace {

using testing::ElementsAre;
using testing::SizeIs;
using R = UartRegister;

constexpr u32 kIrq = 4;

class Uart16550Test : public testing::Test {
 protected:
  u8 get(R r) { return static_cast<u8>(uart.read(static_cast<u64>(r), 1)); }
  void set(R r, u8 value) { uart.write(static_cast<u64>(r), 1, value); }
  std::size_t type(std::string_view text) {
    return uart.receive({reinterpret_cast<const u8*>(text.data()), text.size()});
  }
  std::string read_all() {
    std::string out;
    while ((get(R::kLsr) & 1) != 0) out.push_back(static_cast<char>(get(R::kRbrThr)));
    return out;
  }
  bool irq() const { return board.lines.level(kIrq); }

  BenchBoard board;
  TextSink sink;
  Uart16550 uart{board.events(), board.lines.line(kIrq), sink};
};

TEST_F(Uart16550Test, PowerUpAndPlainRegisters) {
  EXPECT_EQ(get(R::kIer), 0);
  EXPECT_EQ(get(R::kIirFcr), 0x01);
  EXPECT_EQ(get(R::kLcr), 0);
  EXPECT_EQ(get(R::kMcr), 0);
  EXPECT_EQ(get(R::kLsr), 0x60);
  EXPECT_EQ(get(R::kMsr), 0xB0);
  EXPECT_EQ(get(R::kRbrThr), 0);
  set(R::kScr, 0xA5);
  EXPECT_EQ(get(R::kScr), 0xA5);
  set(R::kIer, 0xFF);
  EXPECT_EQ(get(R::kIer), 0x0F);
  set(R::kMcr, 0xFF);
  EXPECT_EQ(get(R::kMcr), 0x1F);
  set(R::kLsr, 0);
  EXPECT_EQ(get(R::kLsr), 0x60);
  set(R::kLcr, 0x80);
  set(R::kRbrThr, 0x34);
  set(R::kIer, 0x12);
  EXPECT_EQ(uart.read(0, 2), 0x1234u);
  set(R::kLcr, 0x03);
  EXPECT_EQ(get(R::kIer), 0x0F);
  EXPECT_EQ(sink.text, "");
}

TEST_F(Uart16550Test, OutputAppearsAtOnce) {
  set(R::kRbrThr, 'h');
  set(R::kRbrThr, 'i');
  EXPECT_EQ(sink.text, "hi");
  EXPECT_EQ(get(R::kLsr), 0x60);
}

// The steps by which Linux's 8250 driver tells the chip's type (autoconfig) and tests its interrupt (do_startup).
TEST_F(Uart16550Test, IsFoundToBeA16550A) {
  set(R::kIer, 0);
  EXPECT_EQ(get(R::kIer) & 0x0F, 0);
  set(R::kIer, 0x0F);
  EXPECT_EQ(get(R::kIer) & 0x0F, 0x0F);
  set(R::kIer, 0);
  set(R::kMcr, 0x1A);  // loop, OUT2, RTS
  EXPECT_EQ(get(R::kMsr) & 0xF0, 0x90);
  set(R::kMcr, 0x08);
  set(R::kIirFcr, 0x01);
  EXPECT_EQ(get(R::kIirFcr) >> 6, 3);
  set(R::kIer, 0x02);
  EXPECT_EQ(get(R::kIirFcr) & 1, 0);
  set(R::kIer, 0);
  set(R::kIer, 0x02);
  EXPECT_EQ(get(R::kIirFcr) & 1, 0);
}

TEST_F(Uart16550Test, TheTransmitterEmptyInterrupt) {
  set(R::kMcr, 0x08);
  set(R::kIer, 0x02);
  EXPECT_TRUE(irq());  // enabling it while the transmitter is empty raises it
  EXPECT_EQ(get(R::kIirFcr), 0x02);
  EXPECT_FALSE(irq());  // reading it clears it
  EXPECT_EQ(get(R::kIirFcr), 0x01);
  board.lines.take_rises(kIrq);
  set(R::kRbrThr, 'a');
  set(R::kRbrThr, 'b');
  EXPECT_THAT(board.lines.take_rises(kIrq), SizeIs(2));  // an edge for every byte
  EXPECT_TRUE(irq());
  set(R::kIer, 0x00);
  EXPECT_FALSE(irq());
}

TEST_F(Uart16550Test, Out2AndLoopbackGateTheInterrupt) {
  set(R::kIer, 0x02);
  EXPECT_FALSE(irq());
  set(R::kMcr, 0x08);
  EXPECT_TRUE(irq());
  set(R::kMcr, 0x18);
  EXPECT_FALSE(irq());
}

TEST_F(Uart16550Test, InputWaitsForRts) {
  EXPECT_EQ(type("hello"), 5u);
  set(R::kIer, 0x0F);  // what Linux does before it opens the port
  set(R::kIer, 0x00);
  set(R::kMcr, 0x1A);
  set(R::kMcr, 0x09);
  set(R::kIirFcr, 0x07);
  set(R::kIirFcr, 0x00);
  EXPECT_EQ(get(R::kRbrThr), 0);
  set(R::kIer, 0x05);
  set(R::kIirFcr, 0x81);
  EXPECT_EQ(get(R::kLsr), 0x60);
  set(R::kMcr, 0x0B);
  EXPECT_EQ(get(R::kLsr), 0x61);
  EXPECT_EQ(read_all(), "hello");
  set(R::kMcr, 0x09);
  type("x");
  EXPECT_EQ(get(R::kLsr), 0x60);
}

TEST_F(Uart16550Test, MoreInputThanTheFifoHoldsIsHeldBackNotLost) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text.push_back(static_cast<char>('a' + i % 23));
  set(R::kMcr, 0x02);
  set(R::kIirFcr, 0x01);
  const std::size_t taken = type(text);
  EXPECT_EQ(taken, Uart16550::kInputMax);
  EXPECT_EQ(uart.input_room(), 16u);
  EXPECT_EQ(type(text.substr(taken)), 16u);
  EXPECT_EQ(read_all(), text.substr(0, taken + 16));
  EXPECT_EQ(get(R::kLsr), 0x60);  // no overrun
}

TEST_F(Uart16550Test, ReceiveInterruptsAtTheTriggerLevelAndAfterTheTimeOut) {
  set(R::kLcr, 0x80);
  set(R::kRbrThr, 1);  // 115200 baud
  set(R::kLcr, 0x03);  // 8N1: ten bits, 86.8 us
  set(R::kMcr, 0x0A);
  set(R::kIirFcr, 0x41);  // four characters
  set(R::kIer, 0x01);
  type("abc");
  EXPECT_FALSE(irq());
  const u64 time_out_ns = 347'223;
  board.advance_to(time_out_ns - 1, uart);
  EXPECT_FALSE(irq());
  board.advance_to(time_out_ns, uart);
  EXPECT_TRUE(irq());
  EXPECT_EQ(get(R::kIirFcr), 0xCC);
  EXPECT_EQ(get(R::kRbrThr), 'a');
  EXPECT_FALSE(irq());  // a read starts it anew
  type("de");
  EXPECT_TRUE(irq());
  EXPECT_EQ(get(R::kIirFcr), 0xC4);
  EXPECT_EQ(get(R::kRbrThr), 'b');
  EXPECT_FALSE(irq());
  EXPECT_EQ(read_all(), "cde");
  EXPECT_EQ(board.queue.next_time_ns(), EventQueue::kNever);
}

TEST_F(Uart16550Test, LoopbackAndOverrun) {
  set(R::kMcr, 0x10);
  set(R::kIer, 0x04);
  set(R::kRbrThr, 'a');
  set(R::kRbrThr, 'b');
  EXPECT_EQ(sink.text, "");
  EXPECT_EQ(get(R::kIirFcr), 0x06);
  EXPECT_EQ(get(R::kLsr), 0x63);
  EXPECT_EQ(get(R::kLsr), 0x61);  // reading cleared OE
  EXPECT_EQ(get(R::kRbrThr), 'b');
  set(R::kIirFcr, 0x01);
  for (int i = 0; i < 17; ++i) set(R::kRbrThr, static_cast<u8>('a' + i));
  EXPECT_EQ(get(R::kLsr), 0x63);
  EXPECT_EQ(read_all(), "abcdefghijklmnop");  // a FIFO keeps what it has
}

TEST_F(Uart16550Test, ModemStatusInLoopback) {
  set(R::kMcr, 0x10);
  EXPECT_EQ(get(R::kMsr), 0x0B);  // CTS, DSR and DCD have gone
  set(R::kMcr, 0x1F);
  EXPECT_EQ(get(R::kMsr), 0xFB);
  EXPECT_EQ(get(R::kMsr), 0xF0);
  set(R::kMcr, 0x1B);
  EXPECT_EQ(get(R::kMsr), 0xB4);  // the ring's trailing edge
  set(R::kIer, 0x08);
  EXPECT_EQ(get(R::kIirFcr), 0x01);
  set(R::kMcr, 0x1A);
  EXPECT_EQ(get(R::kIirFcr), 0x00);
}

TEST_F(Uart16550Test, ResetKeepsTheHostsInput) {
  type("wait");
  set(R::kMcr, 0x1F);
  uart.reset();
  EXPECT_EQ(get(R::kMcr), 0);
  set(R::kMcr, 0x02);
  EXPECT_EQ(read_all(), "wait");
}

}  // namespace
}  // namespace bhvm
