#include "cli/scenario_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/scenario_keys.h"
#include "cli/toml_table.h"

namespace bhvm::cli {
namespace {

using testing::HasSubstr;

// Line 1 is the first of `rest`.
Result<ScenarioFile> parse(const std::string& rest) { return parse_scenario(rest, "dir/test.toml"); }

constexpr const char* kGood = R"([images.small]
packages = ["busybox-static"]
[[nodes]]
name = "a"
[[nodes]]
name = "b"
memory = "64M"
)";

/// The complaint about a good scenario with `more` behind it, which begins in line 8.
std::string complaint(const std::string& more) {
  const Result<ScenarioFile> file = parse(kGood + more);
  return file ? "(none)" : file.error().message;
}

TEST(ScenarioFile, EverythingInIt) {
  const Result<ScenarioFile> parsed = parse(R"toml(
name = "all"
description = "of it"
seed = 9
max_time = "2m"
quiet = "20s"
timer_jitter = "10us"
hash_every = "500ms"
date = 2026-01-31T12:00:00+01:00
stop_at_failure = false
power_off_at_end = true

[images.one]
packages = ["busybox-static", "redis-server"]
size = "512M"
append = "slub_debug"
[images.another]
packages = "busybox-static"

[[nodes]]
name = "db"
count = 2
image = "one"
memory = "128M"
command = "server"
environment = { ROLE = "x", PORT = 6379 }
disks = [{ size = "64M", mount = "/data" }]
rate = "1/2"
[[nodes]]
name = "client"
image = "another"
role = "workload"
expected_status = 3
address = "192.168.7.9"
start = "1.5s"
command = "work"

[network]
subnet = "192.168.7.0/24"
mtu = 1400
latency = "1ms"
loss = 0.25
bandwidth = "10Mbit"
[[network.links]]
from = "db1"
to = "client"
both_ways = false
latency = "5ms"

[[faults]]
kind = "partition"
shape = "bridge"
at = "3s"
duration = "2s"
nodes = ["db2"]
[[faults]]
kind = "latency"
at = "4s"
links = [["db1", "db2"]]
latency = "70ms"
[[faults]]
kind = "clock-jump"
at = "5s"
node_that_said = "leader"
jump = "-1.5s"
[[faults]]
kind = "disk-error"
at = "6s"
nodes = "db1"
disk = 1
requests = ["write", "flush"]
probability = "5%"
[[fault_mix]]
kind = "partition"
shapes = ["ring", "node"]
interval = ["1s", "2s"]
duration = "3s"
[[fault_mix]]
kind = "clock-rate"
change = "-200ppm"

[[properties]]
never = "corrupt(ed|ion)"
node = "db2"
[[properties]]
name = "up"
eventually = "ready"
after = "1s"
within = "10s"

[[checks]]
name = "consistent"
node = "db2"
command = "check"
expected_status = 4
output = "fine"
timeout = "9s"

[builtin]
crash = false
live_lock = false
)toml");
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  const Scenario& s = parsed.value().scenario;
  EXPECT_EQ(s.name, "all");
  EXPECT_EQ(s.seed, 9u);
  EXPECT_EQ(s.max_time_ns, 120'000'000'000u);
  EXPECT_EQ(s.quiet_ns, 20'000'000'000u);
  EXPECT_EQ(s.timer_jitter_ns, 10'000u);
  EXPECT_EQ(s.hash_every_ns, 500'000'000u);
  EXPECT_EQ(s.epoch_s, 1'769'857'200u);  // date -d 2026-01-31T11:00:00Z +%s
  EXPECT_FALSE(s.stop_at_failure);
  EXPECT_TRUE(s.power_off_at_end);

  ASSERT_EQ(s.images.size(), 2u);
  EXPECT_EQ(s.images[0].name, "one") << "in the order of the file";
  EXPECT_EQ(s.images[0].append, "slub_debug");
  EXPECT_EQ(parsed.value().images[0].packages, (std::vector<std::string>{"busybox-static", "redis-server"}));
  EXPECT_EQ(parsed.value().images[0].size_bytes, u64{512} << 20);

  ASSERT_EQ(s.nodes.size(), 3u);
  EXPECT_EQ(s.nodes[0].name, "db1");
  EXPECT_EQ(s.nodes[1].name, "db2");
  EXPECT_EQ(s.nodes[1].memory_bytes, u64{128} << 20);
  EXPECT_THAT(s.nodes[1].environment, testing::Contains(std::pair<std::string, std::string>("NODE_NUMBER", "2")));
  EXPECT_THAT(s.nodes[1].environment, testing::Contains(std::pair<std::string, std::string>("PORT", "6379")));
  EXPECT_EQ(s.nodes[1].disks.at(0).mount_point, "/data");
  EXPECT_EQ(s.nodes[1].rate_denominator, 2u);
  ASSERT_EQ(parsed.value().disks.size(), 2u);
  EXPECT_EQ(parsed.value().disks[1].node, 1u);
  EXPECT_EQ(parsed.value().disks[1].size_bytes, u64{64} << 20);
  EXPECT_EQ(s.nodes[2].role, CommandRole::kWorkload);
  EXPECT_EQ(s.nodes[2].expected_status, 3);
  EXPECT_EQ(s.nodes[2].address, 0xC0A80709u);
  EXPECT_EQ(s.nodes[2].start_ns, 1'500'000'000u);
  EXPECT_EQ(s.nodes[2].image, 1u);

  EXPECT_EQ(s.network.subnet, 0xC0A80700u);
  EXPECT_EQ(s.network.mtu, 1400u);
  EXPECT_EQ(s.network.link.loss_ppb, 250'000'000u);
  EXPECT_EQ(s.network.link.bandwidth_bps, 10'000'000u);
  ASSERT_EQ(s.network.links.size(), 1u);
  EXPECT_EQ(s.network.links[0].config.latency_ns, 5'000'000u);
  EXPECT_EQ(s.network.links[0].config.loss_ppb, 250'000'000u) << "what a link does not say is the network's";

  ASSERT_EQ(s.faults.size(), 4u);
  EXPECT_EQ(s.faults[0].shape, PartitionShape::kBridge);
  EXPECT_EQ(s.faults[0].nodes, (std::vector<u32>{1}));
  EXPECT_EQ(s.faults[1].links, (std::vector<std::pair<u32, u32>>{{0, 1}}));
  EXPECT_EQ(s.faults[1].strength.latency_ns, 70'000'000u);
  EXPECT_EQ(s.faults[2].node_pattern, "leader");
  EXPECT_EQ(s.faults[2].strength.clock_jump_ns, -1'500'000'000);
  EXPECT_EQ(s.faults[3].disk, 1u);
  EXPECT_FALSE(s.faults[3].strength.on_read);
  EXPECT_TRUE(s.faults[3].strength.on_write && s.faults[3].strength.on_flush);
  EXPECT_EQ(s.faults[3].strength.probability_ppb, 50'000'000u);
  ASSERT_EQ(s.fault_mix.size(), 2u);
  EXPECT_EQ(s.fault_mix[0].shapes, (std::vector<PartitionShape>{PartitionShape::kRing, PartitionShape::kNode}));
  EXPECT_EQ(s.fault_mix[0].interval_max_ns, 2'000'000'000u);
  EXPECT_EQ(s.fault_mix[0].duration_min_ns, 3'000'000'000u);
  EXPECT_EQ(s.fault_mix[0].duration_max_ns, 3'000'000'000u);
  EXPECT_EQ(s.fault_mix[1].strength.clock_rate_ppm, -200);

  ASSERT_EQ(s.properties.size(), 2u);
  EXPECT_EQ(s.properties[0].name, "never \"corrupt(ed|ion)\"");
  EXPECT_EQ(s.properties[0].node, 1u);
  EXPECT_EQ(s.properties[1].kind, PropertyKind::kEventually);
  EXPECT_EQ(s.properties[1].within_ns, 10'000'000'000u);
  ASSERT_EQ(s.end_commands.size(), 1u);
  EXPECT_EQ(s.end_commands[0].expected_status, 4);
  EXPECT_EQ(s.end_commands[0].output_pattern, "fine");
  EXPECT_EQ(s.end_commands[0].timeout_ns, 9'000'000'000u);
  EXPECT_FALSE(s.builtin.crash);
  EXPECT_TRUE(s.builtin.kernel);
  EXPECT_EQ(s.builtin.live_lock_ns, 0u);
}

TEST(ScenarioFile, ComplaintsSayWhereAndWhatWasMeant) {
  EXPECT_EQ(complaint(""), "(none)");
  struct Case {
    const char* more;
    const char* complaint;
  };
  const Case cases[] = {
      // Unknown keys and words.
      {"[network]\nlattency = \"1ms\"\n",
       "dir/test.toml:9: \"lattency\" is no key of [network]; did you mean \"latency\"?"},
      {"[netwrok]\n", "dir/test.toml:8: \"netwrok\" is no key of a scenario; did you mean \"network\"?"},
      {"[[faults]]\nkind = \"partitoin\"\nat = \"1s\"\n",
       "dir/test.toml:9: \"kind\" of a fault: there is no \"partitoin\"; did you mean \"partition\"?"},
      {"[[faults]]\nkind = \"kill\"\nat = \"1s\"\nnodes = [\"aa\"]\n",
       "dir/test.toml:11: there is no node \"aa\"; did you mean \"a\"?"},
      {"[[faults]]\nkind = \"loss\"\nat = \"1s\"\nlatency = \"1s\"\n",
       "dir/test.toml:11: \"latency\" is no key of a loss fault; there is probability."},
      {"[[nodes]]\nname = \"c\"\nrole = \"worker\"\n", "dir/test.toml:10: \"role\" of node c: there is no \"worker\""},
      {"[[nodes]]\nname = \"c\"\nimage = \"smal\"\n",
       "dir/test.toml:10: \"image\" of node c: there is no \"smal\"; did you mean \"small\"?"},
      // Units.
      {"[network]\nlatency = \"1sec\"\n",
       "dir/test.toml:9: \"latency\" of [network]: \"1sec\" is not a duration; write for example"},
      {"[network]\nlatency = \"5\"\n",
       "dir/test.toml:9: \"latency\" of [network]: \"5\" has no unit; write for example \"5s\" or \"5ms\"."},
      {"[network]\nlatency = 5\n",
       "dir/test.toml:9: \"latency\" of [network] is an integer; it must be a text with a unit"},
      {"[network]\nloss = 1.5\n", "dir/test.toml:9: \"loss\" of [network] is no probability"},
      {"[network]\nloss = \"150%\"\n", "dir/test.toml:9: \"loss\" of [network]: \"150%\" is not a probability"},
      {"[network]\nbandwidth = \"10MB\"\n", "dir/test.toml:9: \"bandwidth\" of [network]: \"10MB\" is not a bandwidth"},
      {"[network]\nsubnet = \"10.0.0.1/24\"\n",
       "dir/test.toml:9: \"subnet\": \"10.0.0.1/24\" has bits behind its prefix"},
      {"[network]\nlatency = \"0s\"\n", "dir/test.toml:8: "},
      {"[[nodes]]\nname = \"c\"\nmemory = \"12X\"\n", "dir/test.toml:10: \"memory\" of node c: \"12X\" is not a size"},
      {"[[nodes]]\nname = \"c\"\nmemory = \"1M\"\n", "dir/test.toml:10: \"memory\" of node c must be 32M to 64G."},
      {"[[nodes]]\nname = \"c\"\naddress = \"10.0.0.256\"\n",
       "dir/test.toml:10: \"address\" of node c: \"10.0.0.256\" is not"},
      // Names.
      {"[[nodes]]\nname = \"a\"\n", "dir/test.toml:9: a node named \"a\" stands further up already"},
      {"[[nodes]]\nmemory = \"64M\"\n", "dir/test.toml:8: a node has no \"name\""},
      {"[[network.links]]\nfrom = \"a\"\nto = \"z\"\n", "dir/test.toml:10: \"to\" of a link: there is no \"z\""},
      {"[[network.links]]\nfrom = \"a\"\nto = \"a\"\n", "dir/test.toml:10: a link from a to itself leads nowhere."},
      {"[[faults]]\nkind = \"loss\"\nat = \"1s\"\nlinks = [[\"a\", \"nowhere\"]]\n",
       "dir/test.toml:11: a link leads nowhere: there is no node \"nowhere\""},
      {"[[properties]]\nnever = \"x\"\nnode = \"z\"\n", "dir/test.toml:10: \"node\" of a property: there is no \"z\""},
      {"[[checks]]\nnode = \"a\"\n", "dir/test.toml:8: a check has no \"command\""},
      // What does not fit together.
      {"[[properties]]\nname = \"empty\"\n", "dir/test.toml:8: a property must have one of"},
      {"[[properties]]\nnever = \"(\"\n", "dir/test.toml:9: \"(\" is no regular expression"},
      {"[[faults]]\nkind = \"pause\"\nat = \"55s\"\n", "dir/test.toml:10: the pause fault begins in the quiet period"},
      {"[[faults]]\nkind = \"pause\"\n", "dir/test.toml:8: the pause fault has no \"at\""},
      {"[[faults]]\nkind = \"kill\"\nat = \"1s\"\nshape = \"ring\"\n",
       "dir/test.toml:11: \"shape\" is for a partition."},
      {"[[faults]]\nkind = \"clock-jump\"\nat = \"1s\"\nduration = \"1s\"\n",
       "dir/test.toml:11: a clock-jump fault happens at once"},
      {"[[faults]]\nkind = \"wall-clock\"\nat = \"1s\"\nduration = \"1s\"\n",
       "dir/test.toml:11: a wall-clock fault happens at once"},
      {"[[faults]]\nkind = \"wall-clock\"\nat = \"1s\"\nchange = \"+1%\"\n",
       "dir/test.toml:11: \"change\" is no key of a wall-clock fault; there is jump."},
      {"[[faults]]\nkind = \"torn-write\"\nat = \"1s\"\ndisk = 0\n", "dir/test.toml:11: \"disk\" is for disk faults."},
      {"[[faults]]\nkind = \"kill\"\nat = \"1s\"\ndisk = 0\n", "dir/test.toml:11: \"disk\" is for disk faults."},
      {"[[fault_mix]]\nkind = \"loss\"\ninterval = [\"5s\", \"1s\"]\n",
       "dir/test.toml:10: \"interval\" of the loss fault mix"},
      {"[images.other]\n",
       "dir/test.toml:8: image other must have one of \"packages\", \"folder\" and \"oci\"; it has none."},
      {"[images.other]\nfolder = \"/nonexistent/x\"\n",
       "dir/test.toml:9: \"folder\" of image other: /nonexistent/x is no folder."},
      {"[[nodes]]\nname = \"c\"\ndisks = [{ mount = \"/d\" }]\n",
       "dir/test.toml:10: a disk of node c must have either"},
      {"[[nodes]]\nname = \"c\"\ndisks = [{ size = \"8M\", physical_block = 1024 }]\n",
       "dir/test.toml:10: \"physical_block\" of a disk of node c must be 512 or 4096."},
      {"[[nodes]]\nname = \"c\"\ndisks = [{ size = \"8M\", logical_block = \"4K\" }]\n",
       "dir/test.toml:10: \"logical_block\" of a disk of node c must be 512 or 4096."},
      {"[[nodes]]\nname = \"c\"\n[[nodes.disks]]\nsize = \"8M\"\nlogical_block = 4096\nphysical_block = 512\n",
       "dir/test.toml:13: a disk's physical block is not smaller than its logical one."},
      {"[[nodes]]\nname = \"c\"\n[[nodes.disks]]\nsize = \"1025K\"\nlogical_block = 4096\n",
       "dir/test.toml:11: a disk is a whole number of its logical blocks of 4096 bytes."},
      {"[[nodes]]\nname = \"c\"\ndisks = 3\n", "dir/test.toml:10: \"disks\" is an integer"},
      {"network = 3\n", "dir/test.toml:8: \"network\" is no key of a node; there are name, count"},
      // What is no TOML.
      {"[[nodes\n", "dir/test.toml:8: this is no TOML"},
  };
  for (const Case& one : cases) EXPECT_THAT(complaint(one.more), HasSubstr(one.complaint)) << one.more;
}

TEST(ScenarioFile, AllComplaintsAtOnceInTheOrderOfTheFile) {
  const std::string text = complaint("[network]\nlatency = \"1\"\nx = 1\n[[faults]]\nkind = \"oops\"\n");
  const std::size_t first = text.find("test.toml:9:");
  const std::size_t second = text.find("test.toml:10:");
  const std::size_t third = text.find("test.toml:12:");
  ASSERT_NE(third, std::string::npos) << text;
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
}

TEST(ScenarioFile, WhatIsMissing) {
  EXPECT_THAT(parse("").error().message, HasSubstr("test.toml:1: a scenario has no \"images\""));
  EXPECT_THAT(parse("[images.a]\npackages = \"b\"\n").error().message, HasSubstr("a scenario has no \"nodes\""));
  EXPECT_THAT(parse("quiet = \"60s\"\n" + std::string(kGood)).error().message,
              HasSubstr("test.toml:1: the quiet period"));
  EXPECT_THAT(read_scenario("/nonexistent/s.toml").error().message, HasSubstr("/nonexistent/s.toml"));
}

TEST(ScenarioFile, PathsAreRelativeToTheFile) {
  const std::string folder = testing::TempDir() + "bhvm-scenario-" + std::to_string(getpid()) + "/";
  std::filesystem::create_directories(folder + "root");
  std::ofstream(folder + "client.c") << "int main(void) { return 0; }\n";
  const std::string text =
      "[images.x]\nfolder = \"root\"\nprograms = \"client.c\"\nadd = [{ from = \"root\", to = \"/opt\" }]\n"
      "[[nodes]]\nname = \"a\"\n";
  const Result<ScenarioFile> file = parse_scenario(text, folder + "s.toml");
  ASSERT_TRUE(file.ok()) << file.error().message;
  const ImageRecipe& image = file.value().images[0];
  EXPECT_EQ(image.folder, folder + "root");
  EXPECT_EQ(image.programs, std::vector<std::string>{folder + "client.c"});
  EXPECT_EQ(image.added[0], std::pair(folder + "root", std::string("/opt")));
  std::filesystem::remove_all(folder);
  EXPECT_FALSE(parse_scenario(text, folder + "s.toml").ok());
  EXPECT_TRUE(parse_scenario(text, folder + "s.toml", HostFiles::kIgnore).ok()) << "a run is repeated from its images";
}

TEST(ScenarioFile, FaultsCanBeLeftOut) {
  Result<ScenarioFile> file =
      parse(kGood + std::string("[[faults]]\nkind = \"kill\"\nat = \"1s\"\n[[fault_mix]]\nkind = \"loss\"\n"));
  ASSERT_TRUE(file.ok());
  remove_faults(file.value().scenario);
  EXPECT_TRUE(file.value().scenario.faults.empty());
  EXPECT_TRUE(file.value().scenario.fault_mix.empty());
}

// docs/scenario.schema.json and the parser know the same tables, keys and words.
TEST(ScenarioFile, TheSchemaAgreesWithTheParser) {
  std::ifstream in(BHVM_SCHEMA);
  const nlohmann::json schema = nlohmann::json::parse(in);
  const auto set_of = [](Keys keys) { return std::set<std::string>(keys.begin(), keys.end()); };
  std::set<std::string> tables;
  for (const auto& [name, definition] : schema.at("definitions").items()) {
    if (definition.contains("properties")) tables.insert(name);
  }
  std::set<std::string> parsed;
  for (const TableKeys& table : scenario_tables()) parsed.insert(std::string(table.table));
  EXPECT_EQ(tables, parsed);
  for (const TableKeys& table : scenario_tables()) {
    const nlohmann::json& definition = schema.at("definitions").at(std::string(table.table));
    std::set<std::string> described;
    for (const auto& [key, value] : definition.at("properties").items()) {
      described.insert(key);
      EXPECT_TRUE(value.contains("description") || value.contains("$ref")) << table.table << "." << key;
    }
    EXPECT_EQ(described, set_of(table.keys)) << table.table;
    EXPECT_EQ(definition.at("additionalProperties"), false) << table.table;
  }
  const auto words = [&](const char* table, const char* key) {
    return schema.at("definitions").at(table).at("properties").at(key).at("enum").get<std::set<std::string>>();
  };
  EXPECT_EQ(words("fault", "kind"), set_of(fault_kind_words()));
  EXPECT_EQ(words("fault_mix", "kind"), set_of(fault_kind_words()));
  EXPECT_EQ(words("fault", "shape"), set_of(partition_shape_words()));
  EXPECT_EQ(words("node", "role"), set_of(role_words()));
  const auto one_or_more = [&](const char* table, const char* key) {  // a word, or an array of them
    const nlohmann::json& ways = schema.at("definitions").at(table).at("properties").at(key).at("oneOf");
    EXPECT_EQ(ways.at(0).at("enum"), ways.at(1).at("items").at("enum"));
    return ways.at(0).at("enum").get<std::set<std::string>>();
  };
  EXPECT_EQ(one_or_more("fault_mix", "shapes"), set_of(partition_shape_words()));
  EXPECT_EQ(one_or_more("fault", "requests"), set_of(request_words()));
  EXPECT_EQ(one_or_more("fault_mix", "requests"), set_of(request_words()));
}

TEST(ScenarioFile, EveryStrengthIsAKeyOfFaults) {
  for (std::size_t i = 0; i < kFaultKinds; ++i) {
    for (const std::string_view key : strength_keys(static_cast<FaultKind>(i))) {
      EXPECT_THAT(fault_keys(), testing::Contains(key));
      EXPECT_THAT(fault_mix_keys(), testing::Contains(key));
    }
  }
}

TEST(ScenarioFile, NearestWord) {
  const std::string_view known[] = {"latency", "loss", "jitter"};
  EXPECT_EQ(nearest("latncy", known), "latency");
  EXPECT_EQ(nearest("jitetr", known), "jitter");
  EXPECT_EQ(nearest("bandwidth", known), "");
  EXPECT_EQ(meant("bandwidth", known), "; there are latency, loss and jitter.");
}

// The scenarios that come with the project.
TEST(ScenarioFile, TheProjectsScenariosAreRight) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(BHVM_SCENARIOS)) {
    if (entry.path().extension() != ".toml") continue;
    ++count;
    const Result<ScenarioFile> file = read_scenario(entry.path().string());
    EXPECT_TRUE(file.ok()) << file.error().message;
  }
  EXPECT_GE(count, 2);
}

}  // namespace
}  // namespace bhvm::cli
