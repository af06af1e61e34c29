#include "cluster/scenario.h"

#include <gmock/gmock.h>

#include <functional>

namespace bhvm {
namespace {

using ::testing::HasSubstr;

Scenario good() {
  Scenario scenario;
  scenario.images.push_back({"image", "vmlinux", "initrd", "", ""});
  scenario.nodes.resize(3);
  for (u32 i = 0; i < 3; ++i) scenario.nodes[i].name = "n" + std::to_string(i);
  return scenario;
}

TEST(Scenario, AGoodOneIsAccepted) {
  const Status status = validate(good());
  EXPECT_TRUE(status.ok()) << status.error().message;
}

TEST(Scenario, WhatIsWrongIsNamed) {
  struct Case {
    std::function<void(Scenario&)> spoil;
    std::string says;
  };
  const std::vector<Case> cases = {
      {[](Scenario& s) { s.nodes.clear(); }, "has no nodes"},
      {[](Scenario& s) { s.nodes[1].name = "n0"; }, "Two nodes have the name n0"},
      {[](Scenario& s) { s.nodes[1].name = "a b"; }, "is no host name"},
      {[](Scenario& s) { s.nodes[1].image = 7; }, "an image that is not there"},
      {[](Scenario& s) { s.nodes[0].address = s.nodes[1].address = 0x0A000005; }, "is that of another node"},
      {[](Scenario& s) { s.nodes[0].address = 0x0B000001; }, "is not one of the network's"},
      {[](Scenario& s) { s.network.links.push_back({0, 9, {}}); }, "must lead from a node"},
      {[](Scenario& s) { s.network.links.push_back({1, 1, {}}); }, "must lead from a node"},
      {[](Scenario& s) { s.network.link.latency_ns = 0; }, "latency is 0"},
      {[](Scenario& s) { s.faults.push_back({}), s.faults[0].nodes = {3}; }, "node number 3"},
      {[](Scenario& s) { s.faults.push_back({}), s.faults[0].at_ns = s.max_time_ns + 1; }, "beyond"},
      {[](Scenario& s) { s.faults.push_back({}), s.faults[0].node_pattern = "("; }, "no regular expression"},
      {[](Scenario& s) { s.fault_mix.push_back({}), s.fault_mix[0].interval_min_ns = ~u64{0}; }, "end is before"},
      {[](Scenario& s) { s.properties.push_back({}), s.properties[0].pattern = "[a"; }, "no regular expression"},
      {[](Scenario& s) { s.end_commands.push_back({}), s.end_commands[0].node = 3; }, "node number 3"},
      {[](Scenario& s) { s.quiet_ns = s.max_time_ns + 1; }, "quiet period is longer"},
  };
  for (const Case& one : cases) {
    Scenario scenario = good();
    one.spoil(scenario);
    const Status status = validate(scenario);
    ASSERT_FALSE(status.ok()) << one.says;
    EXPECT_THAT(status.error().message, HasSubstr(one.says));
  }
}

TEST(Scenario, EveryKindHasAName) {
  for (u32 kind = 0; kind < kFaultKinds; ++kind) EXPECT_FALSE(to_string(static_cast<FaultKind>(kind)).empty());
  EXPECT_EQ(to_string(FaultKind::kDiskFull), "disk-full");
  EXPECT_EQ(to_string(PartitionShape::kRing), "ring");
}

}  // namespace
}  // namespace bhvm
