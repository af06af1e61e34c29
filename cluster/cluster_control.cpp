// Control points: what is done to the cluster, and when one phase of the run follows another.
#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "cluster/agent_protocol.h"
#include "cluster/cluster_run.h"

namespace bhvm {
namespace {

constexpr u64 kSecond_ns = 1'000'000'000;
constexpr u64 kPowerOffTime_ns = 10'000'000'000;
constexpr u64 kFillId = u64{1} << 32;                     // asks that are no end commands
constexpr u64 kWallClockId = u64{2} << 32;                // and the fault's number
constexpr std::size_t kOutputMax = std::size_t{1} << 20;  // of an end command that is kept

bool is_power_cut(FaultKind kind) { return kind == FaultKind::kKill || kind == FaultKind::kTornWrite; }

std::string device_name(std::size_t disk) { return fmt::format("/dev/vd{}", static_cast<char>('a' + disk)); }

}  // namespace

// ---- nodes ----

void ClusterRun::start_nodes() {
  pool_.run(nodes(), [this](u32 i) { nodes_[i]->power_on(templates_.fork(i)); });
  for (u32 i = 0; i < nodes(); ++i) {
    NodeRecord record;
    record.agent_ready = true;
    record.power_on_ns = scenario_.nodes[i].start_ns;
    state_.nodes.push_back(record);
    nodes_[i]->machine().set_timer_jitter(scenario_.timer_jitter_ns);
    nodes_[i]->apply_faults({}, start_ns_);
  }
  state_.phase_end_ns = scenario_.max_time_ns - scenario_.quiet_ns;
  refresh_links();
  event(0, ClusterEventKind::kRunBegins).detail = fmt::format("seed {}", scenario_.seed);
  send_event();
}

void ClusterRun::introduce(u32 node) {
  const NodeScenario& config = scenario_.nodes[node];
  AgentIdentity identity;
  identity.host_name = config.name;
  identity.mac = mac_of(addresses_[node]);
  identity.address = addresses_[node];
  identity.prefix_bits = scenario_.network.prefix_bits;
  for (u32 i = 0; i < nodes(); ++i) identity.hosts.emplace_back(addresses_[i], scenario_.nodes[i].name);
  identity.environment = config.environment;
  identity.date_ns = scenario_.epoch_s * kSecond_ns + start_ns_ + state_.now_ns;
  const std::size_t first = scenario_.images[config.image].root_disk.empty() ? 0 : 1;
  for (std::size_t i = 0; i < config.disks.size(); ++i) {
    if (config.disks[i].mount_point.empty()) continue;
    identity.mounts.push_back({device_name(first + i), config.disks[i].mount_point, config.disks[i].filesystem});
  }
  RandomStream seed(scenario_.seed, nodes_[node]->machine_id(), "guest-entropy");
  for (u64& word : identity.seed) word = seed.next();
  identity.command = config.command;
  nodes_[node]->tell_agent(identity_lines(identity));
  state_.nodes[node].told = true;
}

void ClusterRun::power_on_again(u32 node) {
  NodeRecord& record = state_.nodes[node];
  const NodeRecord before = record;
  record = {};
  record.workload_done = before.workload_done;
  record.filled = before.filled;
  record.power_on_ns = kNever;
  MachineConfig config = templates_.config(node);
  config.power_on_ns = start_ns_ + state_.now_ns;
  config.timer_jitter_ns = scenario_.timer_jitter_ns;
  config.seed = scenario_.seed;
  config.machine_id = nodes_[node]->machine_id();
  Result<std::unique_ptr<Machine>> machine = Machine::create(config, nodes_[node]->take_disks());
  if (!machine) {  // it could be created before: a host error
    error_ = machine.error();
    over(ClusterEnd::kStopped);
    return;
  }
  nodes_[node]->power_on(std::move(machine).value());
  event(state_.now_ns, ClusterEventKind::kNodeRestarted, node).detail = "cold boot on the surviving disks";
  send_event();
  refresh_node(node);
}

void ClusterRun::agent_line(u64 time_ns, u32 node, std::string_view line) {
  NodeRecord& record = state_.nodes[node];
  const AgentMessage message = parse_agent_line(line);
  switch (message.kind) {
    case AgentMessageKind::kReady:
      record.agent_ready = true;
      record.power_on_ns = time_ns;  // it is told who it is at the next control point
      break;
    case AgentMessageKind::kStarted:
      record.status = NodeStatus::kRunning;
      event(time_ns, ClusterEventKind::kNodeStarted, node).detail =
          fmt::format("{} at {}", scenario_.nodes[node].name, ip_text(addresses_[node]));
      send_event();
      break;
    case AgentMessageKind::kExited:
    case AgentMessageKind::kKilled: {
      const bool exited = message.kind == AgentMessageKind::kExited;
      const std::string how =
          exited ? fmt::format("exited {}", message.number) : fmt::format("killed {}", signal_name(message.number));
      record.command_ended = true;
      if (scenario_.nodes[node].role == CommandRole::kWorkload) record.workload_done = true;
      event(time_ns, ClusterEventKind::kCommandEnded, node).detail = how;
      send_event();
      if (state_.phase != RunPhase::kPowerOff) properties_.command_ended(time_ns, node, exited, message.number, how);
      break;
    }
    case AgentMessageKind::kOutput:
      if (message.id != state_.end_command + 1) break;
      if (end_command_output_.size() < kOutputMax) end_command_output_ += message.text + "\n";
      observer_.end_command_line(time_ns, node, message.text);
      break;
    case AgentMessageKind::kDone:
      if (message.id >= kWallClockId && message.number != 0) {
        agent_trouble(time_ns, node,
                      fmt::format("the date cannot be set for fault {}: errno {}; it may not lie before the boot",
                                  message.id - kWallClockId, message.number));
        break;
      }
      if (message.id != state_.end_command + 1) break;
      end_command_done_ = true;
      end_command_status_ = message.number;
      break;
    case AgentMessageKind::kError:
    case AgentMessageKind::kUnknown:
      agent_trouble(time_ns, node, message.text);
      break;
  }
}

void ClusterRun::agent_trouble(u64 time_ns, u32 node, const std::string& text) {
  // As a console line, so that it is seen and properties can be about it.
  observer_.console_line(time_ns, node, "agent: " + text);
  properties_.console_line(time_ns, node, "agent: " + text);
}

void ClusterRun::node_ended(u64 time_ns, u32 node) {
  const std::optional<Stop>& stop = nodes_[node]->end();
  if (!stop) return;  // it has lost power since
  state_.nodes[node].status = NodeStatus::kEnded;
  std::string how(to_string(stop->reason));
  if (stop->reason == StopReason::kGuestExit) how += fmt::format(" {}", stop->status);
  if (!stop->message.empty()) how += ": " + stop->message;
  event(time_ns, ClusterEventKind::kNodeEnded, node).detail = how;
  send_event();
  if (stop->reason == StopReason::kHostError) {
    error_ = Error{fmt::format("Node {}: {}", scenario_.nodes[node].name, stop->message)};
    over(ClusterEnd::kStopped);
    return;
  }
  const bool powered_off = stop->reason == StopReason::kPowerOff || stop->reason == StopReason::kGuestExit;
  if (state_.phase == RunPhase::kPowerOff && powered_off) return;
  properties_.node_ended(time_ns, node, powered_off, how);
}

// ---- faults ----

void ClusterRun::move_faults() {
  const FaultTargets targets{
      .is_up = [this](u32 node) { return state_.nodes[node].status == NodeStatus::kRunning && nodes_[node]->alive(); },
      .who_said = [this](const std::string& pattern) { return properties_.who_said(pattern); }};
  // Those that end come first: a kill may begin at the moment at which another one ends.
  while (const std::optional<ActiveFault> fault = schedule_.pop_ended(state_.now_ns)) end_fault(*fault);
  while (const std::optional<ActiveFault> fault = schedule_.pop_begun(state_.now_ns, targets)) {
    if (fault->id != 0) begin_fault(*fault);
  }
}

void ClusterRun::begin_fault(const ActiveFault& fault) {
  ++result_.faults[static_cast<std::size_t>(fault.kind)];
  ClusterEvent& begins = event(state_.now_ns, ClusterEventKind::kFaultBegins);
  begins.fault_id = fault.id;
  begins.fault = fault.kind;
  begins.nodes = fault.nodes;
  begins.detail = describe(fault);
  if (fault.kind == FaultKind::kPartition) begins.name = to_string(fault.shape);
  send_event();
  if (is_link_fault(fault.kind)) {
    refresh_links();
    return;
  }
  for (const u32 node : fault.nodes) {
    if (is_power_cut(fault.kind)) {
      if (!nodes_[node]->on()) continue;
      nodes_[node]->bring_to(start_ns_ + state_.now_ns);
      nodes_[node]->power_cut(start_ns_ + state_.now_ns,
                              {fault.strength.survive_ppb / 1000, fault.kind == FaultKind::kTornWrite});
      state_.nodes[node].status = NodeStatus::kDown;
      state_.nodes[node].agent_ready = false;
    } else if (fault.kind == FaultKind::kClockJump) {
      if (!nodes_[node]->alive()) continue;
      nodes_[node]->bring_to(start_ns_ + state_.now_ns);
      nodes_[node]->jump_clock(fault.strength.clock_jump_ns);
    } else if (fault.kind == FaultKind::kWallClock) {
      // By the agent: no device knows of the date. Who has not been told who he is will be told the right one.
      if (!nodes_[node]->alive() || !state_.nodes[node].told) continue;
      nodes_[node]->bring_to(start_ns_ + state_.now_ns);
      nodes_[node]->tell_agent(wall_clock_line(kWallClockId + fault.id, fault.strength.clock_jump_ns));
    } else {
      refresh_node(node);
    }
  }
}

void ClusterRun::end_fault(const ActiveFault& fault) {
  ClusterEvent& ends = event(state_.now_ns, ClusterEventKind::kFaultEnds);
  ends.fault_id = fault.id;
  ends.fault = fault.kind;
  ends.nodes = fault.nodes;
  ends.detail = describe(fault);
  if (fault.kind == FaultKind::kPartition) ends.name = to_string(fault.shape);
  send_event();
  if (is_link_fault(fault.kind)) {
    refresh_links();
    return;
  }
  for (const u32 node : fault.nodes) {
    if (!is_power_cut(fault.kind)) {
      refresh_node(node);
      continue;
    }
    const bool still_down = std::ranges::any_of(schedule_.active(), [&](const ActiveFault& other) {
      return is_power_cut(other.kind) && std::ranges::find(other.nodes, node) != other.nodes.end();
    });
    if (!nodes_[node]->on() && !still_down) power_on_again(node);
  }
}

u64 ClusterRun::wanted_fill(u32 node) const {
  const NodeScenario& config = scenario_.nodes[node];
  const std::size_t first = scenario_.images[config.image].root_disk.empty() ? 0 : 1;
  u64 wanted = 0;
  for (const ActiveFault& fault : schedule_.active()) {
    if (fault.kind != FaultKind::kDiskFull) continue;
    if (std::ranges::find(fault.nodes, node) == fault.nodes.end()) continue;
    for (u64 disk = 0; disk < first + config.disks.size(); ++disk) {
      const bool is_mounted = disk < first || !config.disks[disk - first].mount_point.empty();
      if (is_mounted && (fault.disk == kNoNode || fault.disk == disk)) wanted |= u64{1} << disk;
    }
  }
  return wanted;
}

void ClusterRun::fill_disks(u32 node) {
  // The file system gets full, as seen from inside: the agent takes all free blocks, or gives them back. A balloon lies
  // on the disk, so it outlives a power cut, unless it was not synced.
  const NodeScenario& config = scenario_.nodes[node];
  const std::size_t first = scenario_.images[config.image].root_disk.empty() ? 0 : 1;
  const u64 wanted = wanted_fill(node);
  u64& filled = state_.nodes[node].filled;
  nodes_[node]->bring_to(start_ns_ + state_.now_ns);
  for (u64 disk = 0; disk < first + config.disks.size(); ++disk) {
    const u64 bit = u64{1} << disk;
    if ((filled & bit) == (wanted & bit)) continue;
    const std::string path = disk < first ? "/" : config.disks[disk - first].mount_point;
    nodes_[node]->tell_agent(fill_line(kFillId + disk, path, (wanted & bit) != 0));
  }
  filled = wanted;
}

void ClusterRun::refresh_links() {
  const u32 count = nodes();
  std::vector<LinkConfig> links = link_base_;
  std::vector<bool> blocked(links.size());
  std::vector<bool> clogged(links.size());
  for (const ActiveFault& fault : schedule_.active()) {
    const FaultStrength& strength = fault.strength;
    const auto add = [](u32& chance, u32 more) { chance = std::min(LinkConfig::kCertain - chance, more) + chance; };
    for (const u32 link : fault.links) {
      LinkConfig& config = links[link];
      switch (fault.kind) {
        case FaultKind::kPartition:
          blocked[link] = true;
          break;
        case FaultKind::kLatency:
          config.latency_ns += strength.latency_ns;
          config.jitter_ns += strength.jitter_ns;
          break;
        case FaultKind::kLoss:
          add(config.loss_ppb, strength.probability_ppb);
          break;
        case FaultKind::kDuplicate:
          add(config.duplicate_ppb, strength.probability_ppb);
          break;
        case FaultKind::kReorder:
          add(config.reorder_ppb, strength.probability_ppb);
          config.reorder_delay_ns = std::max(config.reorder_delay_ns, strength.reorder_delay_ns);
          break;
        case FaultKind::kCorrupt:
          add(config.corrupt_ppb, strength.probability_ppb);
          break;
        case FaultKind::kBandwidth:
          if (config.bandwidth_bps == 0 || config.bandwidth_bps > strength.bandwidth_bps) {
            config.bandwidth_bps = strength.bandwidth_bps;
          }
          break;
        case FaultKind::kClog:
          clogged[link] = true;
          break;
        default:
          BHVM_UNREACHABLE("a fault of a node concerns a link");
      }
    }
  }
  std::vector<u64> latencies(links.size());
  for (u32 from = 0; from < count; ++from) {
    for (u32 to = 0; to < count; ++to) {
      if (from == to) continue;
      const u32 link = from * count + to;
      latencies[link] = links[link].latency_ns;
      network_.set_link(from, to, links[link]);
      network_.set_blocked(from, to, blocked[link]);
      if (clogged[link]) {
        network_.clog(from, to);
      } else if (network_.clogged(from, to)) {
        network_.release(state_.now_ns, from, to, deliveries_);
      }
    }
  }
  horizons_.set_latencies(latencies);
  deliver();
}

void ClusterRun::refresh_node(u32 node) {
  if (!nodes_[node]->alive()) return;
  nodes_[node]->bring_to(start_ns_ + state_.now_ns);
  nodes_[node]->apply_faults(schedule_.active(), start_ns_ + state_.now_ns);
  NodeStatus& status = state_.nodes[node].status;
  if (nodes_[node]->paused()) {
    status = NodeStatus::kPaused;
  } else if (status == NodeStatus::kPaused) {
    status = NodeStatus::kRunning;
  }
}

// ---- phases ----

u64 ClusterRun::next_fixed_ns() const {
  u64 next = std::min({state_.phase_end_ns, schedule_.next_ns(), properties_.next_deadline_ns(), next_hash_ns_});
  for (u32 i = 0; i < nodes(); ++i) {
    const NodeRecord& node = state_.nodes[i];
    if (!node.told && node.agent_ready && nodes_[i]->alive()) next = std::min(next, node.power_on_ns);
  }
  return next;
}

void ClusterRun::control(u64 now_ns) {
  state_.now_ns = run_time(now_ns);
  move_faults();
  for (u32 i = 0; i < nodes() && state_.phase != RunPhase::kOver; ++i) {
    const NodeRecord& record = state_.nodes[i];
    nodes_[i]->flush_stale_console(now_ns);
    if (!nodes_[i]->alive()) continue;
    if (record.told && record.filled != wanted_fill(i)) fill_disks(i);
    const bool is_due = !record.told && record.agent_ready && record.power_on_ns <= state_.now_ns;
    if (!is_due && !nodes_[i]->agent_waits()) continue;
    nodes_[i]->bring_to(now_ns);
    is_due ? introduce(i) : nodes_[i]->feed_agent();
  }
  properties_.check_deadlines(state_.now_ns);
  check_live_locks();
  if (state_.phase != RunPhase::kOver) move_phases();
  if (state_.now_ns >= next_hash_ns_ && state_.phase != RunPhase::kOver) {
    if (state_.now_ns != 0) observer_.hashes(hashes());
    next_hash_ns_ =
        scenario_.hash_every_ns == 0 ? kNever : (state_.now_ns / scenario_.hash_every_ns + 1) * scenario_.hash_every_ns;
  }
  report_progress();
}

void ClusterRun::check_live_locks() {
  const u64 longest_ns = scenario_.builtin.live_lock_ns;
  if (longest_ns == 0) return;
  for (u32 i = 0; i < nodes(); ++i) {
    const u64 since_ns = nodes_[i]->busy_since_ns(start_ns_ + state_.now_ns);
    if (!nodes_[i]->alive()) continue;
    if (start_ns_ + state_.now_ns - since_ns >= longest_ns) {
      properties_.live_lock(state_.now_ns, i,
                            fmt::format("{} has computed since {:.3f} s without idling and without a line of output",
                                        scenario_.nodes[i].name, static_cast<double>(run_time(since_ns)) / 1e9));
    }
    if (nodes_[i]->is_stuck()) {
      properties_.live_lock(state_.now_ns, i,
                            fmt::format("{} has halted with interrupts off", scenario_.nodes[i].name));
    }
  }
}

void ClusterRun::move_phases() {
  if (scenario_.stop_at_failure && properties_.failures() != 0) return over(ClusterEnd::kFailure);
  const auto is_workload = [this](u32 i) { return scenario_.nodes[i].role == CommandRole::kWorkload; };
  switch (state_.phase) {
    case RunPhase::kFaults: {
      bool any = false;
      bool all = true;
      for (u32 i = 0; i < nodes(); ++i) {
        any |= is_workload(i);
        all &= !is_workload(i) || state_.nodes[i].workload_done;
      }
      if ((any && all) || state_.now_ns >= state_.phase_end_ns) begin_quiet();
      return;
    }
    case RunPhase::kQuiet:
      if (state_.now_ns < state_.phase_end_ns) return;
      for (u32 i = 0; i < nodes(); ++i) {
        if (is_workload(i) && !state_.nodes[i].workload_done) properties_.workload_unfinished(state_.now_ns, i);
      }
      state_.phase = RunPhase::kEndCommands;
      return run_end_commands();
    case RunPhase::kEndCommands:
      return run_end_commands();
    case RunPhase::kPowerOff: {
      const bool all = std::ranges::none_of(nodes_, [](const auto& node) { return node->alive(); });
      if (all || state_.now_ns >= state_.phase_end_ns) over(ClusterEnd::kCompleted);
      return;
    }
    case RunPhase::kOver:
      return;
  }
}

void ClusterRun::begin_quiet() {
  state_.phase = RunPhase::kQuiet;
  state_.phase_end_ns = state_.now_ns + scenario_.quiet_ns;
  for (const ActiveFault& fault : schedule_.heal()) end_fault(fault);
  event(state_.now_ns, ClusterEventKind::kQuietBegins);
  send_event();
}

void ClusterRun::run_end_commands() {
  while (state_.end_command < scenario_.end_commands.size()) {
    const EndCommandScenario& command = scenario_.end_commands[state_.end_command];
    if (!state_.end_command_begun) {
      state_.end_command_begun = true;
      state_.end_command_sent = false;
      end_command_output_.clear();
      end_command_done_ = false;
      state_.phase_end_ns = state_.now_ns + command.timeout_ns;
      ClusterEvent& begins = event(state_.now_ns, ClusterEventKind::kEndCommand, command.node);
      begins.name = command.name;
      begins.detail = command.command;
      send_event();
    }
    Node& node = *nodes_[command.node];
    if (!state_.end_command_sent && node.alive() && state_.nodes[command.node].told) {
      state_.end_command_sent = true;
      node.bring_to(start_ns_ + state_.now_ns);
      node.tell_agent(run_line(state_.end_command + 1, command.command));
    }
    if (!end_command_done_ && state_.now_ns < state_.phase_end_ns) return;
    finish_end_command(end_command_done_, end_command_status_);
    ++state_.end_command;
    state_.end_command_begun = false;
  }
  if (!scenario_.power_off_at_end) return over(ClusterEnd::kCompleted);
  state_.phase = RunPhase::kPowerOff;
  state_.phase_end_ns = state_.now_ns + kPowerOffTime_ns;
  for (const auto& node : nodes_) {
    node->bring_to(start_ns_ + state_.now_ns);
    node->tell_agent(std::string(kAgentStop));
  }
}

void ClusterRun::finish_end_command(bool done, int status) {
  const EndCommandScenario& command = scenario_.end_commands[state_.end_command];
  ClusterEvent& ended = event(state_.now_ns, ClusterEventKind::kEndCommandEnded, command.node);
  ended.name = command.name;
  ended.detail = done ? fmt::format("exited {}", status) : "timed out";
  send_event();
  properties_.end_command(state_.now_ns, state_.end_command, done, status, end_command_output_);
}

void ClusterRun::over(ClusterEnd end) {
  if (state_.phase == RunPhase::kOver) return;
  state_.phase = RunPhase::kOver;
  result_.end = end;
}

}  // namespace bhvm
