// Runs batches in QEMU: one process for all of them, replaced when a case hangs or kills it.
//
// The guest program polls its mailbox in RAM that both processes map, so a batch costs no system call.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "oracle/run/batch.h"
#include "oracle/run/qemu_process.h"

namespace bhvm::oracle {

class QemuRunner {
 public:
  /// A case without an end within `case_limit` of wall time hangs; it should be far beyond what a loaded host needs.
  static Result<std::unique_ptr<QemuRunner>> create(const std::string& program = "qemu-system-x86_64",
                                                    std::chrono::milliseconds case_limit = std::chrono::seconds(20));

  /// Starts the batch and comes back at once. `batch` must live until finish().
  Status start(const Batch& batch);
  /// Waits for the batch; outcomes by case, valid until the next start(). A case that hangs QEMU is marked so, and the
  /// rest goes on in a new process. An error when QEMU dies or the guest program fails in it.
  Result<std::span<const Outcome>> finish();

  /// Replaces the process: what earlier cases left behind in it is gone.
  Status restart();

  unsigned restarts() const { return restarts_; }

 private:
  QemuRunner(std::string program, std::chrono::milliseconds case_limit)
      : program_(std::move(program)), case_limit_(case_limit) {}
  Status boot();
  Status post(u32 first_case);
  /// Starts QEMU anew and goes on with this case.
  Status go_on_at(u32 first_case);
  /// The case after which QEMU's state is spoilt for all that follow; nothing if it is not.
  std::optional<u32> spoilt_by(u32 first_case) const;
  Mailbox& mailbox() const { return *reinterpret_cast<Mailbox*>(process_->ram() + kMailboxPhysical); }

  std::string program_;
  std::chrono::milliseconds case_limit_;
  std::unique_ptr<QemuProcess> process_;
  const Batch* batch_ = nullptr;
  std::vector<Outcome> outcomes_;
  u32 first_case_ = 0;  // of the part that the present process runs
  unsigned restarts_ = 0;
};

}  // namespace bhvm::oracle
