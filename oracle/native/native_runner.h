// Runs user-mode cases on the host's own processor, in a child process that nothing wild can leave.
//
// The outcomes are those of the guest program as far as a process can know them; HARDWARE.md lists where a process and
// its kernel differ from the bare machine. Linux on x86-64 with FSGSBASE and AVX2, version 5.11 or later; elsewhere
// create() says so. The child is started by create() and again whenever a case destroys it. One runner is used by one
// thread at a time.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "oracle/case_group.h"

namespace bhvm::oracle {

struct NativeOptions {
  /// A case that uses so much CPU time without end is kVectorHung; it may be noticed up to twice as late.
  std::chrono::microseconds hang{10'000};
  /// A child from which nothing was heard for so long is started again.
  std::chrono::milliseconds silence{10'000};
};

class NativeRunner {
 public:
  /// Error: this host cannot run cases; the sentence says what it lacks.
  static Result<std::unique_ptr<NativeRunner>> create(const NativeOptions& options = {});
  ~NativeRunner();
  NativeRunner(const NativeRunner&) = delete;
  NativeRunner& operator=(const NativeRunner&) = delete;

  /// Runs all cases of all groups, in order; one outcome a case, in that order. Many groups in a call are faster than
  /// many calls. A case that refusal() names, that calls the kernel, that reaches the child's own memory or that kills
  /// the child is kVectorNotRun; one without end kVectorHung. accessed, dirty, pte_changed and system are 0, and so are
  /// bytes 416 to 511 of fx.
  /// Error: a group or patch that does not lie in the region, or a child that cannot be started again.
  Status run(std::span<const CaseGroup* const> groups, const Pristine& pristine, std::span<Outcome> outcomes);
  Status run(const CaseGroup& group, const Pristine& pristine, std::span<Outcome> outcomes);

  /// Why a case of the group must not, or cannot, run in a process; nothing if it can.
  static std::optional<std::string_view> refusal(const CaseGroup& group);
  static std::optional<std::string_view> refusal(const CaseGroup& group, const Case& input);

  /// The child's process id: changes when it is started again.
  pid_t child() const;

 private:
  class Impl;
  explicit NativeRunner(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace bhvm::oracle
