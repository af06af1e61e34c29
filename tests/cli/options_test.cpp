#include "cli/options.h"

#include <gtest/gtest.h>

namespace bhvm::cli {
namespace {

Result<Options> parse(std::vector<const char*> words) {
  words.insert(words.begin(), "bhvm");
  return parse_options(static_cast<int>(words.size()), words.data());
}

TEST(Options, DefaultsAndValues) {
  const RunOptions plain = parse({"run", "--kernel", "k"}).value().run;
  EXPECT_EQ(plain.memory_bytes, u64{256} << 20);
  EXPECT_EQ(plain.seed, 0u);
  EXPECT_EQ(plain.rate.numerator, 1u);
  EXPECT_EQ(plain.instruction_limit, ~u64{0});
  const RunOptions run = parse({"run", "--kernel", "k", "--disk", "a", "--disk", "b", "--seed", "0x10", "--append",
                                "root=/dev/vda console=hvc0", "--max-time", "2s", "--hash-every", "1M"})
                             .value()
                             .run;
  EXPECT_EQ(run.disks, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(run.seed, 16u);
  EXPECT_EQ(run.append, "root=/dev/vda console=hvc0");
  EXPECT_EQ(run.time_limit_ns, 2'000'000'000u);
  EXPECT_EQ(run.hash_every, 1'000'000u);
}

TEST(Options, SimAndReplay) {
  const Options plain = parse({"sim", "s.toml"}).value();
  EXPECT_EQ(plain.command, Options::Command::kSim);
  EXPECT_EQ(plain.sim.scenario, "s.toml");
  EXPECT_FALSE(plain.sim.seed || plain.sim.max_time_ns || plain.sim.hash_every_ns) << "the scenario's own count";
  EXPECT_GE(plain.sim.jobs, 1u);
  const SimOptions sim = parse({"sim", "s.toml", "--seed", "7", "--jobs", "3", "--out", "d", "--max-time", "9s",
                                "--hash-every", "10ms", "--no-faults", "--quiet"})
                             .value()
                             .sim;
  EXPECT_EQ(sim.seed, 7u);
  EXPECT_EQ(sim.jobs, 3u);
  EXPECT_EQ(sim.out, "d");
  EXPECT_EQ(sim.max_time_ns, 9'000'000'000u);
  EXPECT_EQ(sim.hash_every_ns, 10'000'000u);
  EXPECT_TRUE(sim.no_faults && sim.quiet);
  const Options replay = parse({"replay", "d", "--jobs", "1"}).value();
  EXPECT_EQ(replay.command, Options::Command::kReplay);
  EXPECT_EQ(replay.replay.folder, "d");
  for (const auto& bad : std::vector<std::vector<const char*>>{{"sim"},
                                                               {"replay"},
                                                               {"sim", "s", "--jobs", "0"},
                                                               {"sim", "s", "--jobs", "x"},
                                                               {"sim", "s", "--seed", "x"},
                                                               {"sim", "s", "--max-time", "1 year"},
                                                               {"sim", "s", "--frobnicate"}}) {
    EXPECT_FALSE(parse(bad).ok()) << bad.back();
  }
  EXPECT_NE(parse({"sim", "s", "--frobnicate"}).error().message.find("see bhvm sim --help"), std::string::npos);
}

TEST(Options, TextInsteadOfACommand) {
  EXPECT_EQ(parse({"--version"}).value().command, Options::Command::kNone);
  EXPECT_NE(parse({"run", "--help"}).value().text.find("--max-instructions"), std::string::npos);
  EXPECT_EQ(parse({"info"}).value().command, Options::Command::kInfo);
  EXPECT_FALSE(parse({}).ok());
  EXPECT_FALSE(parse({"run", "--disk"}).ok());
}

}  // namespace
}  // namespace bhvm::cli
