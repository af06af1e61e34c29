// Machine: processor, RAM, chips and clock on one board, and the loop that runs them.
//
// Deterministic: what a machine does is a function of its configuration, the images and the input typed at it with the
// moment (instructions, virtual time) it was typed. Cutting a run into run_until() calls anywhere changes nothing.
//
// An event is dispatched when the clock has reached its time and before the next instruction. run_until() comes back
// *before* dispatching what is due at the moment of its limit, so that a moment means the same however it was reached.
//
// One machine is used by one thread at a time; machines that share memory (forks) may live on different threads.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/random_stream.h"
#include "base/result.h"
#include "bus/address_map.h"
#include "bus/cpu_port.h"
#include "cpu/cpu.h"
#include "machine/machine_config.h"
#include "machine/machine_state.h"
#include "machine/network_port.h"
#include "machine/platform.h"
#include "machine/virtio_slots.h"
#include "scheduler/event_queue.h"
#include "scheduler/virtual_clock.h"
#include "softmmu/guest_memory.h"
#include "softmmu/mmu.h"
#include "state/diff.h"

namespace bhvm {

/// All of a machine at one moment, sharing memory and disk blocks with it. To be made into machines by
/// Machine::from_snapshot(), any number of times.
class MachineSnapshot {
 public:
  const MachineState& state() const { return state_; }

 private:
  friend class Machine;
  MachineSnapshot(MachineConfig config, MachineState state, GuestMemory memory, std::vector<DiskImage> disks)
      : config_(std::move(config)), state_(std::move(state)), memory_(std::move(memory)), disks_(std::move(disks)) {}

  MachineConfig config_;
  MachineState state_;
  GuestMemory memory_;
  std::vector<DiskImage> disks_;
};

class Machine final : private CpuPort, private LineListener, private ByteSink, private MachineControl {
 public:
  using ConsoleOutput = std::function<void(std::span<const u8>)>;

  /// A machine at power-on with its kernel loaded. An error when an image is missing or wrong or does not fit.
  static Result<std::unique_ptr<Machine>> create(const MachineConfig& config);
  /// The same with disks that are there already (another machine's take_disks()): as many as `config.disks` describes.
  static Result<std::unique_ptr<Machine>> create(const MachineConfig& config, std::vector<DiskImage> disks);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  /// Runs until a limit is reached or the run ends; a machine that has ended says so again.
  Stop run_until(const RunLimits& limits);
  /// Skips idle time up to `time_ns`, but not beyond the next event. REQUIRES: the last run stopped with kHaltedForever
  /// or kIdle.
  void idle_until(u64 time_ns);
  /// The first moment at which the machine can do anything by itself: now when it has instructions to run, else the
  /// next event or the end of its pause; kNever when nothing but input can move it.
  u64 earliest_action_ns() const;

  u64 instructions() const { return cpu_.s.instructions; }
  u64 now_ns() const { return clock_.now_ns(); }
  /// When the next event fires or the next frame comes in; 2^64-1 when there is none.
  u64 next_event_ns() const { return std::min(queue_.next_time_ns(), network_.next_time_ns()); }
  bool interrupts_enabled() const;

  /// What the guest writes to its consoles from now on; an empty function discards it.
  void set_console_output(ConsoleOutput output) { console_output_ = std::move(output); }
  /// Types at the guest's console: at the serial port, or at the virtio console if the kernel's command line names hvc0
  /// last. Bytes wait until the guest takes them;
  /// returns how many were taken, which is all of them unless more than console_input_room() are offered.
  std::size_t console_input(std::span<const u8> bytes);
  std::size_t console_input_room() const;

  /// Who gets the frames that the guest sends from now on, with the exact time of each; called during run_until(). An
  /// empty function discards them.
  void set_frame_output(NetworkPort::Output output) { network_.set_output(std::move(output)); }
  /// A frame will come in at exactly `time_ns`; frames of one time come in the order of the calls. The card drops it if
  /// the guest has no room for it then. REQUIRES: the machine has a network card; time_ns >= now_ns().
  void schedule_frame(u64 time_ns, std::vector<u8> frame);
  /// What became of the frames, by this object's count; not state. All of 0 without a network card.
  NetworkStatistics network_statistics() const;

  /// What the guest's agent writes to its channel. REQUIRES of all three: MachineConfig::agent.
  void set_agent_output(ConsoleOutput output) { agent_output_.output = std::move(output); }
  /// As console_input().
  std::size_t agent_input(std::span<const u8> bytes);
  std::size_t agent_input_room() const;

  // ---- What goes wrong: from this moment on ----

  /// One instruction takes numerator/denominator nanoseconds. The guest's clocks stay right.
  void set_cpu_rate(u64 numerator, u64 denominator);
  /// No instruction retires until `time_ns`; clocks, timers and devices go on. A later call replaces an earlier one.
  void pause_until(u64 time_ns);
  /// The guest's clocks (TSC, local APIC timer, HPET, RTC, PM timer) all jump, but not below 0. Its timers expire by
  /// them.
  void step_clock(i64 delta_ns);
  /// The guest's clocks show numerator/denominator nanoseconds for each that passes.
  void set_clock_rate(u64 numerator, u64 denominator);
  void set_timer_jitter(u64 max_ns);
  void set_disk_faults(std::size_t disk, const DiskFaults& faults);
  /// Ends the machine as a power cut does. Its disks keep what was synced and of the rest what the streams of the disks
  /// draw.
  void power_cut(const PowerCut& cut);
  /// The disks of a machine that has ended, as it left them.
  std::vector<DiskImage> take_disks();

  /// Derives all random streams anew, as a machine with this seed and id has them at power-on: for forks that shall
  /// differ.
  void reseed(u64 seed, u64 machine_id);

  /// Everything that the guest can observe, now or later.
  Hash128 state_hash();
  MachineState state() const;
  MachineSnapshot snapshot();
  static std::unique_ptr<Machine> from_snapshot(MachineSnapshot& snapshot);
  /// The same, but for two things. It has other disks, of the same sizes, unless `disks` is empty: sound when the guest
  /// has not yet looked at what is on them. And it is as if it had been powered on later, so that its time is
  /// `time_ns`: its date is that much later, all that is pending too, and its own clocks show what they did. REQUIRES:
  /// time_ns is not before the snapshot's time, and no frame is on its way in it.
  static std::unique_ptr<Machine> from_snapshot(MachineSnapshot& snapshot, std::vector<DiskImage> disks, u64 time_ns);
  std::unique_ptr<Machine> fork();

  /// Writes a snapshot file; the disks' contents are what differs from their base files.
  Status save(const std::string& path);
  /// Reads one. Of `resources` count the kernel (for symbols; may be null) and the disks, which must be the same files
  /// as when it was saved; all else comes from the snapshot.
  static Result<std::unique_ptr<Machine>> load(const std::string& path, const MachineConfig& resources);

  const CpuState& cpu_state() const { return cpu_.s; }
  /// Replaces the processor's registers (a debugger writes them).
  void set_cpu_state(const CpuState& state) { cpu_.set_state(state); }
  GuestMemory& memory() { return memory_; }
  const GuestMemory& memory() const { return memory_; }
  const MachineConfig& config() const { return config_; }
  MachineStatistics statistics() const;
  std::string describe_cpu() const;
  const AddressMap& memory_map() const { return memory_map_; }
  const AddressMap& port_map() const { return port_map_; }

 private:
  Machine(MachineConfig config, GuestMemory memory, std::vector<DiskImage> disks);
  static Result<std::vector<DiskImage>> open_disks(const MachineConfig& config);
  static std::unique_ptr<Machine> make(MachineSnapshot& snapshot, std::vector<DiskImage> disks);
  Status boot();
  Status set_state(const MachineState& state);

  bool paused() const { return clock_.now_ns() < paused_until_ns_; }
  void sync_clock() { clock_.set_instructions(cpu_.s.instructions); }
  void postpone(u64 by_ns);
  void dispatch_due_events();
  u64 budget(const RunLimits& limits) const;
  void end(StopReason reason, u32 status = 0, std::string message = {});
  Stop ended() const;
  void check_disks();

  // CpuPort
  u64 read_physical(PhysicalAddress address, unsigned size) override;
  void write_physical(PhysicalAddress address, unsigned size, u64 value) override;
  u32 read_port(u16 port, unsigned size) override;
  void write_port(u16 port, unsigned size, u32 value) override;
  int acknowledge_interrupt() override;
  u64 tsc_at(u64 instructions) override;
  void tsc_adjusted(u64 adjust) override;
  bool read_msr(u32 index, u64& value) override;
  bool write_msr(u32 index, u64 value) override;
  u64 read_cr8() override;
  void write_cr8(u64 value) override;
  u64 random() override;

  // LineListener: INTR
  void set_line(u32 index, bool level) override;

  /// Where the agent's console writes.
  class AgentSink final : public ByteSink {
   public:
    void write_bytes(std::span<const u8> bytes) override {
      if (output) output(bytes);
    }
    ConsoleOutput output;
  };

  // ByteSink: both consoles
  void write_bytes(std::span<const u8> bytes) override;

  /// Around a change of the oscillator.
  template <class Change>
  void change_clocks(const Change& change);

  // MachineControl
  void power_off() override;
  void reset() override;
  void exit(u8 status) override;
  void panicked(u8 events) override;

  MachineConfig config_;
  GuestMemory memory_;
  std::vector<DiskImage> disks_;
  VirtualClock clock_;
  Oscillator oscillator_;
  EventQueue queue_;
  AddressMap memory_map_;
  AddressMap port_map_;
  AgentSink agent_output_;
  Platform platform_;
  NetworkPort network_;
  VirtioSlots virtio_;
  Mmu mmu_;
  Cpu cpu_;
  RandomStream entropy_;  // RDRAND and RDSEED
  u64 paused_until_ns_ = 0;
  MachineEnd end_;
  std::string end_message_;  // for a person; not state
  bool console_is_virtio_;
  ConsoleOutput console_output_;
  u64 events_ = 0;      // statistics
  u64 interrupts_ = 0;  // statistics
};

}  // namespace bhvm
