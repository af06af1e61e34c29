#include "oracle/run/batch.h"

#include <cstring>

#include "base/check.h"

namespace bhvm::oracle {

bool Batch::add(CaseGroup group) {
  const u32 cases = static_cast<u32>(group.cases.size());
  u32 steps = 0;
  for (const Steps& list : group.steps) steps += static_cast<u32>(list.size());
  const u64 bytes = sizeof(BatchHeader) + (groups_.size() + 1) * sizeof(Group) + 16 +
                    u64{case_count_ + cases} * sizeof(Case) + u64{step_count_ + steps} * sizeof(Step);
  if (case_count_ + cases > kMaxCases || bytes > kBatchBytes) return false;
  BHVM_CHECK(group.steps.empty() || group.steps.size() == group.cases.size(), "a group has steps for some cases only");

  group.group.first_case = case_count_;
  group.group.case_count = cases;
  for (u32 i = 0; i < cases; ++i) {
    Case& input = group.cases[i];
    input.first_step = step_count_;
    input.step_count = group.steps.empty() ? 0 : static_cast<u32>(group.steps[i].size());
    step_count_ += input.step_count;
    group_index_.push_back(static_cast<u32>(groups_.size()));
  }
  case_count_ += cases;
  groups_.push_back(std::move(group));
  return true;
}

std::vector<u8> Batch::image() const {
  BatchHeader header{};
  header.magic = kBatchMagic;
  header.group_count = static_cast<u32>(groups_.size());
  header.case_count = case_count_;
  header.step_count = step_count_;
  header.groups_offset = sizeof(BatchHeader);
  constexpr u64 kAlignment = 16;
  header.cases_offset =
      (header.groups_offset + groups_.size() * sizeof(Group) + kAlignment - 1) / kAlignment * kAlignment;
  header.steps_offset = header.cases_offset + u64{case_count_} * sizeof(Case);
  std::memcpy(header.pristine, pristine_->data(), pristine_->size());

  std::vector<u8> bytes(header.steps_offset + u64{step_count_} * sizeof(Step));
  std::memcpy(bytes.data(), &header, sizeof(header));
  u8* groups = bytes.data() + header.groups_offset;
  u8* cases = bytes.data() + header.cases_offset;
  u8* steps = bytes.data() + header.steps_offset;
  const auto put = [](u8*& at, const void* from, std::size_t size) {
    std::memcpy(at, from, size);
    at += size;
  };
  for (const CaseGroup& group : groups_) {
    put(groups, &group.group, sizeof(Group));
    put(cases, group.cases.data(), group.cases.size() * sizeof(Case));
    for (const Steps& list : group.steps) {
      if (!list.empty()) put(steps, list.data(), list.size() * sizeof(Step));
    }
  }
  return bytes;
}

}  // namespace bhvm::oracle
