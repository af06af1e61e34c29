// Every row of the mask table has a stored case that shows why it stands (bhvm-diff --witnesses).
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

#include "oracle/tool/minimise.h"

namespace bhvm::oracle {
namespace {

std::map<std::string, std::filesystem::path> witness_files() {
  std::map<std::string, std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(BHVM_WITNESSES)) {
    files.emplace(entry.path().filename().string(), entry.path());
  }
  return files;
}

TEST(Witnesses, EveryRowHasOneAndEveryOneARow) {
  auto files = witness_files();
  for (const MaskRow& row : mask_table()) {
    const std::string file = witness_file(row.name);
    EXPECT_EQ(1U, files.erase(file)) << "the row '" << row.name << "' has no witness of its own, " << file;
    if (row.oracle == Oracle::kNative && row.host == Host::kAny) {
      for (const Host host : {Host::kIntel, Host::kAmd}) files.erase(witness_file(row.name, host));
    }
  }
  for (const auto& [file, path] : files) ADD_FAILURE() << file << " is a witness of no row";
}

/// A row that explains nothing of its own witness has no reason to stand.
TEST(Witnesses, EveryRowStillExplainsSomething) {
  auto bench = Bench::create("qemu-system-x86_64", true);
  ASSERT_TRUE(bench) << bench.error().message;
  const auto files = witness_files();
  unsigned others = 0;
  unsigned unasked = 0;
  for (std::size_t i = 0; i < mask_table().size(); ++i) {
    const MaskRow& row = mask_table()[i];
    SCOPED_TRACE(row.name);
    auto file = files.find(witness_file(row.name, this_host()));
    if (file == files.end() || row.oracle != Oracle::kNative) file = files.find(witness_file(row.name));
    if (file == files.end()) continue;  // the test above says so
    const auto stored = read_case(file->second.string());
    ASSERT_TRUE(stored) << stored.error().message;
    EXPECT_EQ(row.name, stored.value().row);
    auto trial = bench.value()->run(stored.value().group, stored.value().pristine);
    ASSERT_TRUE(trial) << trial.error().message;
    if (!trial.value().findings.empty()) {  // QEMU keeps things from earlier cases: what counts is what a new one shows
      bench = Bench::create("qemu-system-x86_64", true);
      ASSERT_TRUE(bench) << bench.error().message;
      trial = bench.value()->run(stored.value().group, stored.value().pristine);
      ASSERT_TRUE(trial) << trial.error().message;
    }
    EXPECT_TRUE(trial.value().findings.empty()) << "something of it is unexplained";
    if (!holds_on(row, this_host())) {
      others += 1;
      continue;
    }
    if (row.oracle == Oracle::kNative && !bench.value()->has_native()) {
      unasked += 1;
      continue;
    }
    EXPECT_NE(0U, trial.value().row_used[i]) << "the row explains nothing of its witness";
  }
  std::printf("%u rows are about what processors do, and this host's cannot be asked (docs/ORACLE.md).\n", unasked);
  std::printf("%u rows are about processors of another vendor: a run on one of those judges them.\n", others);
}

}  // namespace
}  // namespace bhvm::oracle
