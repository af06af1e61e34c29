// Batch: many groups of cases in the form the guest program reads (oracle/protocol.h).
#pragma once

#include <span>
#include <vector>

#include "base/types.h"
#include "oracle/case_group.h"

namespace bhvm::oracle {

class Batch {
 public:
  explicit Batch(std::shared_ptr<const Pristine> pristine) : pristine_(std::move(pristine)) {}

  /// Takes a group; false, with nothing taken, when the batch is full.
  bool add(CaseGroup group);

  u32 case_count() const { return case_count_; }
  const std::vector<CaseGroup>& groups() const { return groups_; }
  const Pristine& pristine() const { return *pristine_; }
  const std::shared_ptr<const Pristine>& shared_pristine() const { return pristine_; }
  /// Which group a case is in.
  const CaseGroup& group_of(u32 case_index) const { return groups_[group_index_[case_index]]; }
  std::size_t group_index_of(u32 case_index) const { return group_index_[case_index]; }

  /// The bytes at kBatchPhysical.
  std::vector<u8> image() const;

 private:
  std::shared_ptr<const Pristine> pristine_;
  std::vector<CaseGroup> groups_;
  std::vector<u32> group_index_;  // by case
  u32 case_count_ = 0;
  u32 step_count_ = 0;
};

}  // namespace bhvm::oracle
