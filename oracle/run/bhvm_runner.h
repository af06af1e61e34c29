// Runs batches in bhvm: a whole machine with the guest program, forked from its booted state for every batch, so that
// no batch depends on the one before.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "machine/machine.h"
#include "oracle/run/batch.h"

namespace bhvm::oracle {

class BhvmRunner {
 public:
  static Result<std::unique_ptr<BhvmRunner>> create();

  /// Runs all cases of the batch; outcomes by case. An error only when the guest program itself fails.
  Result<std::vector<Outcome>> run(const Batch& batch);

  /// Instructions retired by all runs.
  u64 instructions() const { return instructions_; }

 private:
  explicit BhvmRunner(std::unique_ptr<Machine> booted) : booted_(std::move(booted)) {}

  struct Progress {
    u32 next_case = 0;
    bool done = false;
  };
  Result<Progress> run_from(u32 first, const std::vector<u8>& image, std::vector<Outcome>& outcomes);

  std::unique_ptr<Machine> booted_;
  u64 instructions_ = 0;
};

}  // namespace bhvm::oracle
