// The virtio devices of a board, each behind an MMIO transport in a slot of the memory map.
//
// Slot 0 is the entropy device, slot 1 a console, from slot 2 on stand the disks in the order they were given. The
// slots own devices and transports and refer to the disk images, which are the machine's.
#pragma once

#include <memory>
#include <vector>

#include "base/random_stream.h"
#include "base/result.h"
#include "bus/address_map.h"
#include "bus/line.h"
#include "devices/byte_sink.h"
#include "devices/virtio/virtio_blk.h"
#include "devices/virtio/virtio_console.h"
#include "devices/virtio/virtio_mmio.h"
#include "devices/virtio/virtio_rng.h"
#include "machine/acpi_tables.h"
#include "machine/memory_map.h"
#include "scheduler/event_port.h"
#include "softmmu/guest_memory.h"

namespace bhvm {

struct VirtioSlotsState {
  VirtioRngState rng;
  VirtioConsoleState console;
  std::vector<VirtioBlkState> disks;
  std::vector<VirtioMmioState> transports;  // by slot
};

class VirtioSlots {
 public:
  static constexpr std::size_t kRngSlot = 0;
  static constexpr std::size_t kConsoleSlot = 1;
  static constexpr std::size_t kFirstDiskSlot = 2;
  static constexpr std::size_t kDisksMax = memory_map::kVirtioSlots - kFirstDiskSlot;

  struct Wiring {
    GuestMemory* memory = nullptr;
    LineListener* interrupts = nullptr;  // by IOAPIC pin
    ByteSink* console_output = nullptr;
    EventQueue* queue = nullptr;
    const VirtualClock* clock = nullptr;
    u32 first_event_target = 0;  // of slot 0; each slot has one
  };

  /// REQUIRES: at most kDisksMax disks; their addresses do not change.
  VirtioSlots(const Wiring& wiring, const RandomStream& entropy, std::vector<DiskImage>& disks);

  void attach(AddressMap& map);
  void on_event(std::size_t slot, u32 kind) { devices_[slot]->on_event(kind); }
  VirtioConsole& console() { return console_; }
  const VirtioConsole& console() const { return console_; }
  std::size_t count() const { return devices_.size(); }

  VirtioSlotsState state() const;
  /// An error when the state has not the same number of disks.
  Status set_state(const VirtioSlotsState& state);

  /// What the DSDT says of `disks` disks and the fixed devices.
  static std::vector<AcpiVirtioSlot> acpi_slots(std::size_t disks);

 private:
  VirtioRng rng_;
  VirtioConsole console_;
  std::vector<std::unique_ptr<VirtioBlk>> disks_;
  std::vector<VirtioDevice*> devices_;  // by slot
  std::vector<std::unique_ptr<VirtioMmio>> transports_;
};

}  // namespace bhvm
