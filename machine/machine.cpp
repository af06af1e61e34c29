#include "machine/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "cpu/system/cpuid.h"
#include "machine/acpi_tables.h"
#include "machine/cpu_dump.h"
#include "machine/linux_boot.h"
#include "machine/memory_map.h"
#include "state/hash_state.h"

namespace bhvm {
namespace {

namespace map = memory_map;

constexpr u64 kNsPerSecond = 1'000'000'000;
constexpr u64 kLongestRun = 4'000'000;  // instructions between two looks at a stop request

// Event targets: the platform's chips, then the virtio slots.
constexpr u32 kPlatformTargets = 0;
constexpr u32 kVirtioTargets = 64;
static_assert(Platform::kEventTargets <= kVirtioTargets);

constexpr u32 kIntrLine = 0;

RandomStream entropy_stream(u64 seed, u64 machine_id) { return {seed, machine_id, "rdrand"}; }
RandomStream jitter_stream(u64 seed, u64 machine_id) { return {seed, machine_id, "timer-jitter"}; }

bool names_virtio_console(const std::string& command_line) {
  const std::size_t last = command_line.rfind("console=");
  return last != std::string::npos && command_line.compare(last, 11, "console=hvc") == 0;
}

}  // namespace

Machine::Machine(MachineConfig config, GuestMemory memory, std::vector<DiskImage> disks)
    : config_(std::move(config)),
      memory_(std::move(memory)),
      disks_(std::move(disks)),
      clock_(config_.rate_numerator, config_.rate_denominator, config_.power_on_ns),
      oscillator_(config_.power_on_ns),
      platform_(
          {.intr = Line(*this, kIntrLine),
           .queue = &queue_,
           .clock = &clock_,
           .oscillator = &oscillator_,
           .console_output = this,
           .control = this,
           .first_event_target = kPlatformTargets,
           .rtc_epoch_s = config_.rtc_epoch_s + config_.power_on_ns / kNsPerSecond,
           .timer_jitter = TimerJitter(config_.timer_jitter_ns, jitter_stream(config_.seed, config_.machine_id))}),
      network_(clock_),
      virtio_({.memory = &memory_,
               .interrupts = &platform_.interrupts(),
               .console_output = this,
               .agent_output = &agent_output_,
               .frame_output = &network_,
               .queue = &queue_,
               .clock = &clock_,
               .first_event_target = kVirtioTargets},
              config_, disks_),
      mmu_(memory_),
      cpu_(mmu_, *this),
      entropy_(entropy_stream(config_.seed, config_.machine_id)),
      console_is_virtio_(names_virtio_console(config_.command_line)) {
  memory_.set_observer(&mmu_);
  platform_.attach(memory_map_, port_map_);
  virtio_.attach(memory_map_);
}

Machine::~Machine() { memory_.set_observer(nullptr); }

Result<std::vector<DiskImage>> Machine::open_disks(const MachineConfig& config) {
  const std::size_t disks_max = VirtioSlots::disks_max(config);
  if (config.disks.size() > disks_max) {
    return Error{fmt::format("{} disks were given; the machine takes at most {}.", config.disks.size(), disks_max)};
  }
  std::vector<DiskImage> disks;
  for (const DiskConfig& description : config.disks) {
    Result<DiskImage> disk =
        description.path.empty() ? DiskImage::create(description.size_bytes) : DiskImage::open(description.path);
    if (!disk) return disk.error();
    if (const u64 size_bytes = disk.value().sectors() * kSectorSize;
        size_bytes % description.logical_block_bytes != 0) {
      return Error{fmt::format("The disk {} has {} bytes, which is no multiple of its logical block of {}.",
                               description.path, size_bytes, description.logical_block_bytes)};
    }
    disks.push_back(std::move(disk).value());
  }
  return disks;
}

Result<std::unique_ptr<Machine>> Machine::create(const MachineConfig& config) {
  Result<std::vector<DiskImage>> disks = open_disks(config);
  if (!disks) return disks.error();
  return create(config, std::move(disks).value());
}

Result<std::unique_ptr<Machine>> Machine::create(const MachineConfig& config, std::vector<DiskImage> disks) {
  if (config.kernel == nullptr) return Error{"A machine needs a kernel: give an x86-64 vmlinux."};
  Result<GuestMemory> memory = GuestMemory::create(config.memory_bytes);
  if (!memory) return memory.error();
  constexpr u64 kSmallest = u64{2} << 20;
  if (config.memory_bytes < kSmallest) {
    return Error{
        fmt::format("{} KiB of guest memory is too little: the board itself needs 2 MiB, a Linux kernel about 32.",
                    config.memory_bytes >> 10)};
  }
  if (config.network && config.network->mtu < VirtioNet::kMtuMin) {
    return Error{
        fmt::format("The network card's MTU is {}; give at least {}.", config.network->mtu, VirtioNet::kMtuMin)};
  }
  std::unique_ptr<Machine> machine(new Machine(config, std::move(memory).value(), std::move(disks)));
  if (Status status = machine->boot(); !status) return status.error();
  return machine;
}

Status Machine::boot() {
  const AcpiTables acpi = build_acpi_tables(map::kAcpiBase, virtio_.acpi_slots());
  BHVM_CHECK(memory_.write({acpi.base}, acpi.image.data(), acpi.image.size()), "the ACPI tables lie outside RAM");
  LinuxBoot boot;
  boot.kernel = config_.kernel.get();
  if (config_.initrd != nullptr) boot.initrd = *config_.initrd;
  boot.command_line = complete_command_line(config_.command_line);
  boot.acpi_rsdp = {acpi.base};
  CpuState state;
  if (Status status = load_linux(memory_, boot, state); !status) return status;
  cpu_.set_state(state);
  return success();
}

// ---- the run loop ----

Stop Machine::run_until(const RunLimits& limits) {
  for (;;) {
    sync_clock();
    if (end_.ended) return ended();
    if (cpu_.s.instructions >= limits.instructions) return {StopReason::kInstructionLimit, 0, {}};
    if (clock_.now_ns() >= limits.time_ns) return {StopReason::kTimeLimit, 0, {}};
    if (limits.stop_request != nullptr && *limits.stop_request) return {StopReason::kStopRequest, 0, {}};
    dispatch_due_events();
    if (end_.ended) continue;

    if (paused()) {
      const u64 next_ns = std::min(next_event_ns(), paused_until_ns_);
      if (next_ns == EventQueue::kNever && limits.time_ns == EventQueue::kNever) {
        return {StopReason::kHaltedForever, 0, {}};
      }
      if (limits.stop_when_idle) return {StopReason::kIdle, 0, {}};
      clock_.idle_until(std::min(next_ns, limits.time_ns));
      continue;
    }
    const bool interrupt_ready = cpu_.s.interrupt_line && interrupts_enabled();
    if (cpu_.s.halted && !interrupt_ready) {
      const u64 next_ns = next_event_ns();
      if (next_ns == EventQueue::kNever || !interrupts_enabled()) return {StopReason::kHaltedForever, 0, {}};
      if (limits.stop_when_idle) return {StopReason::kIdle, 0, {}};
      clock_.idle_until(std::min(next_ns, limits.time_ns));
      continue;
    }
    switch (cpu_.run(budget(limits))) {
      case RunExit::kLimit:
      case RunExit::kHalted:
      case RunExit::kAttention:
        break;
      case RunExit::kShutdown:
        end(StopReason::kTripleFault);
        break;
      case RunExit::kUnsupported:
        end(StopReason::kUnsupported, 0, cpu_.stop_message != nullptr ? cpu_.stop_message : "");
        break;
    }
  }
}

u64 Machine::budget(const RunLimits& limits) const {
  const u64 until_ns = std::min(next_event_ns(), limits.time_ns);
  const u64 by_time = until_ns == EventQueue::kNever ? kLongestRun : clock_.instructions_until(until_ns);
  return std::max<u64>(1, std::min({by_time, limits.instructions - cpu_.s.instructions, kLongestRun}));
}

void Machine::dispatch_due_events() {
  const u64 now_ns = clock_.now_ns();
  while (!end_.ended) {
    if (network_.next_time_ns() <= queue_.next_time_ns()) {
      const std::optional<ScheduledFrame> frame = network_.pop_due(now_ns);
      if (!frame) break;
      ++events_;
      virtio_.network()->receive(frame->bytes);
      continue;
    }
    const std::optional<Event> event = queue_.pop_due(now_ns);
    if (!event) break;
    ++events_;
    if (event->target >= kVirtioTargets) {
      virtio_.on_event(event->target - kVirtioTargets, event->kind);
    } else {
      platform_.on_event(event->target - kPlatformTargets, event->kind, event->argument);
    }
  }
  check_disks();
}

void Machine::check_disks() {
  for (const DiskImage& disk : disks_) {
    if (disk.host_error()) end(StopReason::kHostError, 0, disk.host_error()->message);
  }
}

void Machine::idle_until(u64 time_ns) {
  sync_clock();
  BHVM_CHECK(cpu_.s.halted || paused(), "a machine that is not halted cannot skip time");
  if (!cpu_.s.halted) time_ns = std::min(time_ns, paused_until_ns_);
  clock_.idle_until(std::min(time_ns, next_event_ns()));
}

u64 Machine::earliest_action_ns() const {
  if (end_.ended) return EventQueue::kNever;
  const u64 now_ns = clock_.time_at(cpu_.s.instructions);
  u64 first_ns = now_ns;
  if (cpu_.s.halted && !(cpu_.s.interrupt_line && interrupts_enabled())) {
    // Without interrupts a halted processor sleeps on, whatever the devices do.
    first_ns = interrupts_enabled() ? next_event_ns() : EventQueue::kNever;
  } else if (now_ns < paused_until_ns_) {
    first_ns = std::min(paused_until_ns_, next_event_ns());
  }
  return std::max(first_ns, now_ns);
}

bool Machine::interrupts_enabled() const { return (cpu_.s.rflags & rflags::kIf) != 0; }

void Machine::end(StopReason reason, u32 status, std::string message) {
  if (end_.ended) return;  // the first reason counts
  end_ = {true, reason, status};
  end_message_ = std::move(message);
}

Stop Machine::ended() const { return {end_.reason, end_.status, end_message_}; }

// ---- console ----

std::size_t Machine::console_input(std::span<const u8> bytes) {
  sync_clock();
  return console_is_virtio_ ? virtio_.console().push_input(bytes) : platform_.uart().receive(bytes);
}

std::size_t Machine::console_input_room() const {
  return console_is_virtio_ ? virtio_.console().input_room() : platform_.uart().input_room();
}

void Machine::write_bytes(std::span<const u8> bytes) {
  if (console_output_) console_output_(bytes);
}

// ---- network ----

void Machine::schedule_frame(u64 time_ns, std::vector<u8> frame) {
  sync_clock();
  BHVM_CHECK(virtio_.network() != nullptr, "a frame was sent to a machine without a network card");
  BHVM_CHECK(time_ns >= clock_.now_ns(), "a frame was sent to a machine's past");
  network_.schedule(time_ns, std::move(frame));
}

NetworkStatistics Machine::network_statistics() const {
  NetworkStatistics statistics;
  const VirtioNet* const card = virtio_.network();
  if (card == nullptr) return statistics;
  statistics.card = card->counters();
  statistics.waiting = card->waiting();
  statistics.under_way = network_.state().frames.size();
  return statistics;
}

std::size_t Machine::agent_input(std::span<const u8> bytes) {
  sync_clock();
  return virtio_.agent().push_input(bytes);
}

std::size_t Machine::agent_input_room() const { return virtio_.agent().input_room(); }

// ---- what goes wrong ----

void Machine::set_cpu_rate(u64 numerator, u64 denominator) {
  sync_clock();
  clock_.set_rate(numerator, denominator);
}

void Machine::pause_until(u64 time_ns) { paused_until_ns_ = time_ns; }

template <class Change>
void Machine::change_clocks(const Change& change) {
  sync_clock();
  platform_.clock_changing();
  change(clock_.now_ns());
  platform_.clock_changed();
}

void Machine::step_clock(i64 delta_ns) {
  change_clocks([&](u64 now_ns) { oscillator_.step(now_ns, delta_ns); });
}

void Machine::set_clock_rate(u64 numerator, u64 denominator) {
  change_clocks([&](u64 now_ns) { oscillator_.set_rate(now_ns, numerator, denominator); });
}

void Machine::set_timer_jitter(u64 max_ns) { platform_.timer_jitter().set_max(max_ns); }

void Machine::set_disk_faults(std::size_t disk, const DiskFaults& faults) { virtio_.disk(disk).set_faults(faults); }

void Machine::power_cut(const PowerCut& cut) {
  sync_clock();
  for (std::size_t i = 0; i < disks_.size(); ++i) virtio_.disk(i).power_cut(cut);
  check_disks();
  end(StopReason::kPowerCut);
}

std::vector<DiskImage> Machine::take_disks() {
  BHVM_CHECK(end_.ended, "the disks of a running machine are in use");
  std::vector<DiskImage> disks;
  for (DiskImage& disk : disks_) disks.push_back(disk.fork());
  return disks;
}

void Machine::reseed(u64 seed, u64 machine_id) {
  config_.seed = seed;
  config_.machine_id = machine_id;
  entropy_ = entropy_stream(seed, machine_id);
  platform_.timer_jitter().reseed(jitter_stream(seed, machine_id));
  virtio_.reseed(seed, machine_id);
}

// ---- state ----

MachineState Machine::state() const {
  MachineState state;
  state.cpu = cpu_.s;
  state.clock = clock_.state();
  state.clock.instructions = cpu_.s.instructions;
  state.oscillator = oscillator_.state();
  state.events = queue_.state();
  state.platform = platform_.state();
  state.virtio = virtio_.state();
  state.network = network_.state();
  state.entropy = entropy_.state();
  state.paused_until_ns = paused_until_ns_;
  state.end = end_;
  state.tlb = mmu_.state();
  return state;
}

Status Machine::set_state(const MachineState& state) {
  if (Status status = virtio_.set_state(state.virtio); !status) return status;
  clock_.set_state(state.clock);
  oscillator_.set_state(state.oscillator);
  queue_.set_state(state.events);
  platform_.set_state(state.platform);
  network_.set_state(state.network);
  entropy_.state() = state.entropy;
  paused_until_ns_ = state.paused_until_ns;
  end_ = state.end;
  cpu_.set_state(state.cpu);  // sets the paging controls, which may flush:
  mmu_.set_state(state.tlb);  // so the translations come after
  return success();
}

Hash128 Machine::state_hash() {
  std::vector<Hash128> parts{hash_state(state()), memory_.hash()};
  for (DiskImage& disk : disks_) {
    const Result<Hash128> hash = disk.hash();
    if (!hash) end(StopReason::kHostError, 0, hash.error().message);
    parts.push_back(hash ? hash.value() : Hash128{});
  }
  return hash_bytes(parts.data(), parts.size() * sizeof(Hash128));
}

MachineSnapshot Machine::snapshot() {
  std::vector<DiskImage> disks;
  disks.reserve(disks_.size());
  for (DiskImage& disk : disks_) disks.push_back(disk.fork());
  return MachineSnapshot(config_, state(), memory_.fork(), std::move(disks));
}

std::unique_ptr<Machine> Machine::from_snapshot(MachineSnapshot& snapshot) { return make(snapshot, {}); }

std::unique_ptr<Machine> Machine::from_snapshot(MachineSnapshot& snapshot, std::vector<DiskImage> disks, u64 time_ns) {
  std::unique_ptr<Machine> machine = make(snapshot, std::move(disks));
  BHVM_CHECK(time_ns >= machine->now_ns(), "a snapshot cannot be made into a machine of the past");
  machine->postpone(time_ns - machine->now_ns());
  return machine;
}

void Machine::postpone(u64 by_ns) {
  if (by_ns == 0) return;
  BHVM_CHECK(network_.next_time_ns() == EventQueue::kNever, "a frame is on its way to a machine that is moved in time");
  config_.power_on_ns += by_ns;
  clock_.postpone(by_ns);
  oscillator_.postpone(by_ns);
  queue_.postpone(by_ns);
  virtio_.postpone(by_ns);
  if (paused_until_ns_ != 0) paused_until_ns_ += std::min(by_ns, EventQueue::kNever - paused_until_ns_);
  platform_.advance_date((by_ns + kNsPerSecond / 2) / kNsPerSecond);  // the RTC keeps the phase of its seconds
}

std::unique_ptr<Machine> Machine::make(MachineSnapshot& snapshot, std::vector<DiskImage> disks) {
  if (disks.empty()) {
    for (DiskImage& disk : snapshot.disks_) disks.push_back(disk.fork());
  }
  for (std::size_t i = 0; i < disks.size(); ++i) {
    BHVM_CHECK(i < snapshot.disks_.size() && disks[i].size_bytes() == snapshot.disks_[i].size_bytes(),
               "a snapshot was given disks of other sizes");
  }
  std::unique_ptr<Machine> machine(new Machine(snapshot.config_, snapshot.memory_.fork(), std::move(disks)));
  const Status status = machine->set_state(snapshot.state_);
  BHVM_CHECK(status.ok(), "a snapshot does not fit a machine of its own configuration");
  return machine;
}

std::unique_ptr<Machine> Machine::fork() {
  MachineSnapshot now = snapshot();
  return from_snapshot(now);
}

MachineStatistics Machine::statistics() const {
  MachineStatistics statistics;
  statistics.instructions = cpu_.s.instructions;
  statistics.rep_iterations = cpu_.s.rep_iterations;
  statistics.idle_ns = clock_.idle_ns();
  statistics.virtual_ns = clock_.now_ns();
  statistics.events = events_;
  statistics.interrupts = interrupts_;
  statistics.page_walks = mmu_.walks();
  return statistics;
}

std::string Machine::describe_cpu() const { return dump_cpu(cpu_.s, memory_, config_.kernel.get()); }

// ---- what the processor sees ----

u64 Machine::read_physical(PhysicalAddress address, unsigned size) {
  sync_clock();
  return memory_map_.read(address.value, size);
}

void Machine::write_physical(PhysicalAddress address, unsigned size, u64 value) {
  sync_clock();
  memory_map_.write(address.value, size, value);
}

u32 Machine::read_port(u16 port, unsigned size) {
  sync_clock();
  return static_cast<u32>(port_map_.read(port, size));
}

void Machine::write_port(u16 port, unsigned size, u32 value) {
  sync_clock();
  port_map_.write(port, size, value);
}

int Machine::acknowledge_interrupt() {
  sync_clock();
  ++interrupts_;
  return platform_.local_apic().acknowledge();
}

u64 Machine::tsc_at(u64 instructions) {
  const u64 shown_ns = oscillator_.shown_at(clock_.time_at(instructions));
  return static_cast<u64>(static_cast<u128>(shown_ns) * kTscHz / kNsPerSecond);
}

void Machine::tsc_adjusted(u64 adjust) {
  sync_clock();
  platform_.local_apic().tsc_adjusted(adjust);
}

bool Machine::read_msr(u32 index, u64& value) {
  sync_clock();
  return platform_.local_apic().read_msr(index, value);
}

bool Machine::write_msr(u32 index, u64 value) {
  sync_clock();
  return platform_.local_apic().write_msr(index, value);
}

u64 Machine::read_cr8() { return platform_.local_apic().read_cr8(); }

void Machine::write_cr8(u64 value) {
  sync_clock();
  platform_.local_apic().write_cr8(value);
}

u64 Machine::random() { return entropy_.next(); }

void Machine::set_line(u32 index, bool level) {
  BHVM_CHECK(index == kIntrLine, "the processor has one interrupt line");
  cpu_.set_interrupt_line(level);
}

// ---- what the chips ask of the board ----

void Machine::power_off() { end(StopReason::kPowerOff); }
void Machine::reset() { end(StopReason::kReset); }
void Machine::exit(u8 status) { end(StopReason::kGuestExit, status); }
void Machine::panicked(u8) { end(StopReason::kPanic); }

std::string_view to_string(StopReason reason) {
  static constexpr std::array<std::string_view, 13> kNames = {
      "instruction-limit", "time-limit", "idle",  "stopped-by-user", "halted-forever",          "power-off",
      "guest-exit",        "panic",      "reset", "triple-fault",    "unsupported-instruction", "host-error",
      "power-cut"};
  BHVM_CHECK(static_cast<std::size_t>(reason) < kNames.size(), "a stop reason without a name");
  return kNames[static_cast<std::size_t>(reason)];
}

}  // namespace bhvm
