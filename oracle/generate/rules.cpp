#include "oracle/generate/rules.h"

namespace bhvm::oracle {

namespace {

class Table {
 public:
  Table() {
    for (const auto part : {integer_rules(), control_rules(), state_rules()}) {
      for (const RuleRow& row : part) rules_[row.mnemonic] = row.rule;
    }
  }
  Rule find(ZydisMnemonic mnemonic) const { return rules_[mnemonic]; }

 private:
  std::array<Rule, ZYDIS_MNEMONIC_MAX_VALUE + 1> rules_{};
};

}  // namespace

Rule rule_of(const Instruction& insn) {
  static const Table table;
  return table.find(insn.z.mnemonic);
}

}  // namespace bhvm::oracle
