// Instruction cases: random instances of every form that bhvm decodes, with inputs that matter to each.
//
// The generator goes through the forms round-robin in a shuffle drawn from the seed, so that forms().size() calls meet
// each once; a seed gives the same groups on every host. Every case ends in an exception within a few dozen
// instructions: branches lead into INT3 fill or to where nothing can be fetched, and a repeated instruction counts to a
// few dozen or runs into a fault within some pages. No case touches the guest program's own memory.
#pragma once

#include <memory>
#include <regex>
#include <vector>

#include "oracle/case_group.h"
#include "oracle/generate/forms.h"

namespace bhvm::oracle {

class InstructionGenerator {
 public:
  /// `form_filter`: only forms whose name it finds (std::regex_search); nullptr: all.
  InstructionGenerator(u64 seed, const std::regex* form_filter);
  ~InstructionGenerator();
  InstructionGenerator(const InstructionGenerator&) = delete;
  InstructionGenerator& operator=(const InstructionGenerator&) = delete;

  const Pristine& pristine() const;
  /// The forms that the filter left, in the catalogue's order. May be empty: then next() must not be called.
  const std::vector<Form>& forms() const;
  /// Forms that nothing is generated of, because a bhvm machine stops at them with a message (docs/CPU.md).
  const std::vector<std::string>& unsupported() const;
  /// Undefined encodings that nothing is generated of, because QEMU takes them, with the reason.
  const std::vector<std::string>& lenient() const;

  /// The next group: one instance of the next form, with 16 cases.
  CaseGroup next();

 private:
  struct Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace bhvm::oracle
