#include "oracle/compare/masks.h"

#include <gtest/gtest.h>

#include <set>

namespace bhvm::oracle {
namespace {

bool is_mnemonic(std::string_view name) {
  for (unsigned i = 1; i <= ZYDIS_MNEMONIC_MAX_VALUE; ++i) {
    if (name == ZydisMnemonicGetString(static_cast<ZydisMnemonic>(i))) return true;
  }
  return false;
}

TEST(Masks, EveryRowSaysWhatWhyAndWhere) {
  std::set<std::string_view> names;
  for (const MaskRow& row : mask_table()) {
    SCOPED_TRACE(row.name);
    EXPECT_TRUE(names.insert(row.name).second) << "two rows of one name";
    EXPECT_FALSE(row.why.empty());
    EXPECT_FALSE(row.source.empty());
    EXPECT_NE(row.explain, nullptr);
    if (row.kind == MaskKind::kUndefined) {
      EXPECT_NE(row.source.find("SDM"), std::string_view::npos);
    }
    if (row.kind == MaskKind::kQemuWrong) {
      EXPECT_EQ(row.oracle, Oracle::kQemu);
    }
    if (row.kind == MaskKind::kHost || row.kind == MaskKind::kVendor || row.host != Host::kAny) {
      EXPECT_EQ(row.oracle, Oracle::kNative);
    }
    if (row.kind == MaskKind::kVendor) {
      EXPECT_NE(row.host, Host::kAny);
    }
  }
}

TEST(Masks, EveryMnemonicExists) {
  for (const MaskRow& row : mask_table()) {
    std::string_view rest = row.mnemonics;
    while (!rest.empty() && rest != "*") {
      const std::size_t blank = rest.find(' ');
      const std::string_view word = rest.substr(0, blank);
      rest = blank == std::string_view::npos ? std::string_view{} : rest.substr(blank + 1);
      if (!word.ends_with('*')) {
        EXPECT_TRUE(is_mnemonic(word)) << row.name << ": " << word;
      }
    }
  }
}

TEST(Masks, MatchesWholeWordsAndBeginnings) {
  MaskRow row{"", "shl sal* x", Oracle::kQemu, MaskKind::kUndefined, nullptr, "", ""};
  EXPECT_TRUE(matches(row, "shl"));
  EXPECT_TRUE(matches(row, "salc"));
  EXPECT_TRUE(matches(row, "x"));
  EXPECT_FALSE(matches(row, "shld"));
  EXPECT_FALSE(matches(row, "sa"));
}

}  // namespace
}  // namespace bhvm::oracle
