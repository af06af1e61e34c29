// The fault schedule: which faults begin and end when, those given and those drawn from the seed.
//
// A drawn fault takes everything about it from a stream of its own, named after its kind and its number, so that adding
// a kind, or what another fault did to the cluster, shifts nothing. Whom a fault hits is settled when it begins: of the
// nodes that may be hit, those that are up are asked for.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/random_stream.h"
#include "cluster/scenario.h"

namespace bhvm {

/// What the schedule asks when a fault begins.
struct FaultTargets {
  std::function<bool(u32 node)> is_up;                      // may be hit by a kill, a pause and the like
  std::function<u32(const std::string& pattern)> who_said;  // whose console last matched; kNoNode: nobody's
};

/// A fault under way, with everything drawn.
struct ActiveFault {
  u64 id = 0;  // counts faults from 1
  FaultKind kind = FaultKind::kPartition;
  PartitionShape shape = PartitionShape::kHalves;
  u64 begin_ns = 0;
  u64 end_ns = 0;          // ~0: until the quiet period
  std::vector<u32> nodes;  // node faults: the nodes; kPartition: one side (kBridge: the bridge, then one side)
  std::vector<u32> links;  // link faults: from * nodes + to
  u32 disk = kNoNode;
  FaultStrength strength;
};

struct MixState {
  u64 number = 0;  // of the next fault
  u64 next_ns = 0;
};

struct FaultScheduleState {
  u64 next_id = 1;
  u32 next_given = 0;
  std::vector<MixState> mix;
  std::vector<ActiveFault> active;  // ascending by id
};

class FaultSchedule {
 public:
  static constexpr u64 kNever = ~u64{0};

  explicit FaultSchedule(const Scenario& scenario);

  /// When the next fault begins or ends.
  u64 next_ns() const;
  /// Takes the next fault that ends at or before `now_ns`.
  std::optional<ActiveFault> pop_ended(u64 now_ns);
  /// Takes the next one that begins. One that finds nobody to hit does not happen: it has empty `nodes` and `links`.
  std::optional<ActiveFault> pop_begun(u64 now_ns, const FaultTargets& targets);
  /// No fault begins any more, and all that are under way end now.
  std::vector<ActiveFault> heal();

  const std::vector<ActiveFault>& active() const { return state_.active; }
  const FaultScheduleState& state() const { return state_; }

 private:
  ActiveFault settle(FaultScenario fault, RandomStream& stream, const std::vector<u32>& candidates,
                     const FaultTargets& targets);
  void settle_partition(ActiveFault& fault, const std::vector<u32>& given, RandomStream& stream,
                        const std::vector<u32>& candidates) const;
  ActiveFault draw(std::size_t mix, const FaultTargets& targets);
  RandomStream stream_of(std::size_t mix, u64 number) const;
  void arm(std::size_t mix, u64 from_ns);

  const Scenario& scenario_;
  u32 nodes_;
  std::vector<FaultScenario> given_;          // ascending by time
  std::vector<std::vector<u32>> candidates_;  // per mix
  bool healed_ = false;
  FaultScheduleState state_;
};

}  // namespace bhvm
