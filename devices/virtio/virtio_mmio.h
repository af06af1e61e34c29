// The virtio transport over MMIO, version 2 (virtio 1.2, section 4.2): one device in a window of registers, one line.
//
// Registers below 0x100 answer only to aligned 32-bit accesses (4.2.2.2); any other access there reads as zero and
// writes nothing. From 0x100 on lies the device's configuration space, which takes accesses of any size and alignment.
//
// The status field only grows until a reset: clearing a bit is the driver's error (2.1.1) and ignored. FEATURES_OK
// sticks only when the driver accepted VIRTIO_F_VERSION_1 and nothing that was not offered; DRIVER_OK only after
// FEATURES_OK. While a queue is ready, its size and addresses are fixed. A queue that cannot work (see
// Virtqueue::sound) is refused: QueueReady stays 0 and DEVICE_NEEDS_RESET is set.
//
// The transport owns the queues and refers to the device, the memory and the line; the board owns all of them.
#pragma once

#include <vector>

#include "bus/address_map.h"
#include "bus/line.h"
#include "devices/virtio/virtio_device.h"
#include "softmmu/guest_memory.h"

namespace bhvm {

struct VirtioMmioState {
  u32 status = 0;
  u32 device_features_sel = 0;
  u32 driver_features_sel = 0;
  u64 driver_features = 0;
  u32 queue_sel = 0;
  u32 shm_sel = 0;
  u32 interrupt_status = 0;
  u32 config_generation = 0;
  std::vector<VirtqueueState> queues;  // as many as the device has
};

class VirtioMmio final : public Chip, private VirtioTransport {
 public:
  static constexpr u64 kWindowSize = 0x200;
  static constexpr u32 kMagicValue = 0x74726976;  // "virt"
  static constexpr u32 kVersion = 2;
  static constexpr u32 kVendorId = 0x4d564842;  // "BHVM"

  VirtioMmio(VirtioDevice& device, GuestMemory& memory, Line line);
  VirtioMmio(const VirtioMmio&) = delete;
  VirtioMmio& operator=(const VirtioMmio&) = delete;

  u64 read(u64 offset, unsigned size) override;
  void write(u64 offset, unsigned size, u64 value) override;
  /// Reset of the board. The driver's own reset (Status = 0) does the same.
  void reset();

  const VirtioMmioState& state() const { return state_; }
  /// Takes over a saved state; drives no line. What could not have been saved is put in order: the number of queues is
  /// the device's, unsound queues are not ready, features stay within those offered.
  void set_state(const VirtioMmioState& state);

  /// The specification's name of the register at `offset`; nullptr when there is none.
  static const char* register_name(u64 offset);

 private:
  struct Register;
  static const Register* find_register(u64 offset);

  u64 negotiated_features() const override;
  bool usable(u32 queue) const override;
  Virtqueue queue(u32 index) override;
  void notify_used(u32 queue) override;
  void notify_config_change() override;
  void fail() override;

  u64 offered_features() const;
  bool running() const;
  VirtqueueState* selected();
  void reset_state();
  void raise(u32 interrupt);
  void notify_queue(u32 queue);

  u32 read_device_features();
  u32 read_queue_num_max();
  u32 read_queue_ready();
  void write_driver_features(u32 value);
  void write_queue_num(u32 value);
  void write_queue_ready(u32 value);
  void write_interrupt_ack(u32 value);
  void write_status(u32 value);
  template <u64 VirtqueueState::* Area, unsigned Shift>
  void write_queue_address(u32 value);

  VirtioDevice* device_;
  GuestMemory* memory_;
  Line line_;
  VirtioMmioState state_;
};

}  // namespace bhvm
