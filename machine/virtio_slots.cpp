#include "machine/virtio_slots.h"

#include <fmt/format.h>

#include "base/check.h"

namespace bhvm {

namespace {

RandomStream entropy_stream(u64 seed, u64 machine_id) { return {seed, machine_id, "virtio-rng"}; }

RandomStream disk_stream(u64 seed, u64 machine_id, std::size_t disk) {
  return {seed, machine_id, fmt::format("disk-{}", disk)};
}

}  // namespace

std::size_t VirtioSlots::disks_max(const MachineConfig& config) {
  return memory_map::kVirtioSlots - 2 - (config.agent ? 1 : 0) - (config.network ? 1 : 0);
}

VirtioSlots::VirtioSlots(const Wiring& wiring, const MachineConfig& config, std::vector<DiskImage>& disks)
    : rng_(entropy_stream(config.seed, config.machine_id)), console_(*wiring.console_output) {
  BHVM_CHECK(disks.size() == config.disks.size(), "there are other disks than the configuration describes");
  BHVM_CHECK(disks.size() <= disks_max(config), "there are more disks than virtio slots");
  devices_ = {&rng_, &console_};
  if (config.agent) devices_.push_back(&agent_.emplace(*wiring.agent_output));
  if (config.network) {
    const VirtioNetOptions options{config.network->mac, config.network->mtu};
    devices_.push_back(&network_.emplace(*wiring.frame_output, options));
  }
  for (std::size_t i = 0; i < disks.size(); ++i) {
    const EventPort events(*wiring.queue, *wiring.clock, wiring.first_event_target + static_cast<u32>(devices_.size()));
    const std::string id = fmt::format("bhvm-disk-{}", i);
    const VirtioBlkOptions options{.read_only = config.disks[i].read_only,
                                   .logical_block_bytes = config.disks[i].logical_block_bytes,
                                   .physical_block_bytes = config.disks[i].physical_block_bytes,
                                   .id = id,
                                   .timing = config.disks[i].timing,
                                   .faults = disk_stream(config.seed, config.machine_id, i)};
    disks_.push_back(std::make_unique<VirtioBlk>(disks[i], events, options));
    devices_.push_back(disks_.back().get());
  }
  for (std::size_t slot = 0; slot < devices_.size(); ++slot) {
    const Line line(*wiring.interrupts, memory_map::kVirtioPins[slot]);
    transports_.push_back(std::make_unique<VirtioMmio>(*devices_[slot], *wiring.memory, line));
  }
}

VirtioConsole& VirtioSlots::agent() {
  BHVM_CHECK(agent_.has_value(), "this machine has no agent's console");
  return *agent_;
}

const VirtioConsole& VirtioSlots::agent() const {
  BHVM_CHECK(agent_.has_value(), "this machine has no agent's console");
  return *agent_;
}

void VirtioSlots::postpone(u64 by_ns) {
  for (const auto& disk : disks_) disk->postpone(by_ns);
}

void VirtioSlots::reseed(u64 seed, u64 machine_id) {
  rng_.set_state({entropy_stream(seed, machine_id).state()});
  for (std::size_t i = 0; i < disks_.size(); ++i) disks_[i]->reseed_faults(disk_stream(seed, machine_id, i));
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
  if (agent_) state.agent.push_back(agent_->state());
  if (network_) state.network.push_back(network_->state());
  for (const auto& disk : disks_) state.disks.push_back(disk->state());
  for (const auto& transport : transports_) state.transports.push_back(transport->state());
  return state;
}

Status VirtioSlots::set_state(const VirtioSlotsState& state) {
  if (state.network.size() != (network_ ? 1U : 0U)) {
    return Error{"The snapshot was taken of a machine that differs in having a network card; give the same."};
  }
  if (state.agent.size() != (agent_ ? 1U : 0U)) {
    return Error{"The snapshot was taken of a machine that differs in having an agent's console; give the same."};
  }
  if (state.disks.size() != disks_.size() || state.transports.size() != transports_.size()) {
    return Error{
        fmt::format("The snapshot was taken of a machine with {} disks and this one has {}; give the same disks.",
                    state.disks.size(), disks_.size())};
  }
  rng_.set_state(state.rng);
  console_.set_state(state.console);
  if (agent_) agent_->set_state(state.agent.front());
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
