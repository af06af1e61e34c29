#include "cluster/worker_pool.h"

#include "base/check.h"

namespace bhvm {
namespace {

constexpr int kSpins = 4000;  // some 50 microseconds

void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

WorkerPool::WorkerPool(unsigned jobs) {
  for (unsigned i = 1; i < jobs; ++i) threads_.emplace_back([this] { loop(); });
}

WorkerPool::~WorkerPool() {
  quit_ = true;
  epoch_.fetch_add(1);
  epoch_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void WorkerPool::run(u32 count, const std::function<void(u32)>& task) {
  BHVM_CHECK(count < 65536, "an epoch has too many tasks");
  if (threads_.empty() || count <= 1) {
    for (u32 i = 0; i < count; ++i) task(i);
    return;
  }
  task_ = &task;
  const u32 epoch = ++epoch_now_;
  unfinished_.store(count, std::memory_order_relaxed);
  claim_.store(pack(epoch, count, 0), std::memory_order_release);
  epoch_.store(epoch, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) != 0) epoch_.notify_all();
  work(epoch);
  for (int spin = 0;; ++spin) {
    const u32 left = unfinished_.load(std::memory_order_acquire);
    if (left == 0) return;
    if (spin < kSpins) {
      relax();
    } else {
      unfinished_.wait(left, std::memory_order_acquire);
    }
  }
}

void WorkerPool::work(u32 epoch) {
  u64 claim = claim_.load(std::memory_order_acquire);
  for (;;) {
    const u32 next = static_cast<u32>(claim & 0xFFFF);
    if (claim >> 32 != epoch || next >= ((claim >> 16) & 0xFFFF)) return;
    if (!claim_.compare_exchange_weak(claim, claim + 1, std::memory_order_acq_rel, std::memory_order_acquire)) continue;
    (*task_)(next);
    if (unfinished_.fetch_sub(1, std::memory_order_acq_rel) == 1) unfinished_.notify_one();
    claim = claim_.load(std::memory_order_acquire);
  }
}

void WorkerPool::loop() {
  u32 seen = 0;
  while (!quit_.load(std::memory_order_acquire)) {
    u32 epoch = epoch_.load(std::memory_order_acquire);
    for (int spin = 0; epoch == seen && spin < kSpins; ++spin) {
      relax();
      epoch = epoch_.load(std::memory_order_acquire);
    }
    if (epoch == seen) {
      sleepers_.fetch_add(1, std::memory_order_seq_cst);
      epoch_.wait(seen, std::memory_order_seq_cst);
      sleepers_.fetch_sub(1, std::memory_order_seq_cst);
      continue;
    }
    seen = epoch;
    work(epoch);
  }
}

}  // namespace bhvm
