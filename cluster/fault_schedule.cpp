#include "cluster/fault_schedule.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace bhvm {
namespace {

u64 draw_between(RandomStream& stream, u64 least, u64 most) { return least + stream.below(most - least + 1); }

/// A share of `most`: between a tenth and all of it, so that a drawn fault is felt.
u64 share_of(RandomStream& stream, u64 most) { return draw_between(stream, most / 10, most); }

i64 signed_share_of(RandomStream& stream, i64 most) {
  const u64 size = share_of(stream, static_cast<u64>(most < 0 ? -most : most));
  return stream.below(2) == 0 ? static_cast<i64>(size) : -static_cast<i64>(size);
}

/// `all` in an order drawn from the stream (Fisher, Yates).
std::vector<u32> shuffled(std::vector<u32> all, RandomStream& stream) {
  for (std::size_t i = all.size(); i > 1; --i) std::swap(all[i - 1], all[stream.below(i)]);
  return all;
}

bool contains(const std::vector<u32>& all, u32 one) { return std::ranges::find(all, one) != all.end(); }

/// The pairs of nodes that a partition separates.
class Separation {
 public:
  Separation(u32 nodes, std::vector<u32>& links) : nodes_(nodes), links_(links) {}
  void one_way(u32 from, u32 to) {
    if (from != to) links_.push_back(from * nodes_ + to);
  }
  void both_ways(u32 a, u32 b) {
    one_way(a, b);
    one_way(b, a);
  }

 private:
  u32 nodes_;
  std::vector<u32>& links_;
};

}  // namespace

FaultSchedule::FaultSchedule(const Scenario& scenario)
    : scenario_(scenario), nodes_(static_cast<u32>(scenario.nodes.size())), given_(scenario.faults) {
  // Of one moment in the order of the scenario; std::stable_sort asks for memory by a deprecated way.
  for (std::size_t i = 1; i < given_.size(); ++i) {
    for (std::size_t j = i; j > 0 && given_[j].at_ns < given_[j - 1].at_ns; --j) std::swap(given_[j], given_[j - 1]);
  }
  state_.mix.resize(scenario.fault_mix.size());
  for (std::size_t i = 0; i < scenario.fault_mix.size(); ++i) {
    std::vector<u32> candidates = scenario.fault_mix[i].nodes;
    if (candidates.empty()) {
      for (u32 node = 0; node < nodes_; ++node) {
        if (scenario.nodes[node].role != CommandRole::kWorkload) candidates.push_back(node);
      }
    }
    if (candidates.empty()) {  // all are workloads
      for (u32 node = 0; node < nodes_; ++node) candidates.push_back(node);
    }
    candidates_.push_back(std::move(candidates));
    arm(i, 0);
  }
}

RandomStream FaultSchedule::stream_of(std::size_t mix, u64 number) const {
  // A second mix of the same kind is another one; one of another kind changes nothing here.
  const FaultKind kind = scenario_.fault_mix[mix].kind;
  u64 same = 0;
  for (std::size_t i = 0; i < mix; ++i) same += scenario_.fault_mix[i].kind == kind ? 1 : 0;
  return RandomStream(scenario_.seed, number, fmt::format("faults/{}/{}", to_string(kind), same));
}

void FaultSchedule::arm(std::size_t mix, u64 from_ns) {
  const FaultMixScenario& config = scenario_.fault_mix[mix];
  RandomStream stream = stream_of(mix, state_.mix[mix].number);
  state_.mix[mix].next_ns = from_ns + draw_between(stream, config.interval_min_ns, config.interval_max_ns);
}

u64 FaultSchedule::next_ns() const {
  u64 next = kNever;
  for (const ActiveFault& fault : state_.active) next = std::min(next, fault.end_ns);
  if (healed_) return next;
  if (state_.next_given < given_.size()) next = std::min(next, given_[state_.next_given].at_ns);
  for (const MixState& mix : state_.mix) next = std::min(next, mix.next_ns);
  return next;
}

std::optional<ActiveFault> FaultSchedule::pop_ended(u64 now_ns) {
  const auto ended = std::ranges::min_element(state_.active, {}, &ActiveFault::end_ns);
  if (ended == state_.active.end() || ended->end_ns > now_ns) return std::nullopt;
  ActiveFault fault = std::move(*ended);
  state_.active.erase(ended);
  return fault;
}

std::optional<ActiveFault> FaultSchedule::pop_begun(u64 now_ns, const FaultTargets& targets) {
  if (healed_) return std::nullopt;
  ActiveFault fault;
  if (state_.next_given < given_.size() && given_[state_.next_given].at_ns <= now_ns) {
    const u32 number = state_.next_given++;
    RandomStream stream(scenario_.seed, number, "faults/given");
    std::vector<u32> all;
    for (u32 node = 0; node < nodes_; ++node) all.push_back(node);
    fault = settle(given_[number], stream, all, targets);
  } else {
    const auto mix = std::ranges::min_element(state_.mix, {}, &MixState::next_ns);
    if (mix == state_.mix.end() || mix->next_ns > now_ns) return std::nullopt;
    fault = draw(static_cast<std::size_t>(mix - state_.mix.begin()), targets);
  }
  if (fault.nodes.empty() && fault.links.empty()) return fault;
  fault.id = state_.next_id++;
  if (!is_momentary(fault.kind)) state_.active.push_back(fault);
  return fault;
}

ActiveFault FaultSchedule::draw(std::size_t mix, const FaultTargets& targets) {
  const FaultMixScenario& config = scenario_.fault_mix[mix];
  MixState& state = state_.mix[mix];
  RandomStream stream = stream_of(mix, state.number);
  draw_between(stream, config.interval_min_ns, config.interval_max_ns);  // what arm() drew

  FaultScenario fault;
  fault.kind = config.kind;
  fault.at_ns = state.next_ns;
  fault.duration_ns = std::max<u64>(1, draw_between(stream, config.duration_min_ns, config.duration_max_ns));
  fault.strength = config.strength;
  fault.node_pattern = config.node_pattern;
  FaultStrength& strength = fault.strength;
  strength.latency_ns = share_of(stream, strength.latency_ns);
  strength.probability_ppb = static_cast<u32>(share_of(stream, strength.probability_ppb));
  strength.bandwidth_bps = std::max<u64>(1000, share_of(stream, strength.bandwidth_bps));
  strength.slow_factor =
      static_cast<u32>(draw_between(stream, std::min<u64>(2, strength.slow_factor), strength.slow_factor));
  strength.clock_rate_ppm = std::max<i64>(-900'000, signed_share_of(stream, strength.clock_rate_ppm));
  strength.clock_jump_ns = signed_share_of(stream, strength.clock_jump_ns);
  if (config.shapes.empty()) {
    fault.shape = static_cast<PartitionShape>(stream.below(static_cast<u64>(PartitionShape::kCount)));
  } else {
    fault.shape = config.shapes[stream.below(config.shapes.size())];
  }
  ActiveFault active = settle(std::move(fault), stream, candidates_[mix], targets);
  ++state.number;
  arm(mix, state.next_ns + (active.end_ns - active.begin_ns));
  return active;
}

ActiveFault FaultSchedule::settle(FaultScenario given, RandomStream& stream, const std::vector<u32>& candidates,
                                  const FaultTargets& targets) {
  if (!given.node_pattern.empty()) {
    const u32 node = targets.who_said(given.node_pattern);
    given.nodes.clear();
    if (node != kNoNode) {
      given.nodes.push_back(node);
    } else if (is_link_fault(given.kind) && given.kind != FaultKind::kPartition) {
      given.nodes.push_back(candidates[stream.below(candidates.size())]);
    }
  }
  ActiveFault fault;
  fault.kind = given.kind;
  fault.shape = given.shape;
  fault.begin_ns = given.at_ns;
  fault.end_ns = given.duration_ns == 0 ? kNever : given.at_ns + given.duration_ns;
  fault.disk = given.disk;
  fault.strength = given.strength;
  if (given.kind == FaultKind::kPartition) {
    settle_partition(fault, given.nodes, stream, candidates);
  } else if (is_link_fault(given.kind)) {
    for (const auto& [from, to] : given.links) fault.links.push_back(from * nodes_ + to);
    if (given.links.empty()) {
      fault.nodes = given.nodes;
      Separation all(nodes_, fault.links);
      for (u32 from = 0; from < nodes_; ++from) {
        for (u32 to = 0; to < nodes_; ++to) {
          if (given.nodes.empty() || contains(given.nodes, from) || contains(given.nodes, to)) all.one_way(from, to);
        }
      }
    }
  } else {
    fault.nodes = given.nodes;
    const std::vector<u32> order = shuffled(candidates, stream);
    if (fault.nodes.empty()) {
      const auto up = std::ranges::find_if(order, targets.is_up);
      if (up != order.end()) fault.nodes.push_back(*up);
    }
  }
  std::ranges::sort(fault.links);
  const auto repeated = std::ranges::unique(fault.links);
  fault.links.erase(repeated.begin(), repeated.end());
  return fault;
}

void FaultSchedule::settle_partition(ActiveFault& fault, const std::vector<u32>& given, RandomStream& stream,
                                     const std::vector<u32>& candidates) const {
  std::vector<u32> order = shuffled(candidates, stream);
  const u64 cut = order.size() < 2 ? order.size() : 1 + stream.below(order.size() - 1);
  Separation apart(nodes_, fault.links);
  switch (fault.shape) {
    case PartitionShape::kHalves: {
      std::vector<u32> one = given;
      if (one.empty()) one.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(cut));
      std::ranges::sort(one);
      for (const u32 a : one) {
        for (const u32 b : candidates) {
          if (!contains(one, b)) apart.both_ways(a, b);
        }
      }
      fault.nodes = std::move(one);
      break;
    }
    case PartitionShape::kNode:
    case PartitionShape::kDirection: {
      std::vector<u32> alone = given;
      if (alone.empty() && !order.empty()) alone.push_back(order.front());
      for (const u32 node : alone) {
        for (u32 other = 0; other < nodes_; ++other) {
          if (!given.empty() || contains(candidates, other)) {
            fault.shape == PartitionShape::kNode ? apart.both_ways(node, other) : apart.one_way(node, other);
          }
        }
      }
      fault.nodes = std::move(alone);
      break;
    }
    case PartitionShape::kBridge: {
      if (!given.empty()) {  // it comes first
        std::erase(order, given.front());
        order.insert(order.begin(), given.front());
      }
      if (order.size() < 3) break;
      const std::size_t middle = 1 + order.size() / 2;
      for (std::size_t a = 1; a < middle; ++a) {
        for (std::size_t b = middle; b < order.size(); ++b) apart.both_ways(order[a], order[b]);
      }
      fault.nodes.assign(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(middle));
      break;
    }
    case PartitionShape::kRing: {
      if (order.size() < 4) break;  // of three nodes all are neighbours
      for (std::size_t a = 0; a < order.size(); ++a) {
        for (std::size_t b = a + 2; b < order.size(); ++b) {
          if (a == 0 && b == order.size() - 1) continue;
          apart.both_ways(order[a], order[b]);
        }
      }
      fault.nodes = std::move(order);
      break;
    }
    case PartitionShape::kCount:
      BHVM_UNREACHABLE("a partition without a shape");
  }
  if (fault.links.empty()) fault.nodes.clear();  // nobody is apart: no fault
}

std::vector<ActiveFault> FaultSchedule::heal() {
  healed_ = true;
  return std::exchange(state_.active, {});
}

}  // namespace bhvm
