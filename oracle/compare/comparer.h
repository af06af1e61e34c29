// Compares outcomes of a batch under the mask table.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "cpu/decoder.h"
#include "oracle/compare/masks.h"
#include "oracle/run/batch.h"

namespace bhvm::oracle {

/// A case whose outcome differs in a way that no row explains.
struct Finding {
  u32 case_index = 0;
  Oracle oracle{};
  std::vector<Difference> differences;  // `theirs` has the unexplained bits only; the others are set as in `ours`
};

struct ComparisonCounts {
  u64 masked_cases = 0;            // cases that differ, but only as the table says
  std::vector<u64> row_used;       // by row of mask_table()
  std::vector<u32> row_first;      // by row: the first case that used it, if any did
  std::vector<u8> masked_by_case;  // 1: masked in some field
};

class Comparer {
 public:
  /// `host`: the vendor whose rows hold.
  explicit Comparer(Host host = this_host())
      : host_(host), counts_{0, std::vector<u64>(mask_table().size()), std::vector<u32>(mask_table().size()), {}} {}

  /// Compares `ours` with an oracle's outcomes. `native`, if not empty, is the host's word on QEMU's mistakes.
  void compare(const Batch& batch, std::span<const Outcome> ours, std::span<const Outcome> theirs, Oracle oracle,
               std::span<const Outcome> native, std::vector<Finding>& findings);

  const ComparisonCounts& counts() const { return counts_; }

 private:
  struct DecodedGroup {
    const CaseGroup* group = nullptr;
    std::vector<DecodedInstruction> instructions;
    std::vector<std::vector<u16>> rows;  // by instruction: rows of the table that name it
  };
  void decode(const CaseGroup& group);
  bool explain(u32 case_index, const MaskContext& context, const Outcome* native, std::vector<Difference>& differences);
  /// Bits of a difference in which the host's own outcome does not side with ours, though it could.
  u64 contradicted_by(const Outcome& native, const MaskContext& context, const Difference& difference);
  u64 explained_by(std::size_t row, const MaskContext& context, const Outcome* native, const Difference& difference);

  Host host_;
  ComparisonCounts counts_;
  DecodedGroup decoded_;
  Decoder decoder_;
};

/// Does a native outcome know this field? (A user process sees no page-table bits and no system registers.)
bool native_knows(Field field);
/// Was the case run at all?
inline bool was_run(const Outcome& outcome) { return outcome.vector != kVectorNotRun; }

}  // namespace bhvm::oracle
