#include "cluster/worker_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
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

TEST(WorkerPool, DoesTheTasksThatAreNamed) {
  WorkerPool pool(3);
  for (const std::vector<u32>& tasks : {std::vector<u32>{}, {5}, {3}, {1, 4, 7}, {0, 1, 2, 8}}) {
    std::array<u32, 9> done{};
    pool.run(tasks, [&](u32 t) { ++done[t]; });
    for (u32 t = 0; t < done.size(); ++t) EXPECT_EQ(done[t], std::ranges::count(tasks, t)) << t;
  }
}

TEST(WorkerPool, ATaskStaysWithItsThread) {
  WorkerPool pool(2);
  std::array<std::map<std::thread::id, u32>, 2> ran;
  for (int epoch = 0; epoch < 2000; ++epoch) {
    const u32 t = static_cast<u32>(epoch) % 2;
    const std::array<u32, 1> tasks{t};
    pool.run(tasks, [&](u32) { ++ran[t][std::this_thread::get_id()]; });
  }
  EXPECT_EQ(ran[0].size(), 1u);  // the caller's
  EXPECT_EQ(ran[0].begin()->first, std::this_thread::get_id());
  u32 of_others = 0;  // on a busy host the caller may have to do some
  for (const auto& [thread, count] : ran[1]) of_others += thread != std::this_thread::get_id() ? count : 0;
  EXPECT_GT(of_others, 0u);
}

}  // namespace
}  // namespace bhvm
