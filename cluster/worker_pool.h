// WorkerPool: a few threads that share out the tasks of one epoch.
//
// An epoch may be a few microseconds long, so nobody sleeps at once: a worker looks for the next epoch for a while
// before it gives its processor back, and whoever starts an epoch takes part in it. With one job, or one task, no other
// thread is concerned.
//
// Which thread does which task is not determined; tasks that are run together must not touch each other's data.
#pragma once

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "base/types.h"

namespace bhvm {

class WorkerPool {
 public:
  /// `jobs` threads work, the caller's counted; 0 counts as 1.
  explicit WorkerPool(unsigned jobs);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  unsigned jobs() const { return static_cast<unsigned>(threads_.size()) + 1; }

  /// Calls task(0) to task(count - 1), each once, and comes back when all are done. What they wrote is visible to the
  /// caller, and what the caller wrote before is visible to them. REQUIRES: count < 65536.
  void run(u32 count, const std::function<void(u32)>& task);

 private:
  // What is to be claimed, in one word so that a worker who comes late claims nothing of a later epoch:
  // epoch (32 bits), number of tasks (16), next task (16).
  static constexpr u64 pack(u32 epoch, u32 count, u32 next) { return u64{epoch} << 32 | u64{count} << 16 | next; }

  void work(u32 epoch);
  void loop();

  std::vector<std::thread> threads_;
  const std::function<void(u32)>* task_ = nullptr;
  u32 epoch_now_ = 0;  // the caller's
  alignas(64) std::atomic<u64> claim_{0};
  alignas(64) std::atomic<u32> epoch_{0};  // what the workers wait for
  std::atomic<u32> sleepers_{0};
  std::atomic<bool> quit_{false};
  alignas(64) std::atomic<u32> unfinished_{0};
};

}  // namespace bhvm
