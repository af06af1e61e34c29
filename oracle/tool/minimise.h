// Makes a case small that shows something: one instruction, and of the input only what it takes.
#pragma once

#include "oracle/tool/case_file.h"
#include "oracle/tool/diff_run.h"

namespace bhvm::oracle {

/// One case in all machines that can run it.
struct Trial {
  Outcome ours;
  Outcome theirs;
  std::optional<Outcome> native;
  std::vector<Finding> findings;  // none: no unexplained difference
  std::vector<u64> row_used;      // by row of the mask table
};

class Bench {
 public:
  /// Errors as those of the runners; without a native oracle when `native` is false or the host has none.
  static Result<std::unique_ptr<Bench>> create(const std::string& qemu, bool native);

  /// `group` has one case.
  Result<Trial> run(const CaseGroup& group, const std::shared_ptr<const Pristine>& pristine);

  bool has_native() const { return native_ != nullptr; }

 private:
  std::unique_ptr<BhvmRunner> bhvm_;
  std::unique_ptr<QemuRunner> qemu_;
  std::unique_ptr<NativeRunner> native_;
};

struct MinimisedCase {
  bool confirmed = false;  // the case differs when it is run alone, too
  StoredCase stored;       // expects what the oracle said
  Trial trial;
};

/// Confirms a caught case alone and shrinks it while the same fields differ from the same oracle.
Result<MinimisedCase> minimise(Bench& bench, const CaughtCase& caught);

/// A witness of a row of the mask table: the case shrunk as long as the row explains something of it and nothing is
/// left unexplained. Nothing if it does not show that alone.
Result<std::optional<StoredCase>> minimise_witness(Bench& bench, const CaughtCase& caught, std::size_t row);
/// The name of a witness's file for a row: "#SS as #GP" is in "ss_as_gp.json".
std::string witness_file(std::string_view row_name);
/// The same for a row that holds on every host, but whose first witness shows nothing on this vendor's processors.
std::string witness_file(std::string_view row_name, Host host);

}  // namespace bhvm::oracle
