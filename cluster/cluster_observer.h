// ClusterObserver: who is told what happens in a cluster. Watching changes nothing.
//
// All calls come on the thread that runs the cluster, in the order of (time, node, sequence), and are the same for any
// number of threads; only progress() may come at other moments. Times are the scenario's: from the start of the nodes'
// commands.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/types.h"
#include "cluster/scenario.h"

namespace bhvm {

enum class NodeStatus : u8 {
  kBooting,  // a cold boot after a power cut
  kRunning,
  kPaused,
  kDown,   // killed; its disks wait for the restart
  kEnded,  // powered off or failed
};
std::string_view to_string(NodeStatus status);

enum class ClusterEventKind : u8 {
  kRunBegins,
  kNodeStarted,    // got its identity; its command runs
  kNodeRestarted,  // the cold boot begins
  kNodeEnded,      // powered off, reset, triple fault ...: detail says how
  kCommandEnded,   // of a node: detail is "exited 0" or "killed SIGSEGV"
  kFaultBegins,
  kFaultEnds,
  kQuietBegins,
  kEndCommand,       // one begins
  kEndCommandEnded,  // detail: status
  kPropertyFailed,
  kPropertyMet,  // the first line that meets an eventually or sometimes
  kRunEnds,
  kCount,
};
/// "fault-begins", "property-failed".
std::string_view to_string(ClusterEventKind kind);

struct ClusterEvent {
  u64 id = 0;  // counts up over the run
  u64 time_ns = 0;
  ClusterEventKind kind = ClusterEventKind::kRunBegins;
  u32 node = kNoNode;
  u64 fault_id = 0;  // of kFaultBegins and kFaultEnds: counts faults from 1
  FaultKind fault = FaultKind::kCount;
  std::vector<u32> nodes;  // whom a fault concerns
  std::string name;        // of a property, a command, a fault's shape
  std::string detail;      // for a person
};

struct NodeProgress {
  NodeStatus status = NodeStatus::kRunning;
  u64 instructions = 0;  // over all its lives
};

struct ClusterProgress {
  u64 time_ns = 0;
  u64 instructions = 0;  // of all nodes
  u64 frames = 0;
  u32 faults_active = 0;
  u32 properties_failed = 0;
  std::vector<NodeProgress> nodes;
};

/// State hashes at one moment.
struct HashRecord {
  u64 time_ns = 0;
  Hash128 cluster;
  Hash128 network;
  std::vector<Hash128> nodes;
};

class ClusterObserver {
 public:
  virtual ~ClusterObserver() = default;
  /// A line a node wrote to its console, without its end. An unfinished line comes after a second, at a kill and at the
  /// end.
  virtual void console_line(u64 time_ns, u32 node, std::string_view line) { (void)time_ns, (void)node, (void)line; }
  virtual void event(const ClusterEvent& event) { (void)event; }
  virtual void hashes(const HashRecord& record) { (void)record; }
  /// A line of output of an end command.
  virtual void end_command_line(u64 time_ns, u32 node, std::string_view line) { (void)time_ns, (void)node, (void)line; }
  /// Comes often (every 10 ms of virtual time at least); whoever shows it decides how seldom.
  virtual void progress(const ClusterProgress& progress) { (void)progress; }
};

}  // namespace bhvm
