// WorkerPool: a few threads that share out the tasks of one epoch.
//
// An epoch may be a few microseconds long, so nobody sleeps at once: a worker looks for the next epoch for a while
// before it gives its processor back, and whoever starts an epoch takes part in it.
//
// What a task works on stays in the caches of the processor that did it last, and fetching it from there costs as much
// as a short task. So task t belongs to thread t % jobs, also when it is alone; another thread takes it only when its
// own is busy with something else or does not come. With one job no other thread is concerned.
//
// Which thread does which task is not determined; tasks that are run together must not touch each other's data.
#pragma once

#include <atomic>
#include <functional>
#include <span>
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

  /// Calls task(t) for each t in `tasks`, all different, and comes back when all are done. What they wrote is visible
  /// to the caller, and what the caller wrote before is visible to them. REQUIRES: less than 65536 tasks.
  void run(std::span<const u32> tasks, const std::function<void(u32)>& task);
  /// The same for the tasks 0 to count - 1.
  void run(u32 count, const std::function<void(u32)>& task);

 private:
  /// The tasks of one thread.
  struct alignas(64) Queue {
    // What is to be claimed, in one word so that a worker who comes late claims nothing of a later epoch:
    // epoch (32 bits), number of tasks (16), next task (16).
    std::atomic<u64> claim{0};
    std::vector<u32> tasks;
  };
  static constexpr u64 pack(u32 epoch, u64 count, u64 next) { return u64{epoch} << 32 | count << 16 | next; }
  static u32 epoch_of(u64 claim) { return static_cast<u32>(claim >> 32); }
  static u64 count_of(u64 claim) { return (claim >> 16) & 0xFFFF; }
  static u64 next_of(u64 claim) { return claim & 0xFFFF; }

  void work(u32 epoch, unsigned thread);
  bool claim_one(Queue& queue, u32 epoch, bool only_of_busy, bool& left);
  void loop(unsigned thread);

  std::vector<std::thread> threads_;
  std::vector<Queue> queues_;  // [thread]; 0 is the caller
  const std::function<void(u32)>* task_ = nullptr;
  u32 epoch_now_ = 0;  // the caller's
  std::vector<u32> numbers_;
  alignas(64) std::atomic<u32> epoch_{0};  // what the workers wait for
  std::atomic<u32> sleepers_{0};
  std::atomic<bool> quit_{false};
  alignas(64) std::atomic<u32> unfinished_{0};
};

}  // namespace bhvm
