#include "devices/virtio/virtio_mmio.h"

#include <array>

#include "base/check.h"
#include "devices/virtio/virtio_ids.h"

namespace bhvm {
namespace {

constexpr u64 kConfigOffset = 0x100;
constexpr u32 kNoRegion = 0xffff'ffff;  // 4.2.2: length and base of a shared memory region that does not exist
constexpr u32 kStatusMask = virtio_status::kAcknowledge | virtio_status::kDriver | virtio_status::kDriverOk |
                            virtio_status::kFeaturesOk | virtio_status::kFailed;

}  // namespace

/// One row of table 4.1: a register may be read, written, or both.
struct VirtioMmio::Register {
  u16 offset;
  const char* name;
  u32 (*read)(VirtioMmio&);
  void (*write)(VirtioMmio&, u32);
};

const VirtioMmio::Register* VirtioMmio::find_register(u64 offset) {
  using M = VirtioMmio;
  using S = VirtqueueState;
  static constexpr Register kRegisters[] = {
      {0x000, "MagicValue", [](M&) { return kMagicValue; }, nullptr},
      {0x004, "Version", [](M&) { return kVersion; }, nullptr},
      {0x008, "DeviceID", [](M& m) { return m.device_->device_id(); }, nullptr},
      {0x00c, "VendorID", [](M&) { return kVendorId; }, nullptr},
      {0x010, "DeviceFeatures", [](M& m) { return m.read_device_features(); }, nullptr},
      {0x014, "DeviceFeaturesSel", nullptr, [](M& m, u32 v) { m.state_.device_features_sel = v; }},
      {0x020, "DriverFeatures", nullptr, [](M& m, u32 v) { m.write_driver_features(v); }},
      {0x024, "DriverFeaturesSel", nullptr, [](M& m, u32 v) { m.state_.driver_features_sel = v; }},
      {0x030, "QueueSel", nullptr, [](M& m, u32 v) { m.state_.queue_sel = v; }},
      {0x034, "QueueNumMax", [](M& m) { return m.read_queue_num_max(); }, nullptr},
      {0x038, "QueueNum", nullptr, [](M& m, u32 v) { m.write_queue_num(v); }},
      {0x044, "QueueReady", [](M& m) { return m.read_queue_ready(); }, [](M& m, u32 v) { m.write_queue_ready(v); }},
      {0x050, "QueueNotify", nullptr, [](M& m, u32 v) { m.notify_queue(v); }},
      {0x060, "InterruptStatus", [](M& m) { return m.state_.interrupt_status; }, nullptr},
      {0x064, "InterruptACK", nullptr, [](M& m, u32 v) { m.write_interrupt_ack(v); }},
      {0x070, "Status", [](M& m) { return m.state_.status; }, [](M& m, u32 v) { m.write_status(v); }},
      {0x080, "QueueDescLow", nullptr, [](M& m, u32 v) { m.write_queue_address<&S::descriptor, 0>(v); }},
      {0x084, "QueueDescHigh", nullptr, [](M& m, u32 v) { m.write_queue_address<&S::descriptor, 32>(v); }},
      {0x090, "QueueDriverLow", nullptr, [](M& m, u32 v) { m.write_queue_address<&S::driver, 0>(v); }},
      {0x094, "QueueDriverHigh", nullptr, [](M& m, u32 v) { m.write_queue_address<&S::driver, 32>(v); }},
      {0x0a0, "QueueDeviceLow", nullptr, [](M& m, u32 v) { m.write_queue_address<&S::device, 0>(v); }},
      {0x0a4, "QueueDeviceHigh", nullptr, [](M& m, u32 v) { m.write_queue_address<&S::device, 32>(v); }},
      {0x0ac, "SHMSel", nullptr, [](M& m, u32 v) { m.state_.shm_sel = v; }},
      {0x0b0, "SHMLenLow", [](M&) { return kNoRegion; }, nullptr},
      {0x0b4, "SHMLenHigh", [](M&) { return kNoRegion; }, nullptr},
      {0x0b8, "SHMBaseLow", [](M&) { return kNoRegion; }, nullptr},
      {0x0bc, "SHMBaseHigh", [](M&) { return kNoRegion; }, nullptr},
      {0x0c0, "QueueReset", [](M&) { return u32{0}; }, nullptr},  // VIRTIO_F_RING_RESET is not offered
      {0x0fc, "ConfigGeneration", [](M& m) { return m.state_.config_generation; }, nullptr},
  };
  for (const Register& entry : kRegisters) {
    if (entry.offset == offset) return &entry;
  }
  return nullptr;
}

const char* VirtioMmio::register_name(u64 offset) {
  const Register* entry = find_register(offset);
  return entry != nullptr ? entry->name : nullptr;
}

VirtioMmio::VirtioMmio(VirtioDevice& device, GuestMemory& memory, Line line)
    : device_(&device), memory_(&memory), line_(line) {
  for (const u16 size : device.queue_sizes_max()) {
    BHVM_CHECK(size >= 1 && size <= Virtqueue::kSizeMax && (size & (size - 1)) == 0,
               "a virtio device must give queue sizes that are powers of two");
  }
  device.attach(*this);
  reset_state();
}

u64 VirtioMmio::read(u64 offset, unsigned size) {
  if (offset >= kConfigOffset) {
    u64 value = 0;
    for (unsigned i = 0; i < size && i < 8; ++i) {
      value |= u64{device_->read_config(offset - kConfigOffset + i)} << (8 * i);
    }
    return value;
  }
  if (size != 4) return 0;
  const Register* entry = find_register(offset);
  return entry != nullptr && entry->read != nullptr ? entry->read(*this) : 0;
}

void VirtioMmio::write(u64 offset, unsigned size, u64 value) {
  if (offset >= kConfigOffset) {
    for (unsigned i = 0; i < size && i < 8; ++i) {
      device_->write_config(offset - kConfigOffset + i, static_cast<u8>(value >> (8 * i)));
    }
    return;
  }
  if (size != 4) return;
  const Register* entry = find_register(offset);
  if (entry != nullptr && entry->write != nullptr) entry->write(*this, static_cast<u32>(value));
}

void VirtioMmio::reset_state() {
  state_ = VirtioMmioState{};
  for (const u16 size : device_->queue_sizes_max()) state_.queues.push_back({.size = size});
}

void VirtioMmio::reset() {
  reset_state();
  device_->reset();
  line_.set(false);
}

void VirtioMmio::set_state(const VirtioMmioState& state) {
  const std::span<const u16> sizes = device_->queue_sizes_max();
  state_ = state;
  state_.queues.resize(sizes.size());
  state_.driver_features &= state_.status & virtio_status::kFeaturesOk ? offered_features() : ~u64{0};
  state_.interrupt_status &= virtio_interrupt::kUsedBuffer | virtio_interrupt::kConfigChange;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    VirtqueueState& queue = state_.queues[i];
    queue.ready = queue.ready && Virtqueue::sound(*memory_, queue, sizes[i]);
  }
}

u64 VirtioMmio::offered_features() const { return device_->device_features() | virtio_feature::kTransport; }

u64 VirtioMmio::negotiated_features() const {
  return (state_.status & virtio_status::kFeaturesOk) != 0 ? state_.driver_features : 0;
}

bool VirtioMmio::running() const {
  return (state_.status & (virtio_status::kDriverOk | virtio_status::kDeviceNeedsReset | virtio_status::kFailed)) ==
         virtio_status::kDriverOk;
}

bool VirtioMmio::usable(u32 queue) const {
  return running() && queue < state_.queues.size() && state_.queues[queue].ready;
}

Virtqueue VirtioMmio::queue(u32 index) {
  BHVM_CHECK(usable(index), "a virtio device touched a queue that is not usable");
  return {*memory_, state_.queues[index], state_.driver_features};
}

void VirtioMmio::notify_used(u32 queue_index) {
  if (usable(queue_index) && queue(queue_index).wants_notification()) raise(virtio_interrupt::kUsedBuffer);
}

void VirtioMmio::notify_config_change() {
  ++state_.config_generation;
  if (running()) raise(virtio_interrupt::kConfigChange);
}

void VirtioMmio::fail() {
  const bool was_running = running();
  state_.status |= virtio_status::kDeviceNeedsReset;
  if (was_running) raise(virtio_interrupt::kConfigChange);  // 2.1.2: only when DRIVER_OK is set
}

void VirtioMmio::raise(u32 interrupt) {
  state_.interrupt_status |= interrupt;
  line_.set(true);
}

void VirtioMmio::notify_queue(u32 queue_index) {
  if (usable(queue_index)) device_->on_notify(queue_index);
}

VirtqueueState* VirtioMmio::selected() {
  return state_.queue_sel < state_.queues.size() ? &state_.queues[state_.queue_sel] : nullptr;
}

u32 VirtioMmio::read_device_features() {
  const u32 half = state_.device_features_sel;
  return half < 2 ? static_cast<u32>(offered_features() >> (32 * half)) : 0;
}

void VirtioMmio::write_driver_features(u32 value) {
  if ((state_.status & virtio_status::kFeaturesOk) != 0 || state_.driver_features_sel >= 2) return;
  const unsigned shift = 32 * state_.driver_features_sel;
  state_.driver_features = (state_.driver_features & ~(u64{0xffff'ffff} << shift)) | u64{value} << shift;
}

u32 VirtioMmio::read_queue_num_max() {
  return selected() != nullptr ? device_->queue_sizes_max()[state_.queue_sel] : 0;
}

void VirtioMmio::write_queue_num(u32 value) {
  VirtqueueState* queue = selected();
  if (queue != nullptr && !queue->ready) queue->size = value;
}

u32 VirtioMmio::read_queue_ready() {
  const VirtqueueState* queue = selected();
  return queue != nullptr && queue->ready ? 1 : 0;
}

void VirtioMmio::write_queue_ready(u32 value) {
  VirtqueueState* queue = selected();
  if (queue == nullptr || queue->ready == ((value & 1) != 0)) return;
  if ((value & 1) == 0) {
    queue->ready = false;
    return;
  }
  if (!Virtqueue::sound(*memory_, *queue, device_->queue_sizes_max()[state_.queue_sel])) {
    fail();
    return;
  }
  queue->ready = true;
  queue->next_available = 0;
  queue->next_used = 0;
  queue->signalled_used = 0;
}

template <u64 VirtqueueState::* Area, unsigned Shift>
void VirtioMmio::write_queue_address(u32 value) {
  VirtqueueState* queue = selected();
  if (queue == nullptr || queue->ready) return;
  queue->*Area = (queue->*Area & ~(u64{0xffff'ffff} << Shift)) | u64{value} << Shift;
}

void VirtioMmio::write_interrupt_ack(u32 value) {
  state_.interrupt_status &= ~value;
  line_.set(state_.interrupt_status != 0);
}

void VirtioMmio::write_status(u32 value) {
  if (value == 0) {
    reset();
    return;
  }
  u32 added = value & kStatusMask & ~state_.status;
  if ((added & virtio_status::kFeaturesOk) != 0) {
    const bool acceptable = (state_.driver_features & ~offered_features()) == 0 &&
                            (state_.driver_features & virtio_feature::kVersion1) != 0;
    if (!acceptable) added &= ~virtio_status::kFeaturesOk;
  }
  if (((state_.status | added) & virtio_status::kFeaturesOk) == 0) added &= ~virtio_status::kDriverOk;
  state_.status |= added;
  if ((added & virtio_status::kFeaturesOk) != 0) device_->on_features(state_.driver_features);
  if ((added & virtio_status::kDriverOk) != 0) {
    // A notification that came before DRIVER_OK was ignored (2.1.2): look at every queue once.
    for (u32 i = 0; i < state_.queues.size(); ++i) notify_queue(i);
  }
}

}  // namespace bhvm
