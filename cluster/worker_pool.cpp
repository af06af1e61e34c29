#include "cluster/worker_pool.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"

namespace bhvm {
namespace {

constexpr int kSpins = 4000;     // some 50 microseconds
constexpr int kYields = 2000;    // then the processor is offered to others, for about a millisecond if nobody wants it
constexpr int kPatience = 2000;  // how long a task waits for its own thread

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

/// The wait number `spin` of somebody who does not sleep yet; after kSpins + kYields of them it is time to.
void wait_awake(int spin) {
  if (spin < kSpins) {
    relax();
  } else {
    std::this_thread::yield();
  }
}

}  // namespace

WorkerPool::WorkerPool(unsigned jobs) : queues_(std::max(jobs, 1U)) {
  for (unsigned i = 1; i < jobs; ++i) threads_.emplace_back([this, i] { loop(i); });
}

WorkerPool::~WorkerPool() {
  quit_ = true;
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::run(u32 count, const std::function<void(u32)>& task) {
  numbers_.resize(count);
  std::iota(numbers_.begin(), numbers_.end(), 0U);
  run(numbers_, task);
}

void WorkerPool::run(std::span<const u32> tasks, const std::function<void(u32)>& task) {
  BHVM_CHECK(tasks.size() < 65536, "an epoch has too many tasks");
  if (threads_.empty() || (tasks.size() == 1 && tasks.front() % jobs() == 0)) {
    for (const u32 t : tasks) task(t);
    return;
  }
  if (tasks.empty()) return;
  task_ = &task;
  const u32 epoch = ++epoch_now_;
  // No thread reads a queue whose claim is of another epoch.
  for (Queue& queue : queues_) queue.tasks.clear();
  for (const u32 t : tasks) queues_[t % jobs()].tasks.push_back(t);
  unfinished_.store(static_cast<u32>(tasks.size()), std::memory_order_relaxed);
  for (Queue& queue : queues_) queue.claim.store(pack(epoch, queue.tasks.size(), 0), std::memory_order_release);
  epoch_.store(epoch, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) != 0) epoch_.notify_all();
  work(epoch, 0);
  for (int spin = 0;; ++spin) {
    const u32 left = unfinished_.load(std::memory_order_acquire);
    if (left == 0) return;
    if (spin < kSpins + kYields) {
      wait_awake(spin);
    } else {
      unfinished_.wait(left, std::memory_order_acquire);
    }
  }
}

/// Does one task of a queue; false when there was none to take. `left`: there is one, but it is left to its own thread.
bool WorkerPool::claim_one(Queue& queue, u32 epoch, bool only_of_busy, bool& left) {
  u64 claim = queue.claim.load(std::memory_order_acquire);
  for (;;) {
    if (epoch_of(claim) != epoch || next_of(claim) >= count_of(claim)) return false;
    if (only_of_busy && next_of(claim) == 0) {
      left = true;
      return false;
    }
    if (queue.claim.compare_exchange_weak(claim, claim + 1, std::memory_order_acq_rel, std::memory_order_acquire))
      break;
  }
  (*task_)(queue.tasks[next_of(claim)]);
  if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
  return true;
}

void WorkerPool::work(u32 epoch, unsigned thread) {
  bool left = false;
  while (claim_one(queues_[thread], epoch, false, left)) continue;
  for (int patience = kPatience;;) {
    left = false;
    bool did = false;
    for (Queue& queue : queues_) did = claim_one(queue, epoch, patience > 0, left) || did;
    if (!did && !left) return;
    if (!did) {
      --patience;
      relax();
    }
  }
}

void WorkerPool::loop(unsigned thread) {
  u32 seen = 0;
  while (!quit_.load(std::memory_order_acquire)) {
    u32 epoch = epoch_.load(std::memory_order_acquire);
    for (int spin = 0; epoch == seen && spin < kSpins + kYields; ++spin) {
      wait_awake(spin);
      epoch = epoch_.load(std::memory_order_acquire);
    }
    if (epoch == seen) {
      sleepers_.fetch_add(1, std::memory_order_seq_cst);
      epoch_.wait(seen, std::memory_order_seq_cst);
      sleepers_.fetch_sub(1, std::memory_order_seq_cst);
      continue;
    }
    seen = epoch;
    work(epoch, thread);
  }
}

}  // namespace bhvm
