#include "machine/virtio_slots.h"

#include <fmt/format.h>

#include "base/check.h"

namespace bhvm {

std::size_t VirtioSlots::disks_max(const VirtioSlotsOptions& options) {
  return memory_map::kVirtioSlots - 2 - (options.network ? 1 : 0);
}

VirtioSlots::VirtioSlots(const Wiring& wiring, const VirtioSlotsOptions& options, const RandomStream& entropy,
                         std::vector<DiskImage>& disks)
    : rng_(entropy), console_(*wiring.console_output) {
  BHVM_CHECK(disks.size() <= disks_max(options), "there are more disks than virtio slots");
  devices_ = {&rng_, &console_};
  if (options.network) devices_.push_back(&network_.emplace(*wiring.frame_output, *options.network));
  for (std::size_t i = 0; i < disks.size(); ++i) {
    const EventPort events(*wiring.queue, *wiring.clock, wiring.first_event_target + static_cast<u32>(devices_.size()));
    const std::string id = fmt::format("bhvm-disk-{}", i);
    VirtioBlkOptions disk_options;
    disk_options.id = id;
    disks_.push_back(std::make_unique<VirtioBlk>(disks[i], events, disk_options));
    devices_.push_back(disks_.back().get());
  }
  for (std::size_t slot = 0; slot < devices_.size(); ++slot) {
    const Line line(*wiring.interrupts, memory_map::kVirtioPins[slot]);
    transports_.push_back(std::make_unique<VirtioMmio>(*devices_[slot], *wiring.memory, line));
  }
}

void VirtioSlots::attach(AddressMap& map) {
  for (std::size_t slot = 0; slot < transports_.size(); ++slot) {
    const Status status = map.attach(memory_map::virtio_slot_base(slot), VirtioMmio::kWindowSize, *transports_[slot],
                                     fmt::format("virtio-{}", slot));
    BHVM_CHECK(status.ok(), "the memory map has an overlap");
  }
}

VirtioSlotsState VirtioSlots::state() const {
  VirtioSlotsState state;
  state.rng = rng_.state();
  state.console = console_.state();
  if (network_) state.network.push_back(network_->state());
  for (const auto& disk : disks_) state.disks.push_back(disk->state());
  for (const auto& transport : transports_) state.transports.push_back(transport->state());
  return state;
}

Status VirtioSlots::set_state(const VirtioSlotsState& state) {
  if (state.network.size() != (network_ ? 1U : 0U)) {
    return Error{"The snapshot was taken of a machine that differs in having a network card; give the same."};
  }
  if (state.disks.size() != disks_.size() || state.transports.size() != transports_.size()) {
    return Error{
        fmt::format("The snapshot was taken of a machine with {} disks and this one has {}; give the same disks.",
                    state.disks.size(), disks_.size())};
  }
  rng_.set_state(state.rng);
  console_.set_state(state.console);
  if (network_) network_->set_state(state.network.front());
  for (std::size_t i = 0; i < disks_.size(); ++i) disks_[i]->set_state(state.disks[i]);
  for (std::size_t i = 0; i < transports_.size(); ++i) transports_[i]->set_state(state.transports[i]);
  return success();
}

std::vector<AcpiVirtioSlot> VirtioSlots::acpi_slots() const {
  std::vector<AcpiVirtioSlot> slots;
  for (std::size_t slot = 0; slot < devices_.size(); ++slot) {
    slots.push_back({memory_map::virtio_slot_base(slot), memory_map::kVirtioPins[slot]});
  }
  return slots;
}

}  // namespace bhvm
