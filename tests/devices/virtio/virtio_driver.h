// A driver for tests: sets a virtio device up over MMIO and works its queues as an operating system does.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "bus/line.h"
#include "devices/virtio/virtio_ids.h"
#include "devices/virtio/virtio_mmio.h"
#include "scheduler/event_port.h"
#include "softmmu/guest_memory.h"

namespace bhvm::virtio_test {

namespace reg {
inline constexpr u64 kMagicValue = 0x000, kVersion = 0x004, kDeviceId = 0x008, kVendorId = 0x00c;
inline constexpr u64 kDeviceFeatures = 0x010, kDeviceFeaturesSel = 0x014;
inline constexpr u64 kDriverFeatures = 0x020, kDriverFeaturesSel = 0x024;
inline constexpr u64 kQueueSel = 0x030, kQueueNumMax = 0x034, kQueueNum = 0x038, kQueueReady = 0x044;
inline constexpr u64 kQueueNotify = 0x050, kInterruptStatus = 0x060, kInterruptAck = 0x064, kStatus = 0x070;
inline constexpr u64 kQueueDescLow = 0x080, kQueueDriverLow = 0x090, kQueueDeviceLow = 0x0a0;
inline constexpr u64 kConfigGeneration = 0x0fc, kConfig = 0x100;
}  // namespace reg

inline constexpr u16 kNext = 1, kWrite = 2, kIndirect = 4;

struct Descriptor {
  u64 address = 0;
  u32 length = 0;
  u16 flags = 0;
  u16 next = 0;
};

struct RecordingLine final : LineListener {
  void set_line(u32, bool new_level) override {
    level = new_level;
    ++calls;
  }
  bool level = false;
  unsigned calls = 0;
};

/// The parts of a board that a device needs.
struct Board {
  static constexpr u64 kRamSize = u64{16} << 20;

  GuestMemory memory = GuestMemory::create(kRamSize).value();
  EventQueue events;
  VirtualClock clock;
  RecordingLine line;

  EventPort port() { return {events, clock, 1}; }
  /// Lets `device` have its events up to `time_ns`.
  void run_until(u64 time_ns, VirtioDevice& device) {
    while (events.next_time_ns() <= time_ns) {
      clock.idle_until(events.next_time_ns());
      const std::optional<Event> event = events.pop_due(clock.now_ns());
      device.on_event(event->kind);
    }
    clock.idle_until(time_ns);
  }
};

struct Buffer {
  u64 address = 0;
  u32 length = 0;
};

struct Used {
  u32 id = 0;
  u32 length = 0;
};

/// The driver's half of a split queue.
struct DriverQueue {
  u32 index = 0;
  u16 size = 0;
  u64 descriptors = 0, available = 0, used = 0;
  u16 next_descriptor = 0;
  u16 available_index = 0;
  u16 used_index = 0;
};

class Driver {
 public:
  Driver(VirtioMmio& mmio, GuestMemory& memory) : mmio_(&mmio), memory_(&memory) {}

  u32 get(u64 offset) { return static_cast<u32>(mmio_->read(offset, 4)); }
  void set(u64 offset, u32 value) { mmio_->write(offset, 4, value); }
  void add_status(u32 bits) { set(reg::kStatus, get(reg::kStatus) | bits); }

  u64 device_features() {
    set(reg::kDeviceFeaturesSel, 0);
    const u64 low = get(reg::kDeviceFeatures);
    set(reg::kDeviceFeaturesSel, 1);
    return low | u64{get(reg::kDeviceFeatures)} << 32;
  }
  void accept_features(u64 features) {
    set(reg::kDriverFeaturesSel, 0);
    set(reg::kDriverFeatures, static_cast<u32>(features));
    set(reg::kDriverFeaturesSel, 1);
    set(reg::kDriverFeatures, static_cast<u32>(features >> 32));
  }
  /// 3.1.1, up to FEATURES_OK.
  void negotiate(u64 features) {
    set(reg::kStatus, 0);
    add_status(virtio_status::kAcknowledge);
    add_status(virtio_status::kDriver);
    accept_features(features | virtio_feature::kVersion1);
    add_status(virtio_status::kFeaturesOk);
  }
  void set_queue_registers(u32 index, u32 size, u64 descriptors, u64 available, u64 used) {
    set(reg::kQueueSel, index);
    set(reg::kQueueNum, size);
    const std::array<std::pair<u64, u64>, 3> areas{
        {{reg::kQueueDescLow, descriptors}, {reg::kQueueDriverLow, available}, {reg::kQueueDeviceLow, used}}};
    for (const auto& [offset, address] : areas) {
      set(offset, static_cast<u32>(address));
      set(offset + 4, static_cast<u32>(address >> 32));
    }
    set(reg::kQueueReady, 1);
  }
  DriverQueue make_queue(u32 index, u16 size) {
    DriverQueue queue{.index = index, .size = size};
    queue.descriptors = allocate(u64{16} * size);
    queue.available = allocate(6 + u64{2} * size);
    queue.used = allocate(6 + u64{8} * size);
    set_queue_registers(index, size, queue.descriptors, queue.available, queue.used);
    return queue;
  }
  /// Negotiates, sets up `count` queues of `size` and says DRIVER_OK.
  std::vector<DriverQueue> start(u64 features, u32 count, u16 size) {
    negotiate(features);
    std::vector<DriverQueue> queues;
    for (u32 i = 0; i < count; ++i) queues.push_back(make_queue(i, size));
    add_status(virtio_status::kDriverOk);
    return queues;
  }

  /// Fresh, page-aligned memory.
  u64 allocate(u64 size) {
    const u64 address = next_free_;
    next_free_ += (size + kPageOffsetMask) & kPageMask;
    return address;
  }
  u64 place(const std::vector<u8>& bytes) {
    const u64 address = allocate(bytes.size());
    memory_->write({address}, bytes.data(), bytes.size());
    return address;
  }
  std::vector<u8> bytes_at(u64 address, u64 size) {
    std::vector<u8> bytes(size);
    EXPECT_TRUE(memory_->read({address}, bytes.data(), size));
    return bytes;
  }

  void write_descriptor(u64 table, u16 index, const Descriptor& descriptor) {
    memory_->write_value({table + u64{16} * index}, descriptor);
  }
  /// Makes the chain that starts at `head` available.
  void offer(DriverQueue& queue, u16 head) {
    memory_->write_value({queue.available + 4 + u64{2} * (queue.available_index % queue.size)}, head);
    ++queue.available_index;
    memory_->write_value({queue.available + 2}, queue.available_index);
  }
  /// Builds a chain in the queue's own table, or behind one indirect descriptor, and makes it available.
  u16 add(DriverQueue& queue, const std::vector<Buffer>& readable, const std::vector<Buffer>& writable,
          bool indirect = false) {
    std::vector<Descriptor> chain;
    for (const Buffer& buffer : readable) chain.push_back({buffer.address, buffer.length, kNext, 0});
    for (const Buffer& buffer : writable) {
      chain.push_back({buffer.address, buffer.length, static_cast<u16>(kNext | kWrite), 0});
    }
    chain.back().flags &= static_cast<u16>(~kNext);
    const u16 first = indirect ? u16{0} : queue.next_descriptor;
    const u64 table = indirect ? allocate(16 * chain.size()) : queue.descriptors;
    const u16 table_size = indirect ? static_cast<u16>(chain.size()) : queue.size;
    u16 index = static_cast<u16>(first % table_size);
    const u16 chain_head = index;
    for (Descriptor& descriptor : chain) {
      descriptor.next = static_cast<u16>((index + 1) % table_size);
      write_descriptor(table, index, descriptor);
      index = descriptor.next;
    }
    u16 head = chain_head;
    if (indirect) {
      head = static_cast<u16>(queue.next_descriptor % queue.size);
      write_descriptor(queue.descriptors, head, {table, static_cast<u32>(16 * chain.size()), kIndirect, 0});
      queue.next_descriptor = static_cast<u16>((head + 1) % queue.size);
    } else {
      queue.next_descriptor = index;
    }
    offer(queue, head);
    return head;
  }
  void kick(const DriverQueue& queue) { set(reg::kQueueNotify, queue.index); }
  std::optional<Used> take_used(DriverQueue& queue) {
    u16 index = 0;
    memory_->read_value({queue.used + 2}, index);
    if (index == queue.used_index) return std::nullopt;
    Used used;
    memory_->read_value({queue.used + 4 + u64{8} * (queue.used_index % queue.size)}, used);
    ++queue.used_index;
    return used;
  }
  u32 take_interrupt() {
    const u32 status = get(reg::kInterruptStatus);
    set(reg::kInterruptAck, status);
    return status;
  }
  bool needs_reset() { return (get(reg::kStatus) & virtio_status::kDeviceNeedsReset) != 0; }

 private:
  VirtioMmio* mmio_;
  GuestMemory* memory_;
  u64 next_free_ = 0x10000;
};

}  // namespace bhvm::virtio_test
