// A differential run: batches through bhvm, QEMU and the host, compared, on as many threads as wanted.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "oracle/compare/comparer.h"
#include "oracle/native/native_runner.h"
#include "oracle/run/bhvm_runner.h"
#include "oracle/run/qemu_runner.h"
#include "oracle/tool/case_source.h"

namespace bhvm::oracle {

struct RunOptions {
  SourceOptions source;
  unsigned jobs = 2;
  bool native = true;
  std::string qemu = "qemu-system-x86_64";
  const std::atomic<bool>* stop = nullptr;
  std::set<std::size_t> wanted_rows;  // of the mask table: cases that use them are kept
};

struct FamilyCounts {
  std::set<std::string> forms;
  u64 cases = 0;
  u64 differences = 0;  // cases with an unexplained difference
  u64 masked = 0;       // cases with explained differences only
};

/// A case with an unexplained difference, cut out of its batch: one group with one case.
struct CaughtCase {
  CaseGroup group;
  std::shared_ptr<const Pristine> pristine;
  Oracle oracle{};
  std::vector<Difference> differences;
  Outcome ours;
  Outcome theirs;
  std::optional<Outcome> native;
};

struct RunReport {
  std::map<std::string, FamilyCounts> families;
  std::set<std::string> mnemonics;
  std::vector<u64> row_used;
  std::vector<CaughtCase> caught;                            // at most kKeptOfAKind for each kind of difference
  std::map<std::size_t, std::vector<CaughtCase>> row_cases;  // by wanted row: at most kKeptOfARow
  std::map<std::string, u64> kinds;                          // "form: fields", how often
  u64 cases = 0;
  u64 native_cases = 0;
  u64 differences = 0;
  u64 masked = 0;
  u64 unrepeated = 0;    // cases that differed only from a QEMU that had run others before them
  u64 instructions = 0;  // retired by bhvm
  unsigned qemu_restarts = 0;
  double seconds = 0;
  std::string native_missing;  // why there is no native oracle, if there is none
};

inline constexpr unsigned kKeptOfAKind = 2;
inline constexpr unsigned kKeptOfARow = 4;

class DiffRun {
 public:
  using Progress = std::function<void(const RunReport&)>;

  explicit DiffRun(RunOptions options) : options_(std::move(options)) {}

  /// Runs to the end, or until stopped or failed. The report holds what was done so far, also after an error.
  Status run(const Progress& progress);
  const RunReport& report() const { return report_; }
  const std::vector<std::string>& forms() const { return forms_; }

 private:
  Status work(CaseSource& source);
  /// Runs the cases that differ from QEMU once more, in a newly started one. Drops the findings that it does not
  /// confirm, and puts its outcomes into `theirs`.
  Status repeat(QemuRunner& qemu, const Batch& batch, std::span<const Outcome> ours, std::span<Outcome> theirs,
                std::span<const Outcome> native, std::vector<Finding>& findings);
  void merge(const Batch& batch, std::span<const Outcome> ours, std::span<const Outcome> theirs,
             std::span<const Outcome> native, const std::vector<Finding>& findings,
             const std::vector<u8>& masked_by_case);
  void keep(const Batch& batch, std::span<const Outcome> ours, std::span<const Outcome> theirs,
            std::span<const Outcome> native, const Finding& finding);
  void keep_of_rows(const Batch& batch, std::span<const Outcome> ours, std::span<const Outcome> theirs,
                    std::span<const Outcome> native, const ComparisonCounts& counts);

  RunOptions options_;
  std::mutex mutex_;
  RunReport report_;
  std::vector<std::string> forms_;
  std::atomic<bool> failed_ = false;
};

/// The batch's native groups on the host; the other cases are kVectorNotRun.
Result<std::vector<Outcome>> run_native(NativeRunner& runner, const Batch& batch);

/// One case alone, of a group with others.
CaseGroup single_case(const CaseGroup& group, u32 index);

}  // namespace bhvm::oracle
