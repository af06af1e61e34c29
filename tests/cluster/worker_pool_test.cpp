#include "cluster/worker_pool.h"

#include <gtest/gtest.h>

#include <vector>

namespace bhvm {
namespace {

TEST(WorkerPool, DoesEveryTaskOnceInEveryEpoch) {
  for (const unsigned jobs : {0U, 1U, 2U, 4U}) {
    WorkerPool pool(jobs);
    std::vector<u32> done(9);
    for (u32 epoch = 1; epoch <= 3000; ++epoch) {
      const u32 count = epoch % 10;
      std::vector<u32> before = done;
      pool.run(count, [&](u32 i) { ++done[i]; });  // not atomic: a task done twice would be seen
      for (u32 i = 0; i < done.size(); ++i) ASSERT_EQ(done[i], before[i] + (i < count ? 1 : 0)) << jobs << " " << epoch;
    }
  }
}

TEST(WorkerPool, WakesWorkersThatSleep) {
  WorkerPool pool(3);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    std::atomic<u32> sum = 0;
    pool.run(100, [&](u32 i) { sum += i; });
    EXPECT_EQ(sum, 4950);
  }
}

TEST(WorkerPool, NeedsNoWorkerForOneTask) {
  WorkerPool pool(4);
  std::thread::id ran_on;
  pool.run(1, [&](u32) { ran_on = std::this_thread::get_id(); });
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

}  // namespace
}  // namespace bhvm
