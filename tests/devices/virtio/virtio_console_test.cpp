#include "devices/virtio/virtio_console.h"

#include "state/hash_state.h"
#include "virtio_driver.h"

namespace bhvm {
namespace {

using namespace virtio_test;

struct StringSink final : ByteSink {
  void write_bytes(std::span<const u8> bytes) override { text.append(bytes.begin(), bytes.end()); }
  std::string text;
};

std::span<const u8> bytes_of(std::string_view text) { return {reinterpret_cast<const u8*>(text.data()), text.size()}; }

struct VirtioConsoleTest : testing::Test {
  Board board;
  StringSink sink;
  VirtioConsole device{sink};
  VirtioMmio mmio{device, board.memory, Line(board.line, 0)};
  Driver driver{mmio, board.memory};

  std::string text_at(u64 address, u64 size) {
    const std::vector<u8> bytes = driver.bytes_at(address, size);
    return {bytes.begin(), bytes.end()};
  }
};

TEST_F(VirtioConsoleTest, WritesOutput) {
  std::vector<DriverQueue> queues = driver.start(virtio_feature::kIndirectDesc, 2, 16);
  const u64 buffer = driver.place({'h', 'e', 'l', 'l', 'o', '\n'});
  driver.add(queues[1], {{buffer, 2}, {buffer + 2, 4}}, {});
  driver.add(queues[1], {{buffer, 1}, {buffer + 1, 1}}, {}, true);
  driver.kick(queues[1]);
  EXPECT_EQ(sink.text, "hello\nhe");
  EXPECT_EQ(driver.take_used(queues[1])->length, 0u);
  EXPECT_TRUE(driver.take_used(queues[1]).has_value());
  EXPECT_EQ(driver.take_interrupt(), virtio_interrupt::kUsedBuffer);
}

TEST_F(VirtioConsoleTest, InputWaitsForBuffersAndSurvivesTheDriversReset) {
  EXPECT_EQ(device.push_input(bytes_of("boot me")), 7u);
  std::vector<DriverQueue> queues = driver.start(0, 2, 16);  // resets first
  EXPECT_EQ(device.state().input.size(), 7u);
  const u64 buffer = driver.allocate(64);
  driver.add(queues[0], {}, {{buffer, 4}});
  driver.kick(queues[0]);
  EXPECT_EQ(driver.take_used(queues[0])->length, 4u);
  EXPECT_EQ(text_at(buffer, 4), "boot");
  EXPECT_EQ(device.state().input.size(), 3u);
  driver.add(queues[0], {}, {{buffer, 64}});
  driver.add(queues[0], {}, {{buffer + 32, 32}});
  driver.kick(queues[0]);
  EXPECT_EQ(driver.take_used(queues[0])->length, 3u);
  EXPECT_FALSE(driver.take_used(queues[0]).has_value());  // the second buffer waits for input
  driver.take_interrupt();
  device.push_input(bytes_of("!"));
  EXPECT_EQ(driver.take_used(queues[0])->length, 1u);
  EXPECT_EQ(driver.take_interrupt(), virtio_interrupt::kUsedBuffer);
}

TEST_F(VirtioConsoleTest, InputIsBounded) {
  const std::string much(VirtioConsole::kInputMax, 'x');
  EXPECT_EQ(device.push_input(bytes_of(much)), much.size());
  EXPECT_EQ(device.input_room(), 0u);
  EXPECT_EQ(device.push_input(bytes_of("y")), 0u);
  VirtioConsoleState forged;
  forged.input.resize(VirtioConsole::kInputMax + 1);
  device.set_state(forged);
  EXPECT_EQ(device.input_room(), 0u);
}

TEST_F(VirtioConsoleTest, ResizeIsTold) {
  driver.start(1, 2, 16);
  EXPECT_EQ(mmio.read(0x100, 2), 80u);
  EXPECT_EQ(mmio.read(0x102, 2), 25u);
  device.resize(80, 25);
  EXPECT_EQ(driver.take_interrupt(), 0u);
  device.resize(132, 50);
  EXPECT_EQ(driver.take_interrupt(), virtio_interrupt::kConfigChange);
  EXPECT_EQ(mmio.read(0x100, 4), 132u | 50u << 16);
}

TEST_F(VirtioConsoleTest, TooMuchOutputInOneChainFails) {
  std::vector<DriverQueue> queues = driver.start(0, 2, 16);
  driver.add(queues[1], {{0, static_cast<u32>(VirtioConsole::kOutputMax + 1)}}, {});
  driver.kick(queues[1]);
  EXPECT_TRUE(driver.needs_reset());
  EXPECT_TRUE(sink.text.empty());
}

TEST_F(VirtioConsoleTest, RestoredInTheMiddle) {
  std::vector<DriverQueue> queues = driver.start(0, 2, 16);
  device.push_input(bytes_of("abc"));
  GuestMemory memory = board.memory.fork();
  StringSink other_sink;
  VirtioConsole other{other_sink};
  VirtioMmio other_mmio{other, memory, Line()};
  other.set_state(device.state());
  other_mmio.set_state(mmio.state());
  EXPECT_EQ(hash_state(other.state()), hash_state(device.state()));
  driver.add(queues[0], {}, {{0x8000, 8}});
  memory.write_value({queues[0].descriptors}, Descriptor{0x8000, 8, kWrite, 1});
  memory.write_value({queues[0].available + 2}, u16{1});
  driver.kick(queues[0]);
  other_mmio.write(reg::kQueueNotify, 4, 0);
  EXPECT_EQ(hash_state(other.state()), hash_state(device.state()));
  EXPECT_EQ(hash_state(other_mmio.state()), hash_state(mmio.state()));
  EXPECT_EQ(memory.hash(), board.memory.hash());
}

}  // namespace
}  // namespace bhvm
