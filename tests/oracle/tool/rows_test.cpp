// The mask table against what is generated: a row about an instruction that no case holds would never be seen to be
// wrong.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "cpu/decoder.h"
#include "oracle/compare/masks.h"
#include "oracle/generate/forms.h"
#include "oracle/system/system_generator.h"

namespace bhvm::oracle {
namespace {

/// Of every form, and of every instruction in a scenario's code.
std::set<std::string> generated_mnemonics() {
  std::set<std::string> mnemonics;
  for (const Form& form : build_catalogue().forms) mnemonics.insert(form.mnemonic);
  SystemGenerator system(1, nullptr);
  const Decoder decoder;
  for (std::size_t i = 0; i < system.forms().size(); ++i) {
    const CaseGroup group = system.next();
    const bool code64 = group.group.mode == Mode::kUser64 || group.group.mode == Mode::kKernel64;
    for (u64 at = 0; at < group.group.code_bytes;) {
      Instruction insn{};
      insn.mode = code64 ? mode::kCode64 : mode::kCode32;
      if (decoder.decode({group.group.code + at, group.group.code_bytes - at}, code64, insn) != Decoded::kYes) break;
      mnemonics.insert(ZydisMnemonicGetString(insn.z.mnemonic));
      at += insn.z.length;
    }
  }
  return mnemonics;
}

TEST(Rows, NameOnlyInstructionsThatAreGenerated) {
  const std::set<std::string> generated = generated_mnemonics();
  ASSERT_GT(generated.size(), 500U);
  for (const MaskRow& row : mask_table()) {
    std::istringstream patterns{std::string(row.mnemonics)};
    for (std::string pattern; patterns >> pattern;) {
      if (pattern == "*") continue;
      MaskRow one = row;
      one.mnemonics = pattern;
      const bool met = std::any_of(generated.begin(), generated.end(),
                                   [&](const std::string& mnemonic) { return matches(one, mnemonic); });
      EXPECT_TRUE(met) << "the row '" << row.name << "' names " << pattern << ", which no case holds";
    }
  }
}

}  // namespace
}  // namespace bhvm::oracle
