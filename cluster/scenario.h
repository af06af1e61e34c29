// Scenario: everything that a cluster run is a function of, as plain data.
//
// Names are resolved: a node is an index into `nodes`, an image one into `images`, and images are files on the host.
// Times are virtual nanoseconds from the moment the nodes' commands start; the boot before it has no part in them.
// Probabilities are in parts per billion.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/types.h"
#include "vnet/link.h"

namespace bhvm {

/// A node's index that means: none, or all, or drawn from the seed, as the field says.
inline constexpr u32 kNoNode = ~u32{0};

/// What a node boots: a kernel and a root file system with the guest's init in it.
struct ImageScenario {
  std::string name;
  std::string kernel;  // path of a vmlinux
  std::string initrd;  // path; empty: none
  std::string
      root_disk;  // path of a raw image, read and never written: every node has its own copy-on-write copy; empty: none
  std::string append;  // more for the kernel's command line
};

/// A data disk beside the root disk. It survives a power cut but for what was not synced.
struct DiskScenario {
  std::string image;        // path of a raw image (a formatted, empty file system); never written
  std::string mount_point;  // where the node finds it; empty: not mounted
  std::string filesystem = "ext4";
  u32 logical_block_bytes = 512;  // what the node addresses it by: 512 or 4096
  u32 physical_block_bytes =
      4096;  // what it writes as a whole, or, in a power cut, not at all; not less than the other
};

/// What is to become of a node's command.
enum class CommandRole : u8 {
  kService,   // runs for ever: that it ends by itself is a failure
  kWorkload,  // ends with `expected_status`; when all workloads have ended, the faults stop
  kFree,      // may end or not
};

struct NodeScenario {
  std::string name;  // also its host name
  u32 image = 0;
  u64 memory_bytes = u64{256} << 20;
  std::string command;  // for /bin/sh -c; empty: the node only answers commands
  CommandRole role = CommandRole::kService;
  int expected_status = 0;  // of a workload
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<DiskScenario> disks;
  u32 address = 0;           // IPv4 in host order; 0: the engine assigns the next free one
  u64 start_ns = 0;          // when the command starts
  u64 rate_numerator = 1;    // virtual nanoseconds ...
  u64 rate_denominator = 1;  // ... per this many instructions
};

/// One direction of one link that differs from the network's default.
struct LinkScenario {
  u32 from = 0;
  u32 to = 0;
  LinkConfig config;
};

struct NetworkScenario {
  u32 subnet = 0x0A000000;  // 10.0.0.0, in host order
  u32 prefix_bits = 24;
  u32 mtu = 1500;
  LinkConfig link;                  // of every link
  std::vector<LinkScenario> links;  // those that differ
};

enum class FaultKind : u8 {
  kPartition,  // frames between the sides are dropped
  kLatency,    // more latency and jitter
  kLoss,
  kDuplicate,
  kReorder,
  kCorrupt,
  kBandwidth,    // a lower limit
  kClog,         // frames are held until the fault ends, then delivered
  kKill,         // power cut; the node restarts when the fault ends
  kPause,        // the node's processor stands still
  kSlowCpu,      // the node's instructions take longer
  kClockRate,    // the node's clocks run faster or slower
  kClockJump,    // the node's clocks are set forward or back, once
  kDiskError,    // requests fail
  kDiskLatency,  // requests take longer
  kTornWrite,    // a power cut in which writes in flight are half done; the node restarts when the fault ends
  kDiskFull,     // the file system on the disk has no free block left
  kWallClock,    // the node's date alone is set forward or back, once; all else it tells time by goes on
  kCount,
};

/// "partition", "clock-jump": as in a scenario file and in events.
std::string_view to_string(FaultKind kind);
inline constexpr std::size_t kFaultKinds = static_cast<std::size_t>(FaultKind::kCount);

/// True for faults of links; the others are of nodes.
constexpr bool is_link_fault(FaultKind kind) { return kind <= FaultKind::kClog; }

/// True for faults that happen at once and have no end.
constexpr bool is_momentary(FaultKind kind) { return kind == FaultKind::kClockJump || kind == FaultKind::kWallClock; }

enum class PartitionShape : u8 {
  kHalves,     // two sides that do not hear each other
  kNode,       // one node hears nobody and is heard by nobody
  kDirection,  // one node is not heard any more, but hears
  kBridge,     // two sides, and one node that hears and is heard by both
  kRing,       // every node talks with its two neighbours only
  kCount,
};
std::string_view to_string(PartitionShape shape);

/// How strong a fault is. Only the fields of its kind count.
struct FaultStrength {
  u64 latency_ns = 100'000'000;        // kLatency, kDiskLatency: added
  u64 jitter_ns = 0;                   // kLatency: added
  u32 probability_ppb = 200'000'000;   // kLoss, kDuplicate, kReorder, kCorrupt, kDiskError: of a frame or request
  u64 reorder_delay_ns = 5'000'000;    // kReorder: the most by which a frame is late
  u64 bandwidth_bps = 1'000'000;       // kBandwidth
  u32 slow_factor = 10;                // kSlowCpu: times slower
  i64 clock_rate_ppm = 50'000;         // kClockRate: parts per million faster (negative: slower)
  i64 clock_jump_ns = 10'000'000'000;  // kClockJump, kWallClock
  u32 survive_ppb = 500'000'000;       // kKill, kTornWrite: how likely an unsynced block survives
  bool on_read = true;                 // kDiskError: which requests fail
  bool on_write = true;
  bool on_flush = true;
};

/// A fault at a given time.
struct FaultScenario {
  FaultKind kind = FaultKind::kPartition;
  u64 at_ns = 0;
  u64 duration_ns = 0;  // 0: until the quiet period begins. is_momentary() faults have none
  /// Node faults: these nodes; kPartition: the nodes of one side (kNode, kDirection and kBridge: the node); empty:
  /// drawn from the seed.
  std::vector<u32> nodes;
  /// If not empty, instead of `nodes`: the node whose console was the last to write a line in which this expression is
  /// found ("became leader"); while there is none, a node is drawn.
  std::string node_pattern;
  /// Other link faults: these links (from, to); empty: all links from and to `nodes`, or all if that is empty too.
  std::vector<std::pair<u32, u32>> links;
  PartitionShape shape = PartitionShape::kHalves;
  u32 disk = kNoNode;  // disk faults: the root disk if there is one, then the data disks, counted from 0; kNoNode: all
  FaultStrength strength;
};

/// Faults of one kind drawn from the seed, again and again: a pause drawn from [interval_min, interval_max], then a
/// fault that lasts for a draw from [duration_min, duration_max].
struct FaultMixScenario {
  FaultKind kind = FaultKind::kPartition;
  u64 interval_min_ns = 2'000'000'000;
  u64 interval_max_ns = 10'000'000'000;
  u64 duration_min_ns = 1'000'000'000;
  u64 duration_max_ns = 5'000'000'000;
  std::vector<u32> nodes;              // who may be hit; empty: all but workload nodes
  std::string node_pattern;            // as FaultScenario's
  std::vector<PartitionShape> shapes;  // of kPartition; empty: any
  FaultStrength strength;              // the most; where it is a quantity, a share of it is drawn
};

enum class PropertyKind : u8 {
  kNever,       // no console line matches
  kEventually,  // some line matches before the run ends
  kSometimes,   // some line matches in some run: counted, and no failure when it does not
};

/// A property over console lines. The pattern is an ECMAScript regular expression, searched for within a line.
struct LinePropertyScenario {
  std::string name;
  PropertyKind kind = PropertyKind::kNever;
  std::string pattern;
  u32 node = kNoNode;  // kNoNode: any
  u64 after_ns = 0;    // lines before this do not count
  u64 within_ns = 0;   // kEventually: by then; 0: by the end
};

/// A command run in a node at the end, after the quiet period.
struct EndCommandScenario {
  std::string name;
  u32 node = 0;
  std::string command;  // for /bin/sh -c
  int expected_status = 0;
  std::string output_pattern;  // searched for in the output, in which ^ and $ are those of a line; empty: any
  u64 timeout_ns = 30'000'000'000;
};

/// What is checked without being asked for.
struct BuiltinProperties {
  bool kernel = true;       // panic, oops, BUG, hung task, OOM kill
  bool crash = true;        // a process killed by SIGSEGV, SIGABRT, SIGILL, SIGBUS, SIGFPE
  bool command_end = true;  // a service that ends; a workload with another status, or that does not end
  u64 live_lock_ns =
      20'000'000'000;  // a node computes that long without idling and without a line of output; 0: no check
};

struct Scenario {
  std::string name;
  u64 seed = 0;
  std::vector<ImageScenario> images;
  std::vector<NodeScenario> nodes;
  NetworkScenario network;
  std::vector<FaultScenario> faults;
  std::vector<FaultMixScenario> fault_mix;
  std::vector<LinePropertyScenario> properties;
  std::vector<EndCommandScenario> end_commands;
  BuiltinProperties builtin;

  u64 max_time_ns = 60'000'000'000;   // the run's length, quiet period included; a workload may end it sooner
  u64 quiet_ns = 10'000'000'000;      // at the end: all faults healed, no new ones
  u64 timer_jitter_ns = 0;            // the most by which a timer interrupt is late: another seed, another interleaving
  u64 hash_every_ns = 1'000'000'000;  // state hashes along the way; 0: only at the end
  u64 epoch_s = 1'700'000'000;        // the date at power-on, in seconds since 1970
  bool stop_at_failure = true;        // the first failed property ends the run
  bool power_off_at_end = false;      // ask the nodes to power off in order before the last hash
};

/// An error that says what is wrong with a scenario that no engine could run: indices out of range, no node, two nodes
/// of one name or address, a pattern that is no regular expression, times in the wrong order.
Status validate(const Scenario& scenario);

}  // namespace bhvm
