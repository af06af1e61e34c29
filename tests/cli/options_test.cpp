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

TEST(Options, TextInsteadOfACommand) {
  EXPECT_EQ(parse({"--version"}).value().command, Options::Command::kNone);
  EXPECT_NE(parse({"run", "--help"}).value().text.find("--max-instructions"), std::string::npos);
  EXPECT_EQ(parse({"info"}).value().command, Options::Command::kInfo);
  EXPECT_FALSE(parse({}).ok());
  EXPECT_FALSE(parse({"run", "--disk"}).ok());
}

}  // namespace
}  // namespace bhvm::cli
