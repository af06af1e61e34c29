// The console device (virtio 1.2, 5.3) with one port: receiveq and transmitq, VIRTIO_CONSOLE_F_SIZE.
//
// Output goes to the sink at once. Input waits in a bounded buffer until the driver has given room; it is what was
// typed at the machine, not the device's, so a reset by the driver (which drivers do when they start) keeps it, and
// the size of the console with it.
#pragma once

#include <array>
#include <vector>

#include "devices/byte_sink.h"
#include "devices/virtio/virtio_device.h"

namespace bhvm {

struct VirtioConsoleState {
  u16 columns = 80;
  u16 rows = 25;
  std::vector<u8> input;  // waiting, at most VirtioConsole::kInputMax bytes
};

class VirtioConsole final : public VirtioDevice {
 public:
  static constexpr std::size_t kInputMax = 64 * 1024;
  /// A chain with more output than this is the driver's error.
  static constexpr u64 kOutputMax = u64{1} << 20;

  explicit VirtioConsole(ByteSink& output) : output_(&output) {}

  /// How many more bytes of input there is room for.
  std::size_t input_room() const { return kInputMax - state_.input.size(); }
  /// Types at the console; returns how many bytes were taken: all, or as many as there was room for.
  std::size_t push_input(std::span<const u8> bytes);
  /// Changes the size in characters and tells the driver.
  void resize(u16 columns, u16 rows);

  const VirtioConsoleState& state() const { return state_; }
  void set_state(const VirtioConsoleState& state);

  u32 device_id() const override;
  u64 device_features() const override;
  std::span<const u16> queue_sizes_max() const override { return kQueueSizesMax; }
  u8 read_config(u64 offset) const override;
  void on_notify(u32 queue) override;
  void reset() override {}

 private:
  static constexpr u32 kReceive = 0;
  static constexpr u32 kTransmit = 1;
  static constexpr std::array<u16, 2> kQueueSizesMax{64, 64};

  void deliver_input();
  void transmit();

  ByteSink* output_;
  VirtioConsoleState state_;
  Chain chain_;
};

}  // namespace bhvm
