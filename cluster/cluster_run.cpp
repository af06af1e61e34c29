#include "cluster/cluster_run.h"

#include <algorithm>

#include "base/check.h"

namespace bhvm {
namespace {

NetworkConfig network_config(const Scenario& scenario) {
  NetworkConfig config;
  for (const NodeScenario& node : scenario.nodes) config.ports.push_back(node.name);
  config.link = scenario.network.link;
  return config;
}

}  // namespace

ClusterRun::ClusterRun(const Scenario& scenario, const ClusterOptions& options, Templates& templates, WorkerPool& pool,
                       std::vector<u32> addresses)
    : scenario_(scenario),
      options_(options),
      templates_(templates),
      pool_(pool),
      addresses_(std::move(addresses)),
      start_ns_(templates.start_ns()),
      observer_(options.observer != nullptr ? *options.observer : silent_),
      network_(network_config(scenario), scenario.seed),
      link_base_(scenario.nodes.size() * scenario.nodes.size(), scenario.network.link),
      horizons_(static_cast<u32>(scenario.nodes.size())),
      schedule_(scenario),
      properties_(scenario, [this](const PropertyResult& result) { verdict(result); }),
      earliest_ns_(scenario.nodes.size()),
      horizon_ns_(scenario.nodes.size()),
      base_ns_(scenario.nodes.size()) {
  network_.set_observer(options.network_observer);
  for (const LinkScenario& link : scenario.network.links) link_base_[link.from * nodes() + link.to] = link.config;
  for (u32 i = 0; i < nodes(); ++i) nodes_.push_back(std::make_unique<Node>(i, scenario.nodes[i], scenario.seed));
}

ClusterRun::~ClusterRun() = default;

Result<ClusterResult> ClusterRun::run() {
  start_nodes();
  loop();
  if (error_) return *error_;
  return result();
}

void ClusterRun::loop() {
  next_control_ns_ = start_ns_;
  while (state_.phase != RunPhase::kOver) {
    // Here, and not after an epoch, since a cluster in which nobody has anything to do has none.
    if (options_.stop_request != nullptr && options_.stop_request->load(std::memory_order_relaxed)) {
      over(ClusterEnd::kStopped);
      return;
    }
    find_earliest();
    drain(next_control_ns_);
    const u64 safe = safe_ns();
    if (safe >= next_control_ns_) {
      control(next_control_ns_);
      find_earliest();
      // The next one: when something is due, or when whatever moves next has had a grid's time to say something.
      const u64 soonest = std::max(safe_ns(), next_control_ns_);
      const u64 grid = soonest == kNever ? kNever : (soonest / kControlGrid_ns + 1) * kControlGrid_ns;
      const u64 next = std::min(start_ns_ + next_fixed_ns(), grid);
      BHVM_CHECK(next > next_control_ns_ || state_.phase == RunPhase::kOver, "something due was not done");
      next_control_ns_ = next;
      continue;
    }
    epoch(next_control_ns_);
  }
}

void ClusterRun::find_earliest() {
  for (u32 i = 0; i < nodes(); ++i) earliest_ns_[i] = nodes_[i]->earliest_ns();
}

u64 ClusterRun::safe_ns() const { return *std::ranges::min_element(earliest_ns_); }

void ClusterRun::epoch(u64 cap_ns) {
  // A frame that was sent and not yet taken reaches others as if its sender stood at that moment.
  for (u32 i = 0; i < nodes(); ++i) base_ns_[i] = std::min(earliest_ns_[i], nodes_[i]->frame_ns());
  horizons_.compute(base_ns_, horizon_ns_);
  runnable_.clear();
  for (u32 i = 0; i < nodes(); ++i) {
    horizon_ns_[i] = std::min(horizon_ns_[i], cap_ns);
    if (earliest_ns_[i] < horizon_ns_[i]) runnable_.push_back(i);
  }
  BHVM_CHECK(!runnable_.empty(), "no node can run, and nothing is due");
  ++result_.epochs;
  if (runnable_.size() > 1) ++result_.parallel_epochs;
  pool_.run(runnable_, [this](u32 node) { nodes_[node]->run_until(horizon_ns_[node]); });
}

void ClusterRun::drain(u64 limit_ns, bool is_last) {
  for (;;) {
    u32 first = kNoNode;
    u64 first_ns = kNever;
    for (u32 i = 0; i < nodes(); ++i) {
      if (nodes_[i]->output_ns() < first_ns) {
        first = i;
        first_ns = nodes_[i]->output_ns();
      }
    }
    // A delivery may wake a node earlier than it was going to wake by itself.
    const u64 before_ns = is_last ? limit_ns : std::min(limit_ns, safe_ns());
    if (first == kNoNode || first_ns >= before_ns) return;
    take_output(first);
  }
}

void ClusterRun::take_output(u32 node) {
  Node& from = *nodes_[node];
  const NodeOutput output = from.output();
  const std::span<const u8> bytes = from.output_bytes();
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const u64 time_ns = run_time(output.time_ns);
  switch (output.kind) {
    case OutputKind::kFrame:
      ++frames_;
      network_.transmit(time_ns, node, bytes, deliveries_);
      deliver();
      break;
    case OutputKind::kConsoleLine:
      observer_.console_line(time_ns, node, text);
      properties_.console_line(time_ns, node, text);
      break;
    case OutputKind::kAgentLine:
      agent_line(time_ns, node, text);
      break;
    case OutputKind::kEnd:
      node_ended(time_ns, node);
      break;
  }
  from.pop_output();
}

void ClusterRun::deliver() {
  for (Delivery& delivery : deliveries_) {
    Node& node = *nodes_[delivery.port];
    if (!node.alive()) {
      node.miss_frame();
      continue;
    }
    const u64 time_ns = start_ns_ + delivery.time_ns;
    node.receive_frame(time_ns, std::move(delivery.frame));
    earliest_ns_[delivery.port] = std::min(earliest_ns_[delivery.port], std::max(time_ns, node.machine().now_ns()));
  }
  deliveries_.clear();
}

}  // namespace bhvm
