#include "cpu/system/cpuid.h"

#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "cpu/block_builder.h"
#include "cpu/system/msr.h"
#include "tests/cpu/system/system_machine.h"

namespace bhvm::test {
namespace {

TEST(Cpuid, EveryFeatureHasItsLeafAndBit) {
  std::set<std::string_view> names;
  for (const CpuFeature& f : cpu_features()) {
    const CpuidResult r = cpuid_static(f.leaf, f.subleaf);
    const u32 words[] = {r.eax, r.ebx, r.ecx, r.edx};
    EXPECT_TRUE((words[static_cast<unsigned>(f.reg)] >> f.bit) & 1) << f.name;
    EXPECT_TRUE(names.insert(f.name).second) << f.name << " is there twice";
  }
}

TEST(Cpuid, MaximaCoverTheLeaves) {
  for (const CpuidLeaf& leaf : cpuid_leaves()) {
    const u32 maximum = cpuid_static(leaf.leaf & 0xC0000000, 0).eax;
    EXPECT_LE(leaf.leaf, maximum) << std::hex << leaf.leaf;
  }
  EXPECT_LE(cpuid_static(7, 0).eax, 2u);
  const CpuidResult beyond = cpuid_static(0x99, 0);
  EXPECT_EQ(beyond.eax, cpuid_static(cpuid_static(0, 0).eax, 0).eax);
}

TEST(Cpuid, LeavesAgree) {
  EXPECT_EQ(u64{cpuid_static(0x15, 0).ecx} * cpuid_static(0x15, 0).ebx / cpuid_static(0x15, 0).eax, kTscHz);
  EXPECT_EQ(cpuid_static(0x16, 0).eax * u64{1'000'000}, kTscHz);
  EXPECT_EQ(cpuid_static(0xD, 0).ebx, kXsaveAreaBytes);
  EXPECT_EQ(cpuid_static(0xD, 0).ecx, kXsaveAreaBytes);
  EXPECT_EQ(cpuid_static(0xD, 0).eax, 3u);
  EXPECT_EQ(cpuid_static(0x80000008, 0).eax & 0xFF, kPhysicalAddressBits);
  EXPECT_EQ(((cpuid_static(1, 0).ebx >> 8) & 0xFF) * 8, (cpuid_static(4, 0).ebx & 0xFFF) + 1);
  EXPECT_EQ(cpuid_static(0xB, 0).ecx & 0xFF, 0u);
  EXPECT_EQ(cpuid_static(0xB, 5).ecx, 5u);
}

/// An instruction that a feature brings, and the feature. It is translated if and only if the feature is claimed.
struct Owner {
  ZydisMnemonic mnemonic;
  std::string_view feature;
};

TEST(Cpuid, FeaturesAndTranslatorsAgree) {
  const Owner rows[] = {
      {ZYDIS_MNEMONIC_FLD, "FPU"},
      {ZYDIS_MNEMONIC_RDTSC, "TSC"},
      {ZYDIS_MNEMONIC_RDMSR, "MSR"},
      {ZYDIS_MNEMONIC_CMPXCHG8B, "CX8"},
      {ZYDIS_MNEMONIC_SYSENTER, "SEP"},
      {ZYDIS_MNEMONIC_CMOVZ, "CMOV"},
      {ZYDIS_MNEMONIC_CLFLUSH, "CLFSH"},
      {ZYDIS_MNEMONIC_PADDB, "MMX"},
      {ZYDIS_MNEMONIC_FXSAVE, "FXSR"},
      {ZYDIS_MNEMONIC_ADDPS, "SSE"},
      {ZYDIS_MNEMONIC_ADDPD, "SSE2"},
      {ZYDIS_MNEMONIC_HADDPS, "SSE3"},
      {ZYDIS_MNEMONIC_PSHUFB, "SSSE3"},
      {ZYDIS_MNEMONIC_PMULLD, "SSE4.1"},
      {ZYDIS_MNEMONIC_PCMPISTRI, "SSE4.2"},
      {ZYDIS_MNEMONIC_CRC32, "SSE4.2"},
      {ZYDIS_MNEMONIC_PCLMULQDQ, "PCLMULQDQ"},
      {ZYDIS_MNEMONIC_AESENC, "AESNI"},
      {ZYDIS_MNEMONIC_CMPXCHG16B, "CMPXCHG16B"},
      {ZYDIS_MNEMONIC_MOVBE, "MOVBE"},
      {ZYDIS_MNEMONIC_POPCNT, "POPCNT"},
      {ZYDIS_MNEMONIC_XSAVE, "XSAVE"},
      {ZYDIS_MNEMONIC_XGETBV, "XSAVE"},
      {ZYDIS_MNEMONIC_XSAVEOPT, "XSAVEOPT"},
      {ZYDIS_MNEMONIC_RDRAND, "RDRAND"},
      {ZYDIS_MNEMONIC_RDSEED, "RDSEED"},
      {ZYDIS_MNEMONIC_RDFSBASE, "FSGSBASE"},
      {ZYDIS_MNEMONIC_STAC, "SMAP"},
      {ZYDIS_MNEMONIC_LAHF, "LAHF64"},
      {ZYDIS_MNEMONIC_SYSCALL, "SYSCALL"},
      {ZYDIS_MNEMONIC_RDTSCP, "RDTSCP"},
      // Not claimed.
      {ZYDIS_MNEMONIC_MONITOR, "MONITOR"},
      {ZYDIS_MNEMONIC_MWAIT, "MONITOR"},
      {ZYDIS_MNEMONIC_INVPCID, "INVPCID"},
      {ZYDIS_MNEMONIC_VADDPS, "AVX"},
      {ZYDIS_MNEMONIC_ANDN, "BMI1"},
      {ZYDIS_MNEMONIC_LZCNT, "LZCNT"},
      {ZYDIS_MNEMONIC_TZCNT, "BMI1"},
      {ZYDIS_MNEMONIC_ADCX, "ADX"},
      {ZYDIS_MNEMONIC_SHA1MSG1, "SHA"},
      {ZYDIS_MNEMONIC_XSAVEC, "XSAVEC"},
      {ZYDIS_MNEMONIC_XSAVES, "XSAVES"},
      {ZYDIS_MNEMONIC_CLFLUSHOPT, "CLFLUSHOPT"},
      {ZYDIS_MNEMONIC_CLWB, "CLWB"},
      {ZYDIS_MNEMONIC_RDPID, "RDPID"},
      {ZYDIS_MNEMONIC_VMCALL, "VMX"},
      {ZYDIS_MNEMONIC_RDPKRU, "PKU"},
      {ZYDIS_MNEMONIC_XBEGIN, "RTM"},
      {ZYDIS_MNEMONIC_GETSEC, "SMX"},
      {ZYDIS_MNEMONIC_ENCLU, "SGX"},
      {ZYDIS_MNEMONIC_SERIALIZE, "SERIALIZE"},
  };
  for (const Owner& row : rows) {
    EXPECT_EQ(translators().find(row.mnemonic) != nullptr, has_feature(row.feature))
        << ZydisMnemonicGetString(row.mnemonic);
  }
}

TEST(Cpuid, FeaturesAndControlBitsAgree) {
  const std::pair<u64, std::string_view> bits[] = {
      {cr4::kTsd, "TSC"},           {cr4::kDe, "DE"},
      {cr4::kPse, "PSE"},           {cr4::kPae, "PAE"},
      {cr4::kPge, "PGE"},           {cr4::kOsfxsr, "FXSR"},
      {cr4::kOsxmmexcpt, "SSE"},    {cr4::kUmip, "UMIP"},
      {cr4::kSmep, "SMEP"},         {cr4::kSmap, "SMAP"},
      {cr4::kFsgsbase, "FSGSBASE"}, {cr4::kOsxsave, "XSAVE"},
      {cr4::kVme, "VME"},           {cr4::kMce, "MCE"},
      {u64{1} << 13, "VMX"},        {cr4::kPcide, "PCID"},
      {u64{1} << 22, "PKU"},        {u64{1} << 12, "57-bit linear addresses"}};
  for (const auto& [bit, name] : bits) EXPECT_EQ((cr4::kSupported & bit) != 0, has_feature(name)) << name;
}

TEST(Cpuid, FeaturesAndMsrsAgree) {
  const std::pair<u32, std::string_view> rows[] = {{0x10, "TSC"},
                                                   {0x1B, "APIC"},
                                                   {0x3B, "IA32_TSC_ADJUST"},
                                                   {0x48, "IBRS and IBPB"},
                                                   {0x49, "IBRS and IBPB"},
                                                   {0xFE, "MTRR"},
                                                   {0x10A, "IA32_ARCH_CAPABILITIES"},
                                                   {0x174, "SEP"},
                                                   {0x277, "PAT"},
                                                   {0x6E0, "TSC-Deadline"},
                                                   {0xC0000080, "Intel 64"},
                                                   {0xC0000103, "RDTSCP"},
                                                   {0x179, "MCA"},
                                                   {0xDA0, "XSAVES"},
                                                   {0x802, "x2APIC"},
                                                   {0x186, "performance monitoring"}};
  for (const auto& [index, name] : rows) {
    bool found = false;
    for (const Msr& msr : msrs()) found |= index == msr.first || (index > msr.first && index <= msr.last);
    EXPECT_EQ(found, has_feature(name)) << std::hex << index;
  }
}

TEST(Cpuid, DocumentationNamesEveryFeatureAndMsr) {
  std::ifstream file(BHVM_SOURCE_DIR "/docs/CPU.md");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  for (const CpuFeature& f : cpu_features()) EXPECT_NE(text.find(f.name), std::string::npos) << f.name;
  for (const Msr& msr : msrs()) EXPECT_NE(text.find(msr.name), std::string::npos) << msr.name;
}

TEST(Cpuid, InstructionFollowsOsxsaveAndClearsUpperHalves) {
  SystemMachine m;
  for (const bool osxsave : {false, true}) {
    m.cpu.s.cr4 = (m.cpu.s.cr4 & ~cr4::kOsxsave) | (osxsave ? cr4::kOsxsave : 0);
    m.reg(kRax) = 0xFFFFFFFF00000001;
    m.reg(kRbx) = ~u64{0};
    m.run_program({0x0F, 0xA2, 0xF4});
    EXPECT_EQ((m.reg(kRcx) >> 27) & 1, osxsave ? 1u : 0u);
    EXPECT_EQ(m.reg(kRbx), cpuid_static(1, 0).ebx);
  }
}

}  // namespace
}  // namespace bhvm::test
