// A lockstep run: the kernel boots in QEMU and in bhvm at once, and after every instruction the two are compared.
//
// QEMU leads: it prints its state before each instruction; bhvm then executes the instruction before and must stand
// where QEMU stands. What bhvm takes from QEMU, and what is not compared, is in the table of rules.h.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "machine/elf_image.h"
#include "oracle/lockstep/comparison.h"
#include "oracle/lockstep/instruction.h"
#include "oracle/lockstep/log_stream.h"
#include "oracle/lockstep/qemu_session.h"

namespace bhvm::lockstep {

struct RunOptions {
  QemuOptions qemu;
  u64 instructions = 20'000'000;
  u64 compare_ram_every = 2'000'000;  // instructions; all RAM is compared at the end in any case. 0: never
};

struct Step {
  u64 instruction = 0;  // how many had retired before
  std::string text;     // disassembled
  std::string place;    // symbol+offset
  u64 rip = 0;
};

struct Divergence {
  std::string what;                // one sentence
  u64 instruction = 0;             // how many had retired before the one that differs
  std::vector<Step> history;       // the last ones, that one at the end
  std::vector<FieldPair> before;   // bhvm's registers before it, where they agree with QEMU's
  std::vector<FieldPair> fields;   // after it
  std::vector<RamDifference> ram;  // when RAM differs
};

struct RunReport {
  u64 instructions = 0;
  u64 events = 0;  // of QEMU's log
  u64 bytes = 0;
  u64 exceptions = 0;
  u64 ram_comparisons = 0;
  double seconds = 0;
  RuleCounts rules;
  std::optional<Divergence> divergence;
  std::string ended_early;  // why, when QEMU's log ended before the last instruction
};

class LockstepRun {
 public:
  LockstepRun(const RunOptions& options, const ElfImage& kernel) : options_(options), kernel_(kernel) {}

  /// An error when QEMU is missing, dies or hangs; report() then tells how far the two had come. `progress` is called
  /// now and then.
  Status run(const std::function<void(const RunReport&)>& progress);
  const RunReport& report() const { return report_; }

 private:
  enum class Verdict : u8 { kGoOn, kDiverged };

  Verdict take(const LogEvent& event);
  Verdict take_exception(const LogEvent& event);
  /// Executes the pending instruction; `after` is QEMU's next state when that is the one right behind it.
  Verdict execute(const QemuState* after, const LogEvent* raised);
  Verdict execute_msr(const QemuState* after, const LogEvent* raised);
  Verdict settle_with(const QemuState& after);
  Verdict part_of_repeat(const QemuState& interrupted);
  Verdict bhvm_stopped(BhvmSide::Step how);
  void adopt(const QemuState& after);
  void remember();
  Verdict diverge(std::string what, const QemuState* theirs);
  Verdict compare_ram();
  void order_ram_comparison();
  Verdict look_at_ram(const LogEvent& event, u64 event_start);
  bool complete() const;
  bool repeats_in_place(const QemuState& state) const;
  UndefinedFlags pending_undefined() const;

  static constexpr std::size_t kHistory = 24;
  struct Past {
    u64 instruction = 0;
    CpuState state;
  };

  RunOptions options_;
  const ElfImage& kernel_;
  RunReport report_;
  std::unique_ptr<QemuSession> qemu_;
  std::unique_ptr<BhvmSide> bhvm_;
  std::unique_ptr<LogStream> log_;
  InstructionReader reader_;
  bool started_ = false;
  /// QEMU's state before the instruction that bhvm has not executed yet. Empty after a delivery, when bhvm is ahead.
  std::optional<QemuState> pending_;
  InstructionInfo info_;       // of the pending instruction
  std::vector<Past> history_;  // a ring
  std::size_t history_next_ = 0;
  // A copy of QEMU's RAM for one place in the log.
  std::vector<u8> ram_copy_;
  struct RamDue {
    u64 position = 0;   // in the log: right for the first event that ends behind it
    bool last = false;  // the one at the end of the run
  };
  std::optional<RamDue> ram_due_;
  u64 ram_next_ = 0;  // instructions
  unsigned ram_last_tries_ = 0;
  bool ram_done_ = false;
};

}  // namespace bhvm::lockstep
