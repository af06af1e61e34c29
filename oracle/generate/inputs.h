// Inputs: fills in the cases of a group.
#pragma once

#include "oracle/generate/draft.h"
#include "oracle/generate/rules.h"

namespace bhvm::oracle {

class Inputs {
 public:
  Inputs(Dice& dice, const PristineMemory& pristine) : dice_(dice), pristine_(pristine), pool_(dice) {}

  /// Everything of a case but what the batch fills in.
  void fill(const Plan& plan, Case& c);

 private:
  void start(const Plan& plan, Case& c);
  u64 flags(const Plan& plan);
  void choose_operands(Draft& draft);
  void choose_vector_operands(Draft& draft);
  void choose_general_operands(Draft& draft);
  void choose_x87_stack(Draft& draft);
  void choose_page_bits(Case& c);

  Dice& dice_;
  const PristineMemory& pristine_;
  FxPool pool_;
};

}  // namespace bhvm::oracle
