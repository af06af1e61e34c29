// Every encoding of the extensions that CPUID claims has a translator.
#include <Zydis/Zydis.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "cpu/block_builder.h"

namespace bhvm {
namespace {

constexpr ZydisISAExt kExtensions[] = {ZYDIS_ISA_EXT_MMX,  ZYDIS_ISA_EXT_SSE,      ZYDIS_ISA_EXT_SSE2,
                                       ZYDIS_ISA_EXT_SSE3, ZYDIS_ISA_EXT_SSSE3,    ZYDIS_ISA_EXT_SSE4,
                                       ZYDIS_ISA_EXT_AES,  ZYDIS_ISA_EXT_PCLMULQDQ};

TEST(SseCoverage, EveryEncodingHasATranslator) {
  ZydisDecoder decoder;
  ASSERT_TRUE(ZYAN_SUCCESS(ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)));
  const std::vector<std::vector<u8>> prefixes = {{},     {0x66},       {0xF2},       {0xF3},
                                                 {0x48}, {0x66, 0x48}, {0xF2, 0x48}, {0xF3, 0x48}};
  const std::vector<std::vector<u8>> maps = {{0x0F}, {0x0F, 0x38}, {0x0F, 0x3A}};
  std::set<std::string> missing;
  unsigned found = 0;
  for (const auto& prefix : prefixes) {
    for (const auto& map : maps) {
      for (unsigned opcode = 0; opcode < 256; ++opcode) {
        for (unsigned modrm = 0; modrm < 256; ++modrm) {
          std::vector<u8> bytes = prefix;
          bytes.insert(bytes.end(), map.begin(), map.end());
          bytes.push_back(static_cast<u8>(opcode));
          bytes.push_back(static_cast<u8>(modrm));
          bytes.resize(15);
          ZydisDecodedInstruction z;
          if (!ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(&decoder, nullptr, bytes.data(), bytes.size(), &z))) continue;
          if (std::find(std::begin(kExtensions), std::end(kExtensions), z.meta.isa_ext) == std::end(kExtensions)) {
            continue;
          }
          found += 1;
          if (translators().find(z.mnemonic) == nullptr) missing.insert(ZydisMnemonicGetString(z.mnemonic));
        }
      }
    }
  }
  EXPECT_GT(found, 10000u);
  for (const std::string& mnemonic : missing) ADD_FAILURE() << mnemonic << " has no translator";
}

}  // namespace
}  // namespace bhvm
