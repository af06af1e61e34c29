#include "oracle/run/qemu_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

namespace bhvm::oracle {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kBootLimit = 60s;
constexpr auto kPoll = 100us;

u32 look(const u32& place) { return std::atomic_ref<const u32>(place).load(std::memory_order_acquire); }
void put(u32& place, u32 value) { std::atomic_ref<u32>(place).store(value, std::memory_order_release); }

}  // namespace

Result<std::unique_ptr<QemuRunner>> QemuRunner::create(const std::string& program,
                                                       std::chrono::milliseconds case_limit) {
  std::unique_ptr<QemuRunner> runner(new QemuRunner(program, case_limit));
  if (Status status = runner->boot(); !status) return status.error();
  return runner;
}

Status QemuRunner::boot() {
  process_.reset();
  auto process = QemuProcess::start(program_);
  if (!process) return process.error();
  process_ = std::move(process.value());
  const auto deadline = Clock::now() + kBootLimit;
  while (look(mailbox().magic) != kMailboxMagic) {
    if (!process_->alive()) return Error{process_->epitaph()};
    if (Clock::now() > deadline) {
      return Error{fmt::format("QEMU did not start the guest program within {} s; is this host overloaded?",
                               std::chrono::seconds(kBootLimit).count())};
    }
    std::this_thread::sleep_for(kPoll);
  }
  return success();
}

Status QemuRunner::post(u32 first_case) {
  first_case_ = first_case;
  const std::vector<u8> image = batch_->image();
  std::memcpy(process_->ram() + kBatchPhysical, image.data(), image.size());
  put(mailbox().next_case, first_case);
  put(mailbox().end_case, batch_->case_count());
  put(mailbox().posted, look(mailbox().posted) + 1);
  return success();
}

Status QemuRunner::restart() {
  restarts_ += 1;
  return boot();
}

Status QemuRunner::go_on_at(u32 first_case) {
  if (Status status = restart(); !status) return status.error();
  return post(first_case);
}

std::optional<u32> QemuRunner::spoilt_by(u32 first_case) const {
  // QEMU enters virtual-8086 mode from IA-32e mode when a frame says so, and then nothing clears VIF and VIP again.
  constexpr u64 kVirtualInterrupt = 0b11 << 19;
  for (u32 i = first_case; i < batch_->case_count(); ++i) {
    if (outcomes_[i].vector < kVectorShutdown && (outcomes_[i].rflags & kVirtualInterrupt) != 0) return i;
  }
  return std::nullopt;
}

Status QemuRunner::start(const Batch& batch) {
  batch_ = &batch;
  outcomes_.assign(batch.case_count(), Outcome{});
  return post(0);
}

Result<std::span<const Outcome>> QemuRunner::finish() {
  u32 seen = first_case_;
  auto progress_at = Clock::now();
  const auto collect = [&](u32 end) {
    const u8* from = process_->ram() + kOutcomePhysical + u64{first_case_} * sizeof(Outcome);
    if (end > first_case_) std::memcpy(&outcomes_[first_case_], from, (end - first_case_) * sizeof(Outcome));
    // Where the guest program read no system registers, RAM still has those of an earlier batch.
    for (u32 i = first_case_; i < end; ++i) {
      const CaseGroup& group = batch_->group_of(i);
      if (group.cases[i - group.group.first_case].step_count == 0) outcomes_[i].system = {};
    }
  };
  for (;;) {
    if (look(mailbox().panicked) != 0) {
      return Error{fmt::format("The guest program raised exception {} (error code {:#x}) at {:#x} in QEMU, at case {}.",
                               mailbox().panic_vector, mailbox().panic_error_code, mailbox().panic_rip,
                               mailbox().next_case)};
    }
    if (look(mailbox().completed) == look(mailbox().posted)) {
      collect(batch_->case_count());
      const std::optional<u32> spoilt = spoilt_by(first_case_);
      if (!spoilt || *spoilt + 1 == batch_->case_count()) {
        if (spoilt) {
          if (Status status = restart(); !status) return status.error();
        }
        return std::span<const Outcome>(outcomes_);
      }
      if (Status status = go_on_at(*spoilt + 1); !status) return status.error();
      seen = first_case_;
      progress_at = Clock::now();
      continue;
    }
    const u32 next = look(mailbox().next_case);
    if (next != seen) {
      seen = next;
      progress_at = Clock::now();
    }
    const bool alive = process_->alive();
    if (!alive || Clock::now() - progress_at > case_limit_) {
      // The case that was running is lost; what came before it is kept.
      const u32 lost = std::min(seen, batch_->case_count() - 1);
      collect(lost);
      outcomes_[lost].vector = alive ? kVectorHung : kVectorDied;
      if (lost + 1 == batch_->case_count()) {
        if (Status status = restart(); !status) return status.error();
        return std::span<const Outcome>(outcomes_);
      }
      if (Status status = go_on_at(lost + 1); !status) return status.error();
      seen = lost + 1;
      progress_at = Clock::now();
    }
    std::this_thread::sleep_for(kPoll);
  }
}

}  // namespace bhvm::oracle
