// The agent in a real guest: identities, commands, ends, and clones that differ.
#include <gmock/gmock.h>

#include "tests/end_to_end/agent_guest.h"

namespace bhvm {
namespace {

using test::agent_guest;
using test::kMillisecond;
using test::kSecond;
using test::Node;
using test::ready_snapshot;
using testing::HasSubstr;
using testing::Not;

class Agent : public testing::Test {
 protected:
  void SetUp() override { BHVM_NEEDS_GUEST; }
};

TEST_F(Agent, WaitsIdleAndTakesOnAnIdentity) {
  MachineConfig config = agent_guest();
  config.network = NicConfig{{2, 0, 0, 0, 0, 1}};
  Node node(config);
  ASSERT_TRUE(node.wait_for(node.channel, "\nready\n")) << node.console << node.channel;
  std::printf("ready after %.1f ms and %.1f M instructions\n", static_cast<double>(node->now_ns()) / 1e6,
              static_cast<double>(node->instructions()) / 1e6);
  node.run_for(kMillisecond);
  const u64 before = node->instructions();
  node.run_for(kSecond);
  EXPECT_LT(node->instructions() - before, 2'000'000u) << "who waits is idle";
  EXPECT_EQ(node.channel, "\nready\n");

  node.say(
      "hostname alpha\nmac 02:00:00:00:0a:0b\naddress 10.1.2.3/24\nhost 10.1.2.3 alpha\nhost 10.1.2.4 beta b\n"
      "env GREETING=a\\nb\nseed 00112233445566778899aabbccddeeff\ndate 2000000000.250000000\n"
      "command echo \"<$GREETING>\"; hostname; exit 3\ngo\n");
  ASSERT_TRUE(node.wait_for(node.channel, "\nexited 3\n")) << node.console << node.channel;
  EXPECT_THAT(node.channel, HasSubstr("\nstarted\n"));
  EXPECT_THAT(node.console, HasSubstr("<a\nb>\nalpha\n"));
  EXPECT_EQ(node.command("cat /sys/class/net/eth0/address; ip -4 addr show eth0 | grep -c 10.1.2.3/24; date +%s"),
            std::pair(std::string("02:00:00:00:0a:0b\n1\n2000000000\n"), 0));
  EXPECT_THAT(node.command("cat /etc/hosts").first, HasSubstr("10.1.2.4 beta b\n"));
  EXPECT_EQ(node.command("echo 'a\\b'\nkill -9 $$"), std::pair(std::string("a\\\\b\n"), 128 + 9));
  node.say("clock c -5000000000\n");
  ASSERT_TRUE(node.wait_for(node.channel, "\ndone c 0\n"));
  EXPECT_THAT(node.command("date +%s").first, testing::StartsWith("199999999"));
  node.say("stop\n");
  EXPECT_EQ(node.run_for(10 * kSecond).reason, StopReason::kPowerOff);
}

TEST_F(Agent, TellsOfACommandThatIsKilled) {
  Node node(agent_guest());
  ASSERT_TRUE(node.wait_for(node.channel, "\nready\n"));
  node.say("command kill -SEGV $$\ngo\n");
  ASSERT_TRUE(node.wait_for(node.channel, "\nkilled 11\n")) << node.console << node.channel;
  EXPECT_THAT(node.console, HasSubstr("fatal signal 11"));
}

TEST_F(Agent, RefusesWhatItDoesNotKnow) {
  Node node(agent_guest());
  ASSERT_TRUE(node.wait_for(node.channel, "\nready\n"));
  node.say("colour blue\ngo\n");
  const Stop stop = node.run_for(20 * kSecond);
  EXPECT_EQ(stop.reason, StopReason::kGuestExit);
  EXPECT_EQ(stop.status, 125u);
  EXPECT_THAT(node.channel, HasSubstr("\nerror the agent does not know 'colour' in an identity.\n"));
}

TEST_F(Agent, ClonesDifferByTheirSeedsAndAreRepeatable) {
  MachineSnapshot ready = ready_snapshot(agent_guest());
  const auto run = [&](u64 seed, const std::string& hex) {
    Node node(Machine::from_snapshot(ready));
    node->reseed(seed, 1);
    node.say("seed " + hex + "\ncommand cat /proc/sys/kernel/random/uuid; sleep 1; exit 0\ngo\n");
    EXPECT_TRUE(node.wait_for(node.channel, "\nexited 0\n")) << node.console << node.channel;
    return std::pair(node.console, node->state_hash());
  };
  const auto a = run(1, "01");
  EXPECT_EQ(run(1, "01"), a);
  EXPECT_NE(run(1, "02").first, a.first);
  EXPECT_NE(run(2, "01").second, a.second);
}

TEST_F(Agent, ASnapshotBecomesAMachineOfALaterTime) {
  MachineConfig config = agent_guest();
  config.rtc_epoch_s = 1'500'000'000;
  MachineSnapshot ready = ready_snapshot(config);
  const u64 ready_ns = Machine::from_snapshot(ready)->now_ns();
  const u64 later_ns = 1000 * kSecond + 123;
  Node node(Machine::from_snapshot(ready, {}, later_ns));
  EXPECT_EQ(node->now_ns(), later_ns);
  node.say("go\n");
  ASSERT_TRUE(node.wait_for(node.channel, "\nstarted\n")) << node.console;
  const u64 run_ns = node->now_ns() - later_ns;
  EXPECT_LT(run_ns, kSecond) << "nothing of the skipped time is made up for";
  const auto [text, status] = node.command("cut -d. -f1 /proc/uptime");
  EXPECT_LE(std::stoul(text), (ready_ns + run_ns) / kSecond + 2) << "its uptime is its own";
  // Hours, minutes and seconds of the RTC: 1,500,000,000 is 02:40:00, and 1000 s are 16:40.
  const std::string read =
      "for r in '\\004' '\\002' '\\000'; do printf $r | dd of=/dev/port bs=1 seek=112 2>/dev/null; "
      "dd if=/dev/port bs=1 skip=113 count=1 2>/dev/null | od -An -tx1; done | tr -d '\n'";
  EXPECT_THAT(node.command(read).first, testing::StartsWith(" 02 56 "));
}

}  // namespace
}  // namespace bhvm
