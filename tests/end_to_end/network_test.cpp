// What each fault of a link does, seen from inside of a real guest: what ping and the kernel's own counters say.
#include <cstdlib>
#include <map>
#include <regex>

#include "tests/end_to_end/lan.h"

namespace bhvm {
namespace {

using test::Lan;

constexpr u64 kSecond = Lan::kSecond;
constexpr u64 kMillisecond = 1'000'000;
constexpr u32 kHalf = LinkConfig::kCertain / 2;
constexpr const char* kWait = "sleep 100000";

class NetworkFaults : public testing::Test {
 protected:
  void SetUp() override { BHVM_NEEDS_GUEST; }
};

struct Reply {
  u32 seq = 0;
  double ms = 0;
  bool duplicate = false;
};

/// The replies that ping wrote, in their order.
std::vector<Reply> replies(const std::string& console) {
  static const std::regex pattern(R"(seq=(\d+) ttl=\d+ time=([\d.]+) ms( \(DUP!\))?)");
  std::vector<Reply> out;
  for (std::sregex_iterator at(console.begin(), console.end(), pattern), end; at != end; ++at) {
    out.push_back({static_cast<u32>(std::stoul((*at)[1])), std::stod((*at)[2]), (*at)[3].matched});
  }
  return out;
}

/// What `grep -h PROTOCOL: /proc/net/snmp /proc/net/netstat` says of a counter: a line of names and one of numbers.
u64 counter(const std::string& console, const std::string& protocol, const std::string& name) {
  std::istringstream lines(console);
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(protocol + ": ")) continue;
    std::istringstream text(line);
    std::vector<std::string> words;
    for (std::string word; text >> word;) words.push_back(word);
    if (names.empty()) {
      names = words;
      continue;
    }
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (names[i] == name) return std::stoull(words[i]);
    }
  }
  ADD_FAILURE() << "no counter " << protocol << ": " << name << " in\n" << console;
  return 0;
}

TEST_F(NetworkFaults, NoneIsAPlainNetwork) {
  Lan lan({"ping -c 5 10.0.0.2", kWait});
  lan.run_to_end(0);
  EXPECT_EQ(replies(lan.console(0)).size(), 5u) << lan.console(0);
  for (const Reply& reply : replies(lan.console(0))) EXPECT_LT(reply.ms, 1);
}

TEST_F(NetworkFaults, LatencyIsSeenByPing) {
  Lan lan({"ping -c 10 10.0.0.2", kWait});
  lan.run_to_text(0, "seq=4");
  LinkConfig config = lan.link();
  config.latency_ns = 50 * kMillisecond;
  lan.set_links(config);
  lan.run_to_end(0);
  const std::vector<Reply> all = replies(lan.console(0));
  ASSERT_EQ(all.size(), 10u) << lan.console(0);
  for (const Reply& reply : all) {
    if (reply.seq <= 4) EXPECT_LT(reply.ms, 1);
    if (reply.seq > 4) EXPECT_NEAR(reply.ms, 100, 1);
  }
}

TEST_F(NetworkFaults, JitterIsSeenByPing) {
  LinkConfig config;
  config.jitter_ns = 20 * kMillisecond;
  Lan lan({"ping -c 50 10.0.0.2", kWait}, config);
  lan.run_to_end(0);
  const std::vector<Reply> all = replies(lan.console(0));
  ASSERT_EQ(all.size(), 50u) << lan.console(0);
  const auto [least, most] = std::ranges::minmax(all, {}, &Reply::ms);
  EXPECT_LT(least.ms, 10);
  EXPECT_GT(most.ms, 30);
  EXPECT_LT(most.ms, 41);
}

TEST_F(NetworkFaults, LossIsSeenByPing) {
  Lan lan({"ping -c 200 10.0.0.2", kWait});
  lan.run_to_text(0, "seq=0");
  LinkConfig config = lan.link();
  config.loss_ppb = LinkConfig::kCertain / 10 * 3;
  lan.set_links(config);
  lan.run(lan.now_ns() + 300 * kSecond, [&] { return lan.console(0).find("statistics") != std::string::npos; });
  const std::size_t received = replies(lan.console(0)).size();
  EXPECT_NEAR(static_cast<double>(received), 200 * 0.49, 30) << lan.console(0);
  EXPECT_GT(lan.network().counters(0, 1).lost, 30u);
  EXPECT_GT(lan.network().counters(1, 0).lost, 20u);
}

TEST_F(NetworkFaults, DuplicatesAreSeenByPing) {
  Lan lan({"ping -c 50 10.0.0.2", kWait});
  lan.run_to_text(0, "seq=0");
  LinkConfig config = lan.link();
  config.duplicate_ppb = kHalf;
  lan.network().set_link(1, 0, config);
  lan.run_to_end(0);
  const std::vector<Reply> all = replies(lan.console(0));
  const auto duplicates = static_cast<u64>(std::ranges::count(all, true, &Reply::duplicate));
  EXPECT_EQ(all.size() - duplicates, 50u) << lan.console(0);
  EXPECT_GT(duplicates, 10u);
  EXPECT_LE(duplicates, lan.network().counters(1, 0).duplicated) << "ARP is duplicated, too";
}

TEST_F(NetworkFaults, ReorderingIsSeenByPing) {
  Lan lan({"ping -c 50 10.0.0.2", kWait});
  lan.run_to_text(0, "seq=0");
  LinkConfig config = lan.link();
  config.reorder_ppb = kHalf;
  config.reorder_delay_ns = 5 * kSecond;
  lan.network().set_link(0, 1, config);
  lan.run_to_end(0);
  const std::vector<Reply> all = replies(lan.console(0));
  EXPECT_GT(all.size(), 40u) << lan.console(0);
  EXPECT_FALSE(std::ranges::is_sorted(all, {}, &Reply::seq)) << lan.console(0);
}

TEST_F(NetworkFaults, CorruptionIsCaughtByTheKernelsChecksums) {
  Lan lan({"ping -c 100 10.0.0.2 | tail -n 3; cat /proc/net/snmp", kWait});
  lan.run(10 * kSecond, [&] { return lan.network().counters(1, 0).frames >= 5; });
  LinkConfig config = lan.link();
  config.corrupt_ppb = kHalf;
  lan.network().set_link(1, 0, config);
  lan.run_to_end(0);
  const std::string console = lan.console(0);
  EXPECT_GT(counter(console, "Icmp", "InCsumErrors"), 10u) << console;
  EXPECT_GT(counter(console, "Ip", "InHdrErrors"), 0u);
  EXPECT_LT(counter(console, "Icmp", "InEchoReps"), 80u);
}

TEST_F(NetworkFaults, APartitionIsSilenceUntilItHeals) {
  Lan lan({"ping -c 30 10.0.0.2", "ping 10.0.0.3", kWait});
  lan.run_to_text(0, "seq=4");
  for (const auto& [from, to] : {std::pair{0U, 1U}, {1U, 0U}}) lan.network().set_blocked(from, to, true);
  lan.run_for(10 * kSecond);
  const std::vector<Reply> before = replies(lan.console(0));
  EXPECT_EQ(before.back().seq, 4u);
  EXPECT_GE(replies(lan.console(1)).back().seq, 12u) << "the others still hear each other";
  for (const auto& [from, to] : {std::pair{0U, 1U}, {1U, 0U}}) lan.network().set_blocked(from, to, false);
  lan.run_to_end(0);
  const std::vector<Reply> all = replies(lan.console(0));
  EXPECT_NEAR(static_cast<double>(all.size()), 20, 2) << lan.console(0);
  EXPECT_EQ(all.back().seq, 29u);
}

TEST_F(NetworkFaults, APartitionInOneDirectionLetsRequestsPass) {
  Lan lan({"ping -c 10 10.0.0.2; true", "sleep 30; cat /proc/net/snmp"});
  lan.run_to_text(0, "seq=0");
  lan.network().set_blocked(1, 0, true);
  lan.run_to_end(1);
  EXPECT_EQ(replies(lan.console(0)).size(), 1u) << lan.console(0);
  EXPECT_GE(counter(lan.console(1), "Icmp", "InEchos"), 5u) << "until the address is asked for again, in vain";
  EXPECT_EQ(counter(lan.console(1), "Icmp", "InEchos"), counter(lan.console(1), "Icmp", "OutEchoReps"));
}

TEST_F(NetworkFaults, AClogDelaysAndThenDeliversAllInOrder) {
  Lan lan({"ping -W 20 -c 15 10.0.0.2", kWait});
  lan.run_to_text(0, "seq=4");
  lan.network().clog(0, 1);
  lan.run_for(5 * kSecond);
  EXPECT_EQ(replies(lan.console(0)).back().seq, 4u);
  lan.release(0, 1);
  lan.run_to_end(0);
  const std::vector<Reply> all = replies(lan.console(0));
  ASSERT_EQ(all.size(), 15u) << lan.console(0);
  EXPECT_TRUE(std::ranges::is_sorted(all, {}, &Reply::seq));
  EXPECT_NEAR(all[5].ms, 4000, 10) << "it was sent a second into the clog";
  EXPECT_NEAR(all[8].ms, 1000, 10);
  EXPECT_LT(all[11].ms, 1);
}

// ---- TCP ----

// The receiver stays until the last of its segments has been acknowledged.
constexpr const char* kReceive =
    "nc -l -p 5000 > /data; sha256sum /data; grep -h Tcp /proc/net/snmp /proc/net/netstat; sleep 200";

std::string send_bytes(u64 kib) {
  return fmt::format(
      "head -c {} /dev/urandom > /data; sha256sum /data; sleep 1; time nc 10.0.0.2 5000 < /data; "
      "grep -h Tcp /proc/net/snmp /proc/net/netstat",
      kib << 10);
}

std::string checksum(const std::string& console) {
  static const std::regex pattern(R"(([0-9a-f]{64})  /data)");
  std::smatch match;
  EXPECT_TRUE(std::regex_search(console, match, pattern)) << console;
  return match[1];
}

struct Transfer {
  double seconds = 0;  // as the sender's clock has it
  std::string sender;  // what its console says
  std::string receiver;
};

Transfer transfer(const LinkConfig& config, u64 kib, u64 seed = 0) {
  Lan lan({send_bytes(kib), kReceive}, config, seed);
  lan.run_to_end(0);
  lan.run_to_end(1);
  Transfer result{0, lan.console(0), lan.console(1)};
  EXPECT_EQ(checksum(result.sender), checksum(result.receiver)) << "what arrived is not what was sent";
  static const std::regex pattern(R"(real\s+(\d+)m\s*([\d.]+)s)");
  std::smatch match;
  EXPECT_TRUE(std::regex_search(result.sender, match, pattern)) << result.sender;
  result.seconds = std::stod(match[1]) * 60 + std::stod(match[2]);
  return result;
}

TEST_F(NetworkFaults, ABandwidthClampSlowsATransferDown) {
  const Transfer free = transfer({}, 512);
  EXPECT_LT(free.seconds, 0.5);
  LinkConfig config;
  config.bandwidth_bps = 1'000'000;
  const Transfer clamped = transfer(config, 512);
  EXPECT_GT(clamped.seconds, 4.19) << "524288 bytes at 1 Mbit/s";
  EXPECT_LT(clamped.seconds, 6);
}

TEST_F(NetworkFaults, TcpRepairsLoss) {
  LinkConfig config;
  config.loss_ppb = LinkConfig::kCertain / 100 * 5;
  const Transfer result = transfer(config, 512);
  EXPECT_GT(counter(result.sender, "Tcp", "RetransSegs"), 5u);
}

TEST_F(NetworkFaults, TcpSortsReorderedSegments) {
  LinkConfig config;
  config.reorder_ppb = LinkConfig::kCertain / 100 * 5;
  const Transfer result = transfer(config, 512);
  EXPECT_GT(counter(result.receiver, "TcpExt", "TCPOFOQueue"), 5u);
}

TEST_F(NetworkFaults, TcpThrowsCorruptedSegmentsAway) {
  LinkConfig config;
  config.corrupt_ppb = LinkConfig::kCertain / 100 * 5;
  const Transfer result = transfer(config, 512);
  EXPECT_GT(counter(result.receiver, "Tcp", "InCsumErrors"), 5u);
}

TEST_F(NetworkFaults, TcpArrivesIntactUnderAllAtOnce) {
  LinkConfig config;
  config.latency_ns = kMillisecond;
  config.jitter_ns = kMillisecond;
  config.loss_ppb = config.duplicate_ppb = config.reorder_ppb = config.corrupt_ppb = LinkConfig::kCertain / 100 * 3;
  for (u64 seed = 0; seed < 3; ++seed) {
    const Transfer result = transfer(config, 512, seed);
    EXPECT_GT(counter(result.sender, "Tcp", "RetransSegs"), 5u);
    EXPECT_GT(counter(result.receiver, "Tcp", "InCsumErrors"), 2u);
    EXPECT_GT(counter(result.receiver, "TcpExt", "TCPOFOQueue"), 5u);
  }
}

// ---- Determinism ----

TEST_F(NetworkFaults, OneSeedIsOneRunHoweverItIsCut) {
  LinkConfig config;
  config.jitter_ns = kMillisecond;
  config.loss_ppb = config.duplicate_ppb = config.reorder_ppb = config.corrupt_ppb = LinkConfig::kCertain / 100 * 3;
  const auto run = [&](u64 seed, u64 most_ns) {
    Lan lan({send_bytes(64), kReceive}, config, seed);
    lan.set_longest_step(most_ns);
    lan.run_for(20 * kSecond);
    EXPECT_EQ(checksum(lan.console(0)), checksum(lan.console(1)));
    return lan.hash();
  };
  const Hash128 hash = run(1, ~u64{0});
  EXPECT_EQ(run(1, ~u64{0}), hash);
  EXPECT_EQ(run(1, 31'337), hash) << "frames scheduled at other moments, for the same times";
  EXPECT_NE(run(2, ~u64{0}), hash);
}

TEST_F(NetworkFaults, AForkGoesOnWithTheFramesThatAreUnderWay) {
  Lan lan({"ping -c 3 10.0.0.2", kWait});
  lan.run_to_text(0, "seq=0");
  LinkConfig config = lan.link();
  config.latency_ns = 300 * kMillisecond;
  lan.set_links(config);
  ASSERT_TRUE(lan.run(lan.now_ns() + 2 * kSecond, [&] { return !lan.machine(1).state().network.frames.empty(); }));
  const auto fork = lan.machine(1).fork();
  const auto listen = [](Machine& machine, std::vector<u64>& times) {
    machine.set_frame_output([&times](u64 time_ns, std::span<const u8>) { times.push_back(time_ns); });
  };
  std::vector<u64> of_trunk;
  std::vector<u64> of_fork;
  listen(lan.machine(1), of_trunk);
  listen(*fork, of_fork);
  EXPECT_EQ(fork->state_hash(), lan.machine(1).state_hash());
  RunLimits limits;
  limits.time_ns = fork->now_ns() + 400 * kMillisecond;
  fork->run_until(limits);
  lan.machine(1).run_until(limits);
  EXPECT_FALSE(of_fork.empty()) << "there is no reply";
  EXPECT_EQ(of_fork, of_trunk);
  EXPECT_EQ(fork->state_hash(), lan.machine(1).state_hash());
}

}  // namespace
}  // namespace bhvm
