// The virtio devices of a board, each behind an MMIO transport in a slot of the memory map.
//
// Slot 0 is the entropy device, slot 1 a console, then come the network card, if there is one, and the disks in the
// order they were given. The slots own devices and transports and refer to the disk images, which are the machine's.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/random_stream.h"
#include "base/result.h"
#include "bus/address_map.h"
#include "bus/line.h"
#include "devices/byte_sink.h"
#include "devices/virtio/virtio_blk.h"
#include "devices/virtio/virtio_console.h"
#include "devices/virtio/virtio_mmio.h"
#include "devices/virtio/virtio_net.h"
#include "devices/virtio/virtio_rng.h"
#include "machine/acpi_tables.h"
#include "machine/machine_config.h"
#include "machine/memory_map.h"
#include "scheduler/event_port.h"
#include "softmmu/guest_memory.h"

namespace bhvm {

struct VirtioSlotsState {
  VirtioRngState rng;
  VirtioConsoleState console;
  std::vector<VirtioConsoleState> agent;  // one or none
  std::vector<VirtioNetState> network;    // one or none
  std::vector<VirtioBlkState> disks;
  std::vector<VirtioMmioState> transports;  // by slot
};

class VirtioSlots {
 public:
  struct Wiring {
    GuestMemory* memory = nullptr;
    LineListener* interrupts = nullptr;  // by IOAPIC pin
    ByteSink* console_output = nullptr;
    ByteSink* agent_output = nullptr;
    FrameSink* frame_output = nullptr;
    EventQueue* queue = nullptr;
    const VirtualClock* clock = nullptr;
    u32 first_event_target = 0;  // of slot 0; each slot has one
  };

  /// REQUIRES: as many disks as `config` describes, at most disks_max(); their addresses do not change.
  VirtioSlots(const Wiring& wiring, const MachineConfig& config, std::vector<DiskImage>& disks);
  /// How many disks there is room for beside the other devices of `config`.
  static std::size_t disks_max(const MachineConfig& config);

  void attach(AddressMap& map);
  void on_event(std::size_t slot, u32 kind) { devices_[slot]->on_event(kind); }
  VirtioConsole& console() { return console_; }
  const VirtioConsole& console() const { return console_; }
  /// Null when there is none.
  VirtioNet* network() { return network_ ? &*network_ : nullptr; }
  const VirtioNet* network() const { return network_ ? &*network_ : nullptr; }
  /// REQUIRES: MachineConfig::agent.
  VirtioConsole& agent();
  const VirtioConsole& agent() const;
  VirtioBlk& disk(std::size_t index) { return *disks_.at(index); }
  std::size_t count() const { return devices_.size(); }
  /// As if the machine had been powered on this much later.
  void postpone(u64 by_ns);
  /// The streams of all devices, as at power-on.
  void reseed(u64 seed, u64 machine_id);

  VirtioSlotsState state() const;
  /// An error when the state has not the same devices.
  Status set_state(const VirtioSlotsState& state);

  /// What the DSDT says of them.
  std::vector<AcpiVirtioSlot> acpi_slots() const;

 private:
  VirtioRng rng_;
  VirtioConsole console_;
  std::optional<VirtioConsole> agent_;
  std::optional<VirtioNet> network_;
  std::vector<std::unique_ptr<VirtioBlk>> disks_;
  std::vector<VirtioDevice*> devices_;  // by slot
  std::vector<std::unique_ptr<VirtioMmio>> transports_;
};

}  // namespace bhvm
