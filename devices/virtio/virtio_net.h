// The network device (virtio 1.2, 5.1): one pair of queues, no offloads.
//
// Frames that the driver sends go to the sink at once. Frames that come in wait in a bounded queue until the driver has
// given buffers; when it is full, while the link is down or before the driver has started, they are dropped, as on a
// wire. With VIRTIO_NET_F_MRG_RXBUF a frame may take several buffers; without, a frame that does not fit into the next
// buffer is dropped and the buffer stays.
//
// Frames are 14 bytes to MTU + 18 bytes long (header and one VLAN tag); others are dropped in both directions, and so
// are frames sent with offloads, which were never offered. Whatever becomes of a frame is counted (net_counters.h).
#pragma once

#include <array>
#include <vector>

#include "devices/virtio/frame_sink.h"
#include "devices/virtio/net_counters.h"
#include "devices/virtio/virtio_device.h"

namespace bhvm {

struct VirtioNetFrame {
  std::vector<u8> bytes;
};

struct VirtioNetState {
  bool link_up = true;
  std::vector<VirtioNetFrame> received;  // waiting for buffers, oldest first
  u64 dropped_frames = 0;                // of those that came in
};

struct VirtioNetOptions {
  std::array<u8, 6> mac{};
  u16 mtu = 1500;  // 68 to 65535
};

class VirtioNet final : public VirtioDevice {
 public:
  static constexpr std::size_t kReceivedMax = 256;
  static constexpr u64 kFrameSizeMin = 14;
  static constexpr u16 kMtuMin = 68;

  VirtioNet(FrameSink& output, const VirtioNetOptions& options);

  /// A frame comes in. False when it was dropped.
  bool receive(std::span<const u8> frame);
  /// The cable; the driver is told.
  void set_link(bool up);

  const VirtioNetState& state() const { return state_; }
  /// Since this object was made; not state.
  const NetCounters& counters() const { return counters_; }
  std::size_t waiting() const { return state_.received.size(); }
  void set_state(const VirtioNetState& state);

  u32 device_id() const override;
  u64 device_features() const override;
  std::span<const u16> queue_sizes_max() const override { return kQueueSizesMax; }
  u8 read_config(u64 offset) const override;
  void on_notify(u32 queue) override;
  void reset() override;

 private:
  static constexpr u32 kReceive = 0;
  static constexpr u32 kTransmit = 1;
  static constexpr std::array<u16, 2> kQueueSizesMax{256, 256};

  enum class Delivery : u8 { kDone, kDropped, kNoBuffers, kFailed };

  u64 frame_size_max() const { return u64{options_.mtu} + 18; }
  bool frame_fits(u64 size) const { return size >= kFrameSizeMin && size <= frame_size_max(); }
  void deliver();
  Delivery deliver_frame(std::span<const u8> frame);
  void transmit();

  FrameSink* output_;
  VirtioNetOptions options_;
  VirtioNetState state_;
  NetCounters counters_;
  Chain transmit_chain_;
  std::vector<Chain> receive_chains_;  // of one frame
};

}  // namespace bhvm
