// Groups of privileged cases: every scenario in turn, in an order and with inputs that the seed decides.
#pragma once

#include <memory>
#include <optional>
#include <regex>
#include <span>
#include <string>
#include <vector>

#include "oracle/case_group.h"
#include "oracle/system/scenario.h"

namespace bhvm::oracle {

class SystemGenerator {
 public:
  /// `form_filter`: only scenarios whose name it is found in; null for all.
  SystemGenerator(u64 seed, const std::regex* form_filter);

  /// The region that all groups expect.
  const Pristine& pristine() const { return *pristine_; }
  const std::shared_ptr<const Pristine>& shared_pristine() const { return pristine_; }

  /// The names of all scenarios that pass the filter, in no particular order.
  std::span<const std::string> forms() const { return forms_; }

  /// The next group; at least one scenario must have passed the filter. The nth group of a scenario is the same with
  /// any filter.
  CaseGroup next();

 private:
  struct Entry {
    Scenario scenario;
    const char* family;
    u32 groups = 0;  // made so far
  };
  void shuffle();

  u64 seed_;
  std::shared_ptr<const Pristine> pristine_;
  Dice order_dice_;
  std::vector<Entry> scenarios_;
  std::vector<std::string> forms_;
  std::vector<std::size_t> order_;
  std::size_t at_ = 0;
};

}  // namespace bhvm::oracle
