#include <gmock/gmock.h>

#include "tests/cluster/cluster_guest.h"

namespace bhvm::test {
namespace {

using ::testing::HasSubstr;

TEST(ClusterRun, NodesFindEachOtherByName) {
  BHVM_NEEDS_GUEST;
  Scenario scenario = cluster_scenario(2, "sleep 1000");
  scenario.end_commands.push_back({"ping", 0, "ping -c 3 n1", 0, "3 packets received", 10 * kSecond_ns});
  Notebook notebook;
  const ClusterResult result = run_cluster(scenario, notebook);
  EXPECT_TRUE(result.ok) << notebook.all;
  EXPECT_TRUE(property(result, "ping").met) << notebook.all;
}

}  // namespace
}  // namespace bhvm::test
