// The catalogue: nothing that bhvm translates or claims is missing.
#include "oracle/generate/forms.h"

#include <gtest/gtest.h>

#include <set>

#include "oracle/generate/form_names.h"

namespace bhvm::oracle {
namespace {

const Catalogue& catalogue() {
  static const Catalogue built = build_catalogue();
  return built;
}

TEST(Forms, EveryMnemonicWithATranslatorIsThere) {
  std::set<unsigned> found;
  for (const Form& form : catalogue().forms) {
    if (form.accepted) found.insert(form.zydis);
  }
  unsigned translated = 0;
  for (unsigned i = 0; i <= ZYDIS_MNEMONIC_MAX_VALUE; ++i) {
    const auto mnemonic = static_cast<ZydisMnemonic>(i);
    if (translators().find(mnemonic) == nullptr) continue;
    // Without CET the decoder gives them their older name, NOP.
    if (mnemonic == ZYDIS_MNEMONIC_ENDBR32 || mnemonic == ZYDIS_MNEMONIC_ENDBR64) continue;
    translated += 1;
    EXPECT_TRUE(found.contains(i)) << "no form of " << ZydisMnemonicGetString(mnemonic);
  }
  EXPECT_EQ(translated, found.size());
}

TEST(Forms, EveryClaimedExtensionIsMet) {
  // cpu/undefined.cpp's list.
  constexpr ZydisISAExt kClaimed[] = {ZYDIS_ISA_EXT_BASE,      ZYDIS_ISA_EXT_X87,    ZYDIS_ISA_EXT_MMX,
                                      ZYDIS_ISA_EXT_SSE,       ZYDIS_ISA_EXT_SSE2,   ZYDIS_ISA_EXT_SSE3,
                                      ZYDIS_ISA_EXT_SSSE3,     ZYDIS_ISA_EXT_SSE4,   ZYDIS_ISA_EXT_AES,
                                      ZYDIS_ISA_EXT_PCLMULQDQ, ZYDIS_ISA_EXT_MOVBE,  ZYDIS_ISA_EXT_RDRAND,
                                      ZYDIS_ISA_EXT_RDSEED,    ZYDIS_ISA_EXT_RDTSCP, ZYDIS_ISA_EXT_RDWRFSGS,
                                      ZYDIS_ISA_EXT_SMAP,      ZYDIS_ISA_EXT_XSAVE,  ZYDIS_ISA_EXT_XSAVEOPT,
                                      ZYDIS_ISA_EXT_LONGMODE,  ZYDIS_ISA_EXT_CLFSH,  ZYDIS_ISA_EXT_PAUSE};
  std::set<unsigned> met;
  for (const Form& form : catalogue().forms) {
    if (form.accepted) met.insert(form.extension);
  }
  for (const ZydisISAExt extension : kClaimed) {
    EXPECT_TRUE(met.contains(extension)) << "no form of " << ZydisISAExtGetString(extension);
  }
}

TEST(Forms, NothingOfAClaimedExtensionLacksATranslator) {
  // What Zydis counts to the base set but CPUID does not claim.
  const std::set<std::string> kUnclaimed = {"rsm"};
  constexpr ZydisISAExt kWhole[] = {ZYDIS_ISA_EXT_BASE,  ZYDIS_ISA_EXT_X87,       ZYDIS_ISA_EXT_MMX,
                                    ZYDIS_ISA_EXT_SSE,   ZYDIS_ISA_EXT_SSE2,      ZYDIS_ISA_EXT_SSE3,
                                    ZYDIS_ISA_EXT_SSSE3, ZYDIS_ISA_EXT_SSE4,      ZYDIS_ISA_EXT_AES,
                                    ZYDIS_ISA_EXT_MOVBE, ZYDIS_ISA_EXT_PCLMULQDQ, ZYDIS_ISA_EXT_LONGMODE};
  for (const Form& form : catalogue().forms) {
    if (form.accepted || form.zydis == ZYDIS_MNEMONIC_INVALID || kUnclaimed.contains(form.mnemonic)) continue;
    for (const ZydisISAExt extension : kWhole) {
      EXPECT_NE(form.extension, extension) << form.name << " is decoded, claimed and not translated";
    }
  }
}

TEST(Forms, NamesAreUniqueAndTellTheMode) {
  std::set<std::string> names;
  for (const Form& form : catalogue().forms) {
    EXPECT_TRUE(names.insert(form.name).second) << form.name;
    EXPECT_EQ(form.name.ends_with(" [32]"), !form.code64) << form.name;
    EXPECT_FALSE(form.encodings.empty()) << form.name;
    EXPECT_FALSE(form.family.empty()) << form.name;
    if (form.simple) {
      EXPECT_FALSE(form.user_only) << form.name;
    }
  }
}

TEST(Forms, WellKnownOnesHaveTheirNames) {
  std::set<std::string> names;
  for (const Form& form : catalogue().forms) names.insert(form.name);
  for (const char* name : {"add r32, m32",         "lock add m64, r64",
                           "add r8, imm8",         "shl r16, cl",
                           "shl r64, 1",           "rep movsb (a64)",
                           "repne scasb (a32)",    "mov rax, moffs64 (a64)",
                           "push imm8 (o64)",      "fadd m32",
                           "fadd st0, st(i)",      "movaps xmm, m128",
                           "movsd xmm, m64",       "cmpxchg16b m128",
                           "mov r64, cr8",         "aaa [32]",
                           "pushad (o32) [32]",    "call ptr16:32 (o32) [32]",
                           "jrcxz rel8 (a64)",     "lea r16, m",
                           "xrstor m4608",         "undefined vex (c5)",
                           "undefined encoding 0x"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
}

TEST(Forms, TheSameEveryTime) {
  const Catalogue again = build_catalogue();
  ASSERT_EQ(again.forms.size(), catalogue().forms.size());
  for (std::size_t i = 0; i < again.forms.size(); ++i) EXPECT_EQ(again.forms[i].name, catalogue().forms[i].name);
}

TEST(Forms, NarrowBranchesAreNotGenerated) {
  EXPECT_EQ(catalogue().unsupported.size(), 24U);
  for (const std::string& name : catalogue().unsupported) EXPECT_TRUE(name.ends_with(" [32]")) << name;
  for (const Form& form : catalogue().forms) EXPECT_NE(form.name, "jmp r16 [32]");
}

TEST(Forms, WhatChangesTheMachineIsForUserModesOnly) {
  const std::set<std::string> kDangerous = {
      "hlt",  "lgdt", "lidt", "wrmsr", "iretq",  "syscall", "popfq",  "sti", "cli",      "swapgs", "ltr", "lldt",
      "lmsw", "clts", "out",  "insb",  "xsetbv", "lss",     "sysret", "int", "wrfsbase", "outsd",  "stac"};
  std::set<std::string> met;
  for (const Form& form : catalogue().forms) {
    const bool dangerous = kDangerous.contains(form.mnemonic) || form.name.starts_with("mov cr") ||
                           form.name.starts_with("mov dr") || form.name.starts_with("mov ss") ||
                           form.name.starts_with("pop ds") || form.name.starts_with("jmp ptr") ||
                           form.name.starts_with("call m80") || !form.accepted;
    if (!dangerous) continue;
    met.insert(form.mnemonic);
    EXPECT_TRUE(form.user_only) << form.name;
  }
  EXPECT_GE(met.size(), kDangerous.size());
}

}  // namespace
}  // namespace bhvm::oracle
