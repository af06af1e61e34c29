// VirtioDevice: a kind of virtio device, apart from how the guest reaches it; VirtioTransport: what it sees of that.
//
// A device owns its own state and its host side (a disk, a sink). The transport owns status, features and queues. The
// device is made first, then the transport around it; both live as long as the board and do not move.
#pragma once

#include <span>

#include "base/types.h"
#include "devices/virtio/virtqueue.h"

namespace bhvm {

class VirtioTransport {
 public:
  /// The features that the driver accepted; 0 until FEATURES_OK.
  virtual u64 negotiated_features() const = 0;
  /// May the device touch this queue: DRIVER_OK, neither FAILED nor DEVICE_NEEDS_RESET, QueueReady?
  virtual bool usable(u32 queue) const = 0;
  /// REQUIRES: usable(queue). The view is good until the next access by the guest.
  virtual Virtqueue queue(u32 index) = 0;
  /// Raises a used buffer notification, if the driver wants one for what was used on this queue.
  virtual void notify_used(u32 queue) = 0;
  /// The configuration space changed: a new generation and a configuration change notification.
  virtual void notify_config_change() = 0;
  /// The driver broke the rules beyond repair: DEVICE_NEEDS_RESET. No queue is usable until it resets the device.
  virtual void fail() = 0;

 protected:
  ~VirtioTransport() = default;
};

class VirtioDevice {
 public:
  /// Section 5: the device type.
  virtual u32 device_id() const = 0;
  /// Feature bits of this device type that are offered (bits 0 to 23 and 50 to 127 are the device's; 63 is the limit).
  virtual u64 device_features() const = 0;
  /// The largest size of each queue: powers of two up to Virtqueue::kSizeMax. Fixed for the device's life.
  virtual std::span<const u16> queue_sizes_max() const = 0;
  /// One byte of the device configuration space, as it lies there (little-endian); 0 beyond its end.
  virtual u8 read_config(u64 offset) const = 0;
  /// The driver writes one byte of the configuration space. Most devices have nothing writable.
  virtual void write_config(u64 offset, u8 value);
  /// FEATURES_OK was accepted with these features.
  virtual void on_features(u64 negotiated);
  /// The driver made buffers available. REQUIRES: the queue is usable.
  virtual void on_notify(u32 queue) = 0;
  /// An event that the device armed is due.
  virtual void on_event(u32 kind);
  /// The driver resets the device (2.4). What stands outside of the device (a medium, a stream of entropy, input that
  /// was not delivered) stays.
  virtual void reset() = 0;

  /// Called once, by the transport's constructor.
  void attach(VirtioTransport& transport) { transport_ = &transport; }

 protected:
  ~VirtioDevice() = default;

  bool attached() const { return transport_ != nullptr; }
  VirtioTransport& transport() const;
  /// Is there a transport, and the queue usable?
  bool usable(u32 queue) const { return attached() && transport_->usable(queue); }
  /// Takes the queue's next chain. False when there is none, or when it was malformed and the device has failed.
  bool next_chain(u32 queue, Chain& chain);
  /// Takes chain after chain, until there is none or `handle()` returns false. A driver cannot make more chains
  /// available than a queue holds while the device is at work; one that does so by letting buffers and rings overlap
  /// fails.
  template <class Handle>
  void for_each_chain(u32 queue, Chain& chain, const Handle& handle) {
    for (u32 taken = 0; next_chain(queue, chain); ++taken) {
      if (taken == Virtqueue::kSizeMax) {
        transport().fail();
        return;
      }
      if (!handle()) return;
    }
  }
  /// Gives a chain back to the driver; a notification is the caller's to send when it is done with the batch.
  void use_chain(u32 queue, u16 head, u64 written);

 private:
  VirtioTransport* transport_ = nullptr;
};

/// Byte `offset` of a little-endian structure in `bytes`; 0 beyond its end.
constexpr u8 config_byte(std::span<const u8> bytes, u64 offset) {
  return offset < bytes.size() ? bytes[static_cast<std::size_t>(offset)] : u8{0};
}

}  // namespace bhvm
