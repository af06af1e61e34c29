// Rules: what particular instructions need of their inputs to do more than fault or nothing.
#pragma once

#include "oracle/generate/draft.h"

namespace bhvm::oracle {

/// Arranges registers, Draft::value and wanted targets before addresses are solved.
using Rule = void (*)(Draft& draft);

struct RuleRow {
  ZydisMnemonic mnemonic;
  Rule rule;
};
/// The tables, one file each.
std::span<const RuleRow> integer_rules();
std::span<const RuleRow> control_rules();
std::span<const RuleRow> state_rules();

/// The rule of a mnemonic, or nullptr.
Rule rule_of(const Instruction& insn);

}  // namespace bhvm::oracle
