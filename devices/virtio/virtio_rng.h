// The entropy device (virtio 1.2, 5.4): fills the driver's buffers from a stream of random numbers.
//
// A buffer gets at most kFillMax bytes, whatever its length. A reset does not turn the stream back: entropy is not
// repeated.
#pragma once

#include <array>

#include "base/random_stream.h"
#include "devices/virtio/virtio_device.h"

namespace bhvm {

struct VirtioRngState {
  RandomStreamState stream;
};

class VirtioRng final : public VirtioDevice {
 public:
  static constexpr u64 kFillMax = 64 * 1024;

  explicit VirtioRng(const RandomStream& stream) : stream_(stream) {}

  VirtioRngState state() const { return {stream_.state()}; }
  void set_state(const VirtioRngState& state) { stream_.state() = state.stream; }

  u32 device_id() const override;
  u64 device_features() const override { return 0; }
  std::span<const u16> queue_sizes_max() const override { return kQueueSizesMax; }
  u8 read_config(u64) const override { return 0; }
  void on_notify(u32 queue) override;
  void reset() override {}

 private:
  static constexpr std::array<u16, 1> kQueueSizesMax{64};  // requestq

  RandomStream stream_;
  Chain chain_;
};

}  // namespace bhvm
