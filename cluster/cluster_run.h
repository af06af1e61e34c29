// ClusterRun: one run of a cluster from the fork of its nodes to its result.
//
// Two things alternate. An *epoch* lets every node that has something to do run, in parallel, as far as nothing can
// reach it (horizon.h). A *control point* is a moment that no node passes before all have reached it: there faults
// begin and end, agents are spoken to, and the run's phases follow each other. Control points lie where something is
// due, and, while anything runs, every kControlGrid_ns: whatever a node puts out is answered at the next one.
//
// What nodes put out (frames, lines) is taken in the order of (time, node, sequence), and only up to the moment before
// which no node can put out anything more. So the network, the properties and the observer see one history, which no
// thread has touched.
//
// Two time bases: machines count from power-on, everything else from the start of the commands, `start_ns_` later.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cluster/cluster.h"
#include "cluster/fault_schedule.h"
#include "cluster/horizon.h"
#include "cluster/node.h"
#include "cluster/properties.h"
#include "cluster/templates.h"
#include "cluster/worker_pool.h"
#include "vnet/network.h"

namespace bhvm {

enum class RunPhase : u8 { kFaults, kQuiet, kEndCommands, kPowerOff, kOver };

/// What the cluster knows of a node beside its machine.
struct NodeRecord {
  NodeStatus status = NodeStatus::kBooting;
  bool told = false;  // who it is
  bool agent_ready = false;
  bool command_ended = false;
  bool workload_done = false;  // once in the run
  u64 power_on_ns = 0;         // ~0: not to come
  u64 filled = 0;              // disks whose file system is full by a fault, a bit each
};

/// All state of a run but the machines and the network.
struct ClusterRunState {
  u64 now_ns = 0;
  RunPhase phase = RunPhase::kFaults;
  u64 phase_end_ns = 0;
  u64 next_event_id = 1;
  u32 end_command = 0;  // the one that runs
  bool end_command_begun = false;
  bool end_command_sent = false;
  std::vector<NodeRecord> nodes;
  FaultScheduleState faults;  // filled in when it is hashed
  std::vector<PropertyState> properties;
};

/// The hardware address of a node: a locally administered one (IEEE 802, 8.4) that holds the IPv4 address.
std::array<u8, 6> mac_of(u32 address);

class ClusterRun {
 public:
  ClusterRun(const Scenario& scenario, const ClusterOptions& options, Templates& templates, WorkerPool& pool,
             std::vector<u32> addresses);
  ~ClusterRun();

  Result<ClusterResult> run();

 private:
  static constexpr u64 kNever = ~u64{0};
  static constexpr u64 kControlGrid_ns = 10'000'000;

  u32 nodes() const { return static_cast<u32>(scenario_.nodes.size()); }
  u64 run_time(u64 machine_ns) const { return machine_ns - start_ns_; }

  // ---- the loop: cluster_run.cpp ----
  void loop();
  void epoch(u64 cap_ns);
  /// Takes what was put out before `limit_ns` and, unless nobody runs any more, before whatever may still be put out.
  void drain(u64 limit_ns, bool is_last = false);
  void take_output(u32 node);
  void deliver();
  void find_earliest();
  u64 safe_ns() const;

  // ---- control points: cluster_control.cpp ----
  void start_nodes();
  /// REQUIRES: no node can do anything before `now`.
  void control(u64 now_ns);
  u64 next_fixed_ns() const;
  void agent_line(u64 time_ns, u32 node, std::string_view line);
  void agent_trouble(u64 time_ns, u32 node, const std::string& text);
  void node_ended(u64 time_ns, u32 node);
  void introduce(u32 node);
  void power_on_again(u32 node);
  void move_faults();
  void begin_fault(const ActiveFault& fault);
  void end_fault(const ActiveFault& fault);
  u64 wanted_fill(u32 node) const;
  void fill_disks(u32 node);
  void refresh_links();
  void refresh_node(u32 node);
  void check_live_locks();
  void move_phases();
  void begin_quiet();
  void run_end_commands();
  void finish_end_command(bool done, int status);
  void over(ClusterEnd end);

  // ---- reports: cluster_report.cpp ----
  std::string describe(const ActiveFault& fault) const;
  /// Begins an event, to be filled in and sent.
  ClusterEvent& event(u64 time_ns, ClusterEventKind kind, u32 node = kNoNode);
  void send_event();
  void verdict(const PropertyResult& result);
  HashRecord hashes();
  void report_progress();
  ClusterResult result();

  const Scenario& scenario_;
  ClusterOptions options_;
  Templates& templates_;
  WorkerPool& pool_;
  std::vector<u32> addresses_;
  u64 start_ns_;
  ClusterObserver silent_;
  ClusterObserver& observer_;

  std::vector<std::unique_ptr<Node>> nodes_;
  Network network_;
  std::vector<LinkConfig> link_base_;  // [from * nodes + to]
  Horizons horizons_;
  FaultSchedule schedule_;
  Properties properties_;
  ClusterRunState state_;

  std::vector<u64> earliest_ns_;  // machine time, as all in the loop
  std::vector<u64> horizon_ns_;
  std::vector<u64> base_ns_;
  std::vector<u32> runnable_;
  std::vector<Delivery> deliveries_;
  u64 next_control_ns_ = 0;
  u64 next_hash_ns_ = 0;  // run time
  std::string end_command_output_;
  bool end_command_done_ = false;
  int end_command_status_ = 0;
  ClusterEvent event_;
  std::optional<Error> error_;
  ClusterResult result_;
  u64 frames_ = 0;
};

}  // namespace bhvm
