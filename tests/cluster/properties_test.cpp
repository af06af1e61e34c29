#include "cluster/properties.h"

#include <gmock/gmock.h>

namespace bhvm {
namespace {

using ::testing::HasSubstr;

using Kind = KernelTrouble::Kind;

TEST(KernelTrouble, IsFoundInKernelMessagesOnly) {
  EXPECT_EQ(find_kernel_trouble("[    1.000000] Kernel panic - not syncing: no init").what, "kernel panic");
  EXPECT_EQ(find_kernel_trouble("[   12.345678] BUG: kernel NULL pointer dereference, address: 0").kind, Kind::kKernel);
  EXPECT_EQ(find_kernel_trouble("half a li[   12.345678] Out of memory: Killed process 7 (x)").what, "OOM kill");
  EXPECT_EQ(find_kernel_trouble("[   12.345678] INFO: task x:7 blocked for more than 30 seconds.").what, "hung task");
  EXPECT_EQ(find_kernel_trouble("[   12.345678] potentially unexpected fatal signal 11.").what, "SIGSEGV");
  EXPECT_EQ(find_kernel_trouble("[   12.345678] potentially unexpected fatal signal 6.").kind, Kind::kCrash);
  EXPECT_EQ(find_kernel_trouble("[   12.345678] potentially unexpected fatal signal 15.").kind, Kind::kNone);
  EXPECT_EQ(find_kernel_trouble("[   12.345678] a[7]: segfault at 0 ip 0 sp 0 error 4").what, "SIGSEGV");
  EXPECT_EQ(find_kernel_trouble("BUG: says a program").kind, Kind::kNone);
  EXPECT_EQ(find_kernel_trouble("[INFO] Kernel panic - not syncing").kind, Kind::kNone);
  EXPECT_EQ(find_kernel_trouble("[    1.000000] IPv6: eth0: link becomes ready").kind, Kind::kNone);
}

class PropertiesTest : public ::testing::Test {
 protected:
  PropertiesTest() {
    scenario.nodes.resize(2);
    scenario.nodes[0].name = "a";
    scenario.nodes[1].name = "b";
    scenario.nodes[1].role = CommandRole::kWorkload;
  }
  Properties make() {
    return Properties(scenario, [this](const PropertyResult& result) { verdicts.push_back(result); });
  }
  void add(const std::string& name, PropertyKind kind, const std::string& pattern, u32 node = kNoNode) {
    LinePropertyScenario property;
    property.name = name;
    property.kind = kind;
    property.pattern = pattern;
    property.node = node;
    scenario.properties.push_back(property);
  }

  Scenario scenario;
  std::vector<PropertyResult> verdicts;
};

TEST_F(PropertiesTest, NeverFailsAtTheFirstLine) {
  add("no loss", PropertyKind::kNever, "lost [0-9]+", 1);
  Properties properties = make();
  properties.console_line(5, 0, "lost 3");  // another node
  EXPECT_EQ(properties.failures(), 0);
  properties.console_line(6, 1, "we lost 3 of 4");
  properties.console_line(7, 1, "lost 4");
  ASSERT_EQ(verdicts.size(), 1);
  EXPECT_EQ(verdicts[0].name, "no loss");
  EXPECT_EQ(verdicts[0].time_ns, 6);
  EXPECT_EQ(verdicts[0].node, 1);
  EXPECT_EQ(verdicts[0].detail, "we lost 3 of 4");
  EXPECT_EQ(properties.results().back().count, 2);
}

TEST_F(PropertiesTest, EventuallyFailsAtItsTimeOrAtTheEnd) {
  add("in time", PropertyKind::kEventually, "leader");
  scenario.properties[0].within_ns = 100;
  add("at last", PropertyKind::kEventually, "done");
  add("perhaps", PropertyKind::kSometimes, "rare");
  Properties properties = make();
  EXPECT_EQ(properties.next_deadline_ns(), 100);
  properties.check_deadlines(99);
  EXPECT_EQ(properties.failures(), 0);
  properties.check_deadlines(100);
  EXPECT_EQ(properties.failures(), 1);
  EXPECT_EQ(verdicts[0].name, "in time");
  properties.console_line(150, 0, "leader");  // too late
  properties.finish(200);
  EXPECT_EQ(properties.failures(), 2);  // that it did not happen sometimes is no failure
  EXPECT_EQ(verdicts[1].name, "at last");
}

TEST_F(PropertiesTest, AMetEventuallyIsReportedOnce) {
  add("starts", PropertyKind::kEventually, "^ready");
  Properties properties = make();
  properties.console_line(3, 0, "not ready");
  properties.console_line(4, 0, "ready to serve");
  properties.console_line(5, 0, "ready to serve");
  properties.finish(10);
  EXPECT_EQ(properties.failures(), 0);
  ASSERT_EQ(verdicts.size(), 1);
  EXPECT_EQ(verdicts[0].time_ns, 4);
  EXPECT_EQ(properties.results().back().count, 2);
}

TEST_F(PropertiesTest, CommandsEndAsTheirRoleSays) {
  {
    Properties properties = make();
    properties.command_ended(1, 1, true, 0, "exited 0");
    EXPECT_EQ(properties.failures(), 0);
    properties.command_ended(1, 0, true, 0, "exited 0");
    EXPECT_EQ(properties.failures(), 1);
    EXPECT_THAT(verdicts[0].detail, HasSubstr("of a ended unexpectedly"));
  }
  {
    Properties properties = make();
    properties.command_ended(1, 1, false, 11, "killed SIGSEGV");
    EXPECT_EQ(properties.failures(), 1);
  }
  scenario.builtin.command_end = false;
  Properties properties = make();
  properties.command_ended(1, 0, true, 0, "exited 0");
  EXPECT_EQ(properties.failures(), 0);
}

TEST_F(PropertiesTest, EndCommandsAreJudgedByStatusAndOutput) {
  EndCommandScenario command;
  command.name = "check";
  command.command = "check";
  command.output_pattern = "all [0-9]+ there";
  scenario.end_commands = {command, command, command, command};
  Properties properties = make();
  properties.end_command(1, 0, true, 0, "reading\nall 7 there\n");
  EXPECT_EQ(properties.failures(), 0);
  properties.end_command(1, 1, true, 0, "none there\n");
  EXPECT_EQ(properties.failures(), 1);
  properties.end_command(1, 2, true, 1, "all 7 there\n");
  EXPECT_EQ(properties.failures(), 2);
  EXPECT_THAT(verdicts.back().detail, HasSubstr("exit status 1"));
  properties.end_command(1, 3, false, 0, "");
  EXPECT_EQ(properties.failures(), 3);
  EXPECT_THAT(verdicts.back().detail, HasSubstr("did not end within 30.000 s"));
}

TEST_F(PropertiesTest, KnowsWhoSaidSomethingLast) {
  FaultScenario fault;
  fault.node_pattern = "became leader";
  scenario.faults.push_back(fault);
  Properties properties = make();
  EXPECT_EQ(properties.who_said("became leader"), kNoNode);
  properties.console_line(1, 1, "b became leader");
  properties.console_line(2, 0, "a became leader");
  properties.console_line(3, 1, "b follows");
  EXPECT_EQ(properties.who_said("became leader"), 0);
}

}  // namespace
}  // namespace bhvm
