// What a run tells about itself: events, hashes, progress, the result.
#include <fmt/format.h>

#include <algorithm>

#include "cluster/cluster_run.h"
#include "state/hash_state.h"

namespace bhvm {
namespace {

double percent(u32 ppb) { return static_cast<double>(ppb) / 1e7; }
double milliseconds(u64 time_ns) { return static_cast<double>(time_ns) / 1e6; }

std::string strength_text(const ActiveFault& fault) {
  const FaultStrength& strength = fault.strength;
  switch (fault.kind) {
    case FaultKind::kPartition:
    case FaultKind::kClog:
    case FaultKind::kPause:
    case FaultKind::kDiskFull:
    case FaultKind::kCount:
      return {};
    case FaultKind::kLatency:
    case FaultKind::kDiskLatency:
      return fmt::format("{:.3f} ms more, jitter {:.3f} ms", milliseconds(strength.latency_ns),
                         milliseconds(strength.jitter_ns));
    case FaultKind::kLoss:
    case FaultKind::kDuplicate:
    case FaultKind::kReorder:
    case FaultKind::kCorrupt:
    case FaultKind::kDiskError:
      return fmt::format("{:.3f} %", percent(strength.probability_ppb));
    case FaultKind::kBandwidth:
      return fmt::format("{} bit/s", strength.bandwidth_bps);
    case FaultKind::kKill:
    case FaultKind::kTornWrite:
      return fmt::format("{:.1f} % of unsynced blocks survive", percent(strength.survive_ppb));
    case FaultKind::kSlowCpu:
      return fmt::format("{} times slower", strength.slow_factor);
    case FaultKind::kClockRate:
      return fmt::format("{:+} ppm", strength.clock_rate_ppm);
    case FaultKind::kClockJump:
    case FaultKind::kWallClock:
      return fmt::format("{:+.6f} s", static_cast<double>(strength.clock_jump_ns) / 1e9);
  }
  return {};
}

/// A cluster's observers see the same counters whoever sums them: kept apart from what is hashed.
Hash128 combine(const std::vector<Hash128>& parts) { return hash_bytes(parts.data(), parts.size() * sizeof(Hash128)); }

}  // namespace

std::array<u8, 6> mac_of(u32 address) {
  return {0x02,
          0x00,
          static_cast<u8>(address >> 24),
          static_cast<u8>(address >> 16),
          static_cast<u8>(address >> 8),
          static_cast<u8>(address)};
}

std::string ClusterRun::describe(const ActiveFault& fault) const {
  std::string text(to_string(fault.kind));
  if (fault.kind == FaultKind::kPartition) text += fmt::format(" ({})", to_string(fault.shape));
  for (std::size_t i = 0; i < fault.nodes.size(); ++i) {
    text += (i == 0 ? " " : ", ") + scenario_.nodes[fault.nodes[i]].name;
  }
  if (is_link_fault(fault.kind)) text += fmt::format(" on {} links", fault.links.size());
  const std::string strength = strength_text(fault);
  return strength.empty() ? text : text + ": " + strength;
}

ClusterEvent& ClusterRun::event(u64 time_ns, ClusterEventKind kind, u32 node) {
  event_ = {};
  event_.id = state_.next_event_id++;
  event_.time_ns = time_ns;
  event_.kind = kind;
  event_.node = node;
  return event_;
}

void ClusterRun::send_event() { observer_.event(event_); }

void ClusterRun::verdict(const PropertyResult& result) {
  ClusterEvent& said = event(
      result.time_ns, result.failed ? ClusterEventKind::kPropertyFailed : ClusterEventKind::kPropertyMet, result.node);
  said.name = result.name;
  said.detail = result.detail;
  send_event();
}

HashRecord ClusterRun::hashes() {
  HashRecord record;
  record.time_ns = state_.now_ns;
  record.nodes.resize(nodes());
  pool_.run(nodes(), [&](u32 i) {
    nodes_[i]->bring_to(start_ns_ + state_.now_ns);
    record.nodes[i] = nodes_[i]->hash();
  });
  record.network = network_.hash();
  state_.faults = schedule_.state();
  state_.properties = properties_.state();
  std::vector<Hash128> parts{hash_state(state_), record.network};
  parts.insert(parts.end(), record.nodes.begin(), record.nodes.end());
  record.cluster = combine(parts);
  return record;
}

void ClusterRun::report_progress() {
  if (options_.observer == nullptr) return;
  ClusterProgress progress;
  progress.time_ns = state_.now_ns;
  progress.frames = frames_;
  progress.faults_active = static_cast<u32>(schedule_.active().size());
  progress.properties_failed = properties_.failures();
  for (u32 i = 0; i < nodes(); ++i) {
    const u64 instructions = nodes_[i]->instructions();
    progress.nodes.push_back({state_.nodes[i].status, instructions});
    progress.instructions += instructions;
  }
  observer_.progress(progress);
}

ClusterResult ClusterRun::result() {
  // What was put out up to the end still counts; what had to happen has not if it has not.
  for (const auto& node : nodes_) {
    node->bring_to(start_ns_ + state_.now_ns);
    node->flush_console(start_ns_ + state_.now_ns);
  }
  find_earliest();
  drain(kNever, true);
  if (result_.end == ClusterEnd::kCompleted) properties_.finish(state_.now_ns);
  result_.end_ns = state_.now_ns;
  result_.ok = properties_.failures() == 0;
  result_.final_hash = hashes();
  result_.properties = properties_.results();
  for (u32 i = 0; i < nodes(); ++i) {
    NodeStatistics statistics = nodes_[i]->statistics();
    statistics.status = state_.nodes[i].status;
    result_.nodes.push_back(std::move(statistics));
  }
  for (u32 from = 0; from < nodes(); ++from) {
    for (u32 to = 0; to < nodes(); ++to) {
      if (from != to && network_.counters(from, to).frames != 0) {
        result_.links.push_back({from, to, network_.counters(from, to), network_.waiting(from, to)});
      }
    }
  }
  result_.switch_counters = network_.switch_counters();
  event(state_.now_ns, ClusterEventKind::kRunEnds).detail =
      fmt::format("{}, state {}", to_string(result_.end), to_string(result_.final_hash.cluster));
  send_event();
  report_progress();
  return std::move(result_);
}

}  // namespace bhvm
