// What a machine is made of, and how a run of it ends.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"
#include "devices/virtio/net_counters.h"
#include "devices/virtio/virtio_blk.h"
#include "machine/elf_image.h"

namespace bhvm {

/// A network card (virtio-net).
struct NicConfig {
  std::array<u8, 6> mac{};
  u16 mtu = 1500;  // 68 to 65535
};

/// One disk: a raw image that is read and never written, or zeroes.
struct DiskConfig {
  DiskConfig() = default;
  DiskConfig(std::string image) : path(std::move(image)) {}
  DiskConfig(const char* image) : path(image) {}

  std::string path;    // empty: a disk of zeroes ...
  u64 size_bytes = 0;  // ... of this size
  bool read_only = false;
  u32 logical_block_bytes = kSectorSize;      // what the guest addresses it by: the same, and not more
  u32 physical_block_bytes = kDiskBlockSize;  // what a power cut does not tear: 512 to 4096, a power of two
  VirtioBlkTiming timing;
};

struct MachineConfig {
  u64 memory_bytes = u64{256} << 20;
  u64 seed = 0;
  u64 machine_id = 0;               // tells machines of one seed apart
  u64 rate_numerator = 1;           // virtual nanoseconds ...
  u64 rate_denominator = 1;         // ... per this many instructions
  u64 rtc_epoch_s = 1'700'000'000;  // the date at power-on, in seconds since 1970
  std::string command_line;         // as given by the user; see complete_command_line()
  std::shared_ptr<const ElfImage> kernel;
  std::shared_ptr<const std::vector<u8>> initrd;  // may be null
  std::vector<DiskConfig> disks;
  bool agent = false;       // a second virtio console, /dev/hvc1: the channel of the guest's agent
  u64 power_on_ns = 0;      // now_ns() at power-on: the guest's own clocks begin at 0 then, its date that much later
  u64 timer_jitter_ns = 0;  // the local APIC timer is late by 0 to this much, drawn for each interrupt
  std::optional<NicConfig> network;
};

/// Why a run came back. The first three can be continued as they are; a halted machine continues when input wakes it;
/// the others are the end.
enum class StopReason : u8 {
  kInstructionLimit,
  kTimeLimit,
  kIdle,           // RunLimits::stop_when_idle: halted, with an event to come
  kStopRequest,    // RunLimits::stop_request
  kHaltedForever,  // HLT with nothing that could wake the processor
  kPowerOff,
  kGuestExit,  // the exit port; Stop::status is the guest's
  kPanic,      // the guest reported one through pvpanic
  kReset,
  kTripleFault,
  kUnsupported,  // an instruction or mode that bhvm does not have
  kHostError,    // the host failed the machine (a disk image that cannot be read any more): Stop::message
  kPowerCut,     // Machine::power_cut()
};

/// "power-off", "guest-exit", "instruction-limit": as in statistics.
std::string_view to_string(StopReason reason);

struct Stop {
  StopReason reason = StopReason::kInstructionLimit;
  u32 status = 0;       // of kGuestExit
  std::string message;  // of kUnsupported and kHostError: what was met
};

/// When a run is to come back; all are absolute, so that a run can be cut anywhere without changing it.
struct RunLimits {
  u64 instructions = ~u64{0};
  u64 time_ns = ~u64{0};
  bool stop_when_idle = false;
  const std::atomic<bool>* stop_request = nullptr;  // looked at between two events and every few million instructions
};

/// Of the frames that were scheduled, those that are in none of the counters are still on their way or wait in the
/// card.
struct NetworkStatistics {
  NetCounters card;
  u64 under_way = 0;  // scheduled, and their time has not come
  u64 waiting = 0;    // in the card, for the guest to give buffers
};

struct MachineStatistics {
  u64 instructions = 0;
  u64 rep_iterations = 0;
  u64 idle_ns = 0;
  u64 virtual_ns = 0;
  u64 events = 0;      // dispatched by this object; not state
  u64 interrupts = 0;  // acknowledged by this object; not state
  u64 page_walks = 0;  // by this object; not state
};

}  // namespace bhvm
