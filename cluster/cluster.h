// Cluster: machines on one network under one clock, with faults and properties.
//
// Deterministic: a run is a function of the scenario alone. How many threads run it, and who watches, change nothing.
//
// Use: create() checks the scenario and loads kernels; boot() boots what the nodes need; run() does the rest. Host time
// is not looked at: a caller who wants to know how long something took measures around these calls.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "cluster/cluster_observer.h"
#include "cluster/scenario.h"
#include "devices/virtio/disk_faults.h"
#include "devices/virtio/net_counters.h"
#include "vnet/learning_switch.h"
#include "vnet/link.h"
#include "vnet/network_observer.h"

namespace bhvm {

struct ClusterOptions {
  unsigned jobs = 1;                            // threads; the result is the same for any number
  ClusterObserver* observer = nullptr;          // may be null
  NetworkObserver* network_observer = nullptr;  // every frame, for a capture (times are the scenario's); may be null
  const std::atomic<bool>* stop_request = nullptr;  // ends the run early; may be null
};

struct PropertyResult {
  std::string name;
  bool failed = false;
  bool met = false;  // an eventually or sometimes that was
  u64 count = 0;     // matching lines
  u64 time_ns = 0;   // of the failure, or of the first match
  u32 node = kNoNode;
  std::string detail;  // what was seen, for a person
};

/// What became of the frames that links delivered to a node, over all its lives:
/// delivered_frames of all links to it = every counter of `card` but the last two + down + under_way + waiting.
struct NodeFrames {
  NetCounters card;
  u64 down = 0;       // the node was down or had ended, or lost its power before its guest took them
  u64 under_way = 0;  // at the end of the run, on their way
  u64 waiting = 0;    // at the end of the run, in the card
};

struct NodeStatistics {
  u64 instructions = 0;  // over all its lives
  u64 idle_ns = 0;
  u64 boots = 0;  // cold ones
  u64 frames_sent = 0;
  u64 frames_received = 0;  // handed over to its machine
  NodeFrames frames;
  u64 console_lines = 0;
  u64 memory_pages = 0;             // 4 KiB pages of its own, not shared with the template
  std::vector<DiskCounters> disks;  // over all its lives; the root disk first
  NodeStatus status = NodeStatus::kRunning;
};

struct LinkStatistics {
  u32 from = 0;
  u32 to = 0;
  LinkCounters counters;
  u64 waiting = 0;  // at the end of the run, for the end of a clog
};

enum class ClusterEnd : u8 {
  kCompleted,  // workloads ended, quiet period over, end commands done
  kTime,       // the same at the scenario's longest time
  kFailure,    // a property failed and the scenario stops there
  kStopped,    // the caller's stop request
};
std::string_view to_string(ClusterEnd end);

struct ClusterResult {
  ClusterEnd end = ClusterEnd::kCompleted;
  u64 end_ns = 0;
  bool ok = true;  // all properties held
  std::vector<PropertyResult> properties;
  HashRecord final_hash;
  std::vector<NodeStatistics> nodes;
  std::vector<LinkStatistics> links;  // those that carried a frame
  LearningSwitchCounters switch_counters;
  std::array<u64, kFaultKinds> faults{};  // how many of each kind began
  u64 epochs = 0;                         // of the run loop: how often ...
  u64 parallel_epochs = 0;                // ... more than one node ran
};

class Cluster {
 public:
  /// An error when the scenario is wrong or an image cannot be read.
  static Result<std::unique_ptr<Cluster>> create(const Scenario& scenario, const ClusterOptions& options);
  ~Cluster();

  /// Boots one machine for each different (kernel, image, memory, disks) up to the point where it waits for
  /// its identity. An error, with the end of its console, when one does not get there.
  Status boot();
  /// Forks the nodes and runs to the end. REQUIRES: boot() was ok; called once.
  Result<ClusterResult> run();

  /// How long the slowest template's boot took, in virtual time, and how many templates there were.
  u64 boot_ns() const;
  std::size_t templates() const;
  /// The address a node has (IPv4, host order), given or assigned, and its hardware address.
  u32 address(u32 node) const;
  std::array<u8, 6> mac(u32 node) const;

 private:
  struct Parts;
  explicit Cluster(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace bhvm
