#include "cluster/fault_schedule.h"

#include <gmock/gmock.h>

#include <set>

namespace bhvm {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr u64 kSecond = 1'000'000'000;

Scenario five_nodes() {
  Scenario scenario;
  scenario.nodes.resize(5);
  scenario.nodes[4].role = CommandRole::kWorkload;
  return scenario;
}

FaultTargets all_up() {
  return {.is_up = [](u32) { return true; }, .who_said = [](const std::string&) { return kNoNode; }};
}

FaultMixScenario mix_of(FaultKind kind) {
  FaultMixScenario mix;
  mix.kind = kind;
  return mix;
}

/// All faults that begin within a minute.
std::vector<ActiveFault> play(const Scenario& scenario, const FaultTargets& targets = all_up()) {
  FaultSchedule schedule(scenario);
  std::vector<ActiveFault> begun;
  for (u64 now = schedule.next_ns(); now < 60 * kSecond; now = schedule.next_ns()) {
    while (schedule.pop_ended(now)) {
    }
    while (const std::optional<ActiveFault> fault = schedule.pop_begun(now, targets)) {
      if (fault->id != 0) begun.push_back(*fault);
    }
  }
  return begun;
}

std::vector<ActiveFault> only(FaultKind kind, std::vector<ActiveFault> all) {
  std::erase_if(all, [&](const ActiveFault& fault) { return fault.kind != kind; });
  return all;
}

void expect_same(const std::vector<ActiveFault>& a, const std::vector<ActiveFault>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].begin_ns, b[i].begin_ns);
    EXPECT_EQ(a[i].end_ns, b[i].end_ns);
    EXPECT_EQ(a[i].nodes, b[i].nodes);
    EXPECT_EQ(a[i].links, b[i].links);
    EXPECT_EQ(a[i].strength.latency_ns, b[i].strength.latency_ns);
  }
}

TEST(FaultSchedule, ADrawnKindDoesNotShiftAnother) {
  Scenario one = five_nodes();
  one.fault_mix = {mix_of(FaultKind::kPartition), mix_of(FaultKind::kLatency)};
  Scenario more = one;
  more.fault_mix.insert(more.fault_mix.begin(), mix_of(FaultKind::kKill));
  FaultScenario given;
  given.kind = FaultKind::kPause;
  given.at_ns = 3 * kSecond;
  more.faults.push_back(given);
  const std::vector<ActiveFault> before = play(one);
  const std::vector<ActiveFault> after = play(more);
  EXPECT_GT(after.size(), before.size());
  EXPECT_GT(only(FaultKind::kPartition, before).size(), 3);
  one.fault_mix.insert(one.fault_mix.begin(), mix_of(FaultKind::kWallClock));
  const std::vector<ActiveFault> with_dates = play(one);
  for (const FaultKind kind : {FaultKind::kPartition, FaultKind::kLatency}) {
    expect_same(only(kind, before), only(kind, with_dates));
    expect_same(only(kind, before), only(kind, after));
  }
}

TEST(FaultSchedule, AnotherSeedDrawsOtherFaults) {
  Scenario scenario = five_nodes();
  scenario.fault_mix = {mix_of(FaultKind::kPartition)};
  const std::vector<ActiveFault> one = play(scenario);
  expect_same(one, play(scenario));
  scenario.seed = 1;
  EXPECT_NE(one.front().begin_ns, play(scenario).front().begin_ns);
}

TEST(FaultSchedule, DrawsWithinTheMix) {
  Scenario scenario = five_nodes();
  FaultMixScenario mix = mix_of(FaultKind::kClockJump);
  mix.kind = FaultKind::kLatency;
  mix.strength.latency_ns = 1000;
  scenario.fault_mix = {mix};
  u64 last_end = 0;
  for (const ActiveFault& fault : play(scenario)) {
    EXPECT_GE(fault.begin_ns - last_end, mix.interval_min_ns);
    EXPECT_LE(fault.begin_ns - last_end, mix.interval_max_ns);
    EXPECT_GE(fault.end_ns - fault.begin_ns, mix.duration_min_ns);
    EXPECT_LE(fault.end_ns - fault.begin_ns, mix.duration_max_ns);
    EXPECT_GE(fault.strength.latency_ns, 100);
    EXPECT_LE(fault.strength.latency_ns, 1000);
    last_end = fault.end_ns;
  }
}

TEST(FaultSchedule, MomentaryFaultsHaveNoEnd) {
  for (const FaultKind kind : {FaultKind::kClockJump, FaultKind::kWallClock}) {
    Scenario scenario = five_nodes();
    scenario.fault_mix = {mix_of(kind)};
    scenario.fault_mix[0].strength.clock_jump_ns = 1000;
    FaultSchedule schedule(scenario);
    bool forward = false;
    bool back = false;
    for (int i = 0; i < 20; ++i) {
      const std::optional<ActiveFault> fault = schedule.pop_begun(schedule.next_ns(), all_up());
      ASSERT_TRUE(fault.has_value() && fault->kind == kind);
      EXPECT_TRUE(schedule.active().empty());
      EXPECT_LE(std::abs(fault->strength.clock_jump_ns), 1000);
      (fault->strength.clock_jump_ns > 0 ? forward : back) = true;
    }
    EXPECT_TRUE(forward && back);
  }
}

TEST(FaultSchedule, HitsOnlyNodesThatAreUpAndNoWorkload) {
  Scenario scenario = five_nodes();
  scenario.fault_mix = {mix_of(FaultKind::kPause)};
  FaultTargets targets = all_up();
  targets.is_up = [](u32 node) { return node != 2; };
  std::set<u32> hit;
  for (const ActiveFault& fault : play(scenario, targets)) {
    ASSERT_THAT(fault.nodes, SizeIs(1));
    hit.insert(fault.nodes[0]);
  }
  EXPECT_EQ(hit.count(2), 0);
  EXPECT_EQ(hit.count(4), 0);
  EXPECT_GT(hit.size(), 1);
  targets.is_up = [](u32) { return false; };
  EXPECT_TRUE(play(scenario, targets).empty());
}

TEST(FaultSchedule, HitsWhoeverSaidSo) {
  Scenario scenario = five_nodes();
  FaultScenario fault;
  fault.kind = FaultKind::kKill;
  fault.at_ns = 1;
  fault.node_pattern = "became leader";
  scenario.faults = {fault};
  FaultTargets targets = all_up();
  targets.who_said = [](const std::string& pattern) { return pattern == "became leader" ? u32{3} : kNoNode; };
  EXPECT_THAT(play(scenario, targets).at(0).nodes, ElementsAre(3));
}

/// The partition's links as a matrix of "is cut".
std::vector<std::vector<bool>> cut(const ActiveFault& fault) {
  std::vector<std::vector<bool>> links(5, std::vector<bool>(5));
  for (const u32 link : fault.links) links[link / 5][link % 5] = true;
  return links;
}

ActiveFault partition(PartitionShape shape, std::vector<u32> nodes) {
  Scenario scenario = five_nodes();
  FaultScenario fault;
  fault.shape = shape;
  fault.nodes = std::move(nodes);
  scenario.faults = {fault};
  return play(scenario).at(0);
}

TEST(FaultSchedule, PartitionsHaveTheirShapes) {
  const auto halves = cut(partition(PartitionShape::kHalves, {0, 1}));
  for (u32 a = 0; a < 5; ++a) {
    for (u32 b = 0; b < 5; ++b) EXPECT_EQ(halves[a][b], (a < 2) != (b < 2)) << a << b;
  }
  const auto node = cut(partition(PartitionShape::kNode, {3}));
  for (u32 a = 0; a < 5; ++a) {
    for (u32 b = 0; b < 5; ++b) EXPECT_EQ(node[a][b], (a == 3) != (b == 3)) << a << b;
  }
  const auto direction = cut(partition(PartitionShape::kDirection, {3}));
  for (u32 a = 0; a < 5; ++a) {
    for (u32 b = 0; b < 5; ++b) EXPECT_EQ(direction[a][b], a == 3 && b != 3) << a << b;
  }
  const ActiveFault bridge = partition(PartitionShape::kBridge, {2});
  EXPECT_EQ(bridge.nodes.front(), 2);
  EXPECT_THAT(bridge.links, SizeIs(2 * 2 * 2));
  for (u32 b = 0; b < 5; ++b) EXPECT_FALSE(cut(bridge)[2][b] || cut(bridge)[b][2]);
  const auto ring = cut(partition(PartitionShape::kRing, {}));
  for (u32 a = 0; a < 5; ++a) {
    EXPECT_EQ(std::count(ring[a].begin(), ring[a].end(), true), 2) << a;  // all but itself and two neighbours
  }
}

TEST(FaultSchedule, HealingEndsEverything) {
  Scenario scenario = five_nodes();
  FaultScenario fault;
  fault.kind = FaultKind::kLoss;
  fault.at_ns = 1;
  scenario.faults = {fault, fault};
  scenario.faults[1].at_ns = 10 * kSecond;
  FaultSchedule schedule(scenario);
  ASSERT_TRUE(schedule.pop_begun(1, all_up()).has_value());
  EXPECT_FALSE(schedule.pop_ended(5 * kSecond).has_value());  // no duration: until the quiet period
  EXPECT_THAT(schedule.heal(), SizeIs(1));
  EXPECT_EQ(schedule.next_ns(), FaultSchedule::kNever);
  EXPECT_FALSE(schedule.pop_begun(20 * kSecond, all_up()).has_value());
}

}  // namespace
}  // namespace bhvm
