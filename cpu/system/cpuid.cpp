#include "cpu/system/cpuid.h"

#include <algorithm>
#include <array>

#include "cpu/system/control_bits.h"

namespace bhvm {

namespace {

constexpr u32 kMaxBasic = 0x16;
constexpr u32 kMaxExtended = 0x80000008;
constexpr u32 kHypervisorLeaf = 0x40000000;

constexpr auto kEax = CpuidRegister::kEax;
constexpr auto kEbx = CpuidRegister::kEbx;
constexpr auto kEcxReg = CpuidRegister::kEcx;
constexpr auto kEdxReg = CpuidRegister::kEdx;

constexpr CpuFeature kFeatures[] = {
    {0x01, 0, kEcxReg, 0, "SSE3"},
    {0x01, 0, kEcxReg, 1, "PCLMULQDQ"},
    {0x01, 0, kEcxReg, 9, "SSSE3"},
    {0x01, 0, kEcxReg, 13, "CMPXCHG16B"},
    {0x01, 0, kEcxReg, 17, "PCID"},
    {0x01, 0, kEcxReg, 19, "SSE4.1"},
    {0x01, 0, kEcxReg, 20, "SSE4.2"},
    {0x01, 0, kEcxReg, 22, "MOVBE"},
    {0x01, 0, kEcxReg, 23, "POPCNT"},
    {0x01, 0, kEcxReg, 24, "TSC-Deadline"},
    {0x01, 0, kEcxReg, 25, "AESNI"},
    {0x01, 0, kEcxReg, 26, "XSAVE"},
    {0x01, 0, kEcxReg, 30, "RDRAND"},
    {0x01, 0, kEcxReg, 31, "hypervisor"},
    {0x01, 0, kEdxReg, 0, "FPU"},
    {0x01, 0, kEdxReg, 2, "DE"},
    {0x01, 0, kEdxReg, 3, "PSE"},
    {0x01, 0, kEdxReg, 4, "TSC"},
    {0x01, 0, kEdxReg, 5, "MSR"},
    {0x01, 0, kEdxReg, 6, "PAE"},
    {0x01, 0, kEdxReg, 8, "CX8"},
    {0x01, 0, kEdxReg, 9, "APIC"},
    {0x01, 0, kEdxReg, 11, "SEP"},
    {0x01, 0, kEdxReg, 12, "MTRR"},
    {0x01, 0, kEdxReg, 13, "PGE"},
    {0x01, 0, kEdxReg, 15, "CMOV"},
    {0x01, 0, kEdxReg, 16, "PAT"},
    {0x01, 0, kEdxReg, 19, "CLFSH"},
    {0x01, 0, kEdxReg, 23, "MMX"},
    {0x01, 0, kEdxReg, 24, "FXSR"},
    {0x01, 0, kEdxReg, 25, "SSE"},
    {0x01, 0, kEdxReg, 26, "SSE2"},
    {0x06, 0, kEax, 2, "ARAT"},
    {0x07, 0, kEbx, 0, "FSGSBASE"},
    {0x07, 0, kEbx, 1, "IA32_TSC_ADJUST"},
    {0x07, 0, kEbx, 7, "SMEP"},
    {0x07, 0, kEbx, 9, "ERMS"},
    {0x07, 0, kEbx, 18, "RDSEED"},
    {0x07, 0, kEbx, 20, "SMAP"},
    {0x07, 0, kEcxReg, 2, "UMIP"},
    {0x07, 0, kEdxReg, 26, "IBRS and IBPB"},
    {0x07, 0, kEdxReg, 29, "IA32_ARCH_CAPABILITIES"},
    {0x07, 2, kEdxReg, 4, "BHI_CTRL"},
    {0x0D, 1, kEax, 0, "XSAVEOPT"},
    {0x80000001, 0, kEcxReg, 0, "LAHF64"},
    {0x80000001, 0, kEdxReg, 11, "SYSCALL"},
    {0x80000001, 0, kEdxReg, 20, "Execute Disable"},
    {0x80000001, 0, kEdxReg, 26, "1-GByte pages"},
    {0x80000001, 0, kEdxReg, 27, "RDTSCP"},
    {0x80000001, 0, kEdxReg, 29, "Intel 64"},
    {0x80000007, 0, kEdxReg, 8, "Invariant TSC"},
};

constexpr u32 word(std::string_view text, std::size_t at) {
  u32 value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    if (at + i < text.size()) value |= static_cast<u32>(static_cast<u8>(text[at + i])) << (8 * i);
  }
  return value;
}

constexpr CpuidResult brand_part(std::size_t at) {
  return {word(kCpuBrand, at), word(kCpuBrand, at + 4), word(kCpuBrand, at + 8), word(kCpuBrand, at + 12)};
}

/// Leaf 4: a cache of `ways` * `sets` lines of 64 bytes, for one processor.
enum class CacheType : u8 { kData = 1, kInstruction = 2, kUnified = 3 };
constexpr CpuidResult cache(CacheType type, u32 level, u32 ways, u32 sets) {
  constexpr u32 kSelfInitializing = 1 << 8;
  constexpr u32 kLineBytes = 64;
  return {static_cast<u32>(type) | (level << 5) | kSelfInitializing, ((ways - 1) << 22) | (kLineBytes - 1), sets - 1,
          0};
}

constexpr std::string_view kHypervisorVendor = "bhvmbhvmbhvm";

constexpr CpuidLeaf kLeaves[] = {
    {0x00, 0, {kMaxBasic, word(kCpuVendor, 0), word(kCpuVendor, 8), word(kCpuVendor, 4)}, "last basic leaf; vendor"},
    {0x01, 0, {0x000206C2, 0x00010800, 0, 0}, "family 6, model 44, stepping 2; CLFLUSH line 64 bytes; one processor"},
    {0x02, 0, {0x0000FF01, 0, 0, 0}, "caches are in leaf 4"},
    {0x04, 0, cache(CacheType::kData, 1, 8, 64), "L1 data 32 KiB"},
    {0x04, 1, cache(CacheType::kInstruction, 1, 8, 64), "L1 instruction 32 KiB"},
    {0x04, 2, cache(CacheType::kUnified, 2, 8, 512), "L2 256 KiB"},
    {0x04, 3, cache(CacheType::kUnified, 3, 16, 32768), "L3 32 MiB"},
    {0x06, 0, {}, "power management: none, the APIC timer never stops"},
    {0x07, 0, {2, 0, 0, 0}, "structured extended features; last subleaf 2"},
    {0x07, 2, {}, "structured extended features"},
    {0x0B, 0, {0, 1, 0x100, 0}, "topology: one thread in the core"},
    {0x0B, 1, {0, 1, 0x201, 0}, "topology: one core in the package"},
    {0x0B, 2, {0, 0, 2, 0}, "topology: end"},
    {0x0D, 0, {3, kXsaveAreaBytes, kXsaveAreaBytes, 0}, "XSAVE: x87 and SSE state, area in bytes"},
    {0x0D, 1, {}, "XSAVE: XSAVEOPT"},
    {0x15, 0, {1, kTscHz / kCrystalHz, kCrystalHz, 0}, "TSC = crystal * EBX / EAX; crystal in Hz"},
    {0x16,
     0,
     {kTscHz / 1'000'000, kTscHz / 1'000'000, kCrystalHz / 1'000'000, 0},
     "base, maximum, bus frequency in MHz"},
    {kHypervisorLeaf,
     0,
     {kHypervisorLeaf, word(kHypervisorVendor, 0), word(kHypervisorVendor, 4), word(kHypervisorVendor, 8)},
     "last hypervisor leaf; its name"},
    {0x80000000, 0, {kMaxExtended, 0, 0, 0}, "last extended leaf"},
    {0x80000001, 0, {}, "extended features"},
    {0x80000002, 0, brand_part(0), "brand"},
    {0x80000003, 0, brand_part(16), "brand"},
    {0x80000004, 0, brand_part(32), "brand"},
    {0x80000006, 0, {0, 0, 0x01006040, 0}, "L2 256 KiB, 8 ways, lines of 64 bytes"},
    {0x80000007, 0, {}, "time-stamp counter"},
    {0x80000008, 0, {kPhysicalAddressBits | (48 << 8), 0, 0, 0}, "physical and linear address bits"},
};

constexpr u32& part(CpuidResult& result, CpuidRegister reg) {
  switch (reg) {
    case CpuidRegister::kEax:
      return result.eax;
    case CpuidRegister::kEbx:
      return result.ebx;
    case CpuidRegister::kEcx:
      return result.ecx;
    case CpuidRegister::kEdx:
      break;
  }
  return result.edx;
}

constexpr auto kComplete = [] {
  std::array<CpuidLeaf, std::size(kLeaves)> leaves{};
  std::copy(std::begin(kLeaves), std::end(kLeaves), leaves.begin());
  for (const CpuFeature& feature : kFeatures) {
    for (CpuidLeaf& leaf : leaves) {
      if (leaf.leaf == feature.leaf && leaf.subleaf == feature.subleaf)
        part(leaf.values, feature.reg) |= 1u << feature.bit;
    }
  }
  return leaves;
}();

/// Leaves whose result depends on ECX.
constexpr bool has_subleaves(u32 leaf) { return leaf == 4 || leaf == 7 || leaf == 0xB || leaf == 0xD; }

}  // namespace

std::span<const CpuFeature> cpu_features() { return kFeatures; }
std::span<const CpuidLeaf> cpuid_leaves() { return kComplete; }

bool has_feature(std::string_view name) {
  return std::ranges::any_of(kFeatures, [&](const CpuFeature& f) { return f.name == name; });
}

CpuidResult cpuid_static(u32 leaf, u32 subleaf) {
  const bool basic = leaf <= kMaxBasic;
  const bool extended = leaf >= 0x80000000 && leaf <= kMaxExtended;
  if (!basic && !extended && leaf != kHypervisorLeaf) leaf = kMaxBasic;
  if (!has_subleaves(leaf)) subleaf = 0;
  for (const CpuidLeaf& row : kComplete) {
    if (row.leaf == leaf && row.subleaf == subleaf) return row.values;
  }
  CpuidResult none;
  if (leaf == 0xB) none.ecx = subleaf & 0xFF;
  return none;
}

bool cpuid(Cpu& cpu, const Op&) {
  CpuState& s = cpu.s;
  const u32 leaf = static_cast<u32>(s.gpr[kRax]);
  CpuidResult result = cpuid_static(leaf, static_cast<u32>(s.gpr[kRcx]));
  constexpr u32 kOsxsave = 1 << 27;
  if (leaf == 1 && (s.cr4 & cr4::kOsxsave) != 0) result.ecx |= kOsxsave;
  s.gpr[kRax] = result.eax;
  s.gpr[kRbx] = result.ebx;
  s.gpr[kRcx] = result.ecx;
  s.gpr[kRdx] = result.edx;
  return true;
}

}  // namespace bhvm
