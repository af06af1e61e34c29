// CPUID: the one table of what the processor says it is (SDM 2, CPUID; docs/CPU.md).
//
// Features are rows by name; the feature words of the leaves are computed from them. All leaves agree with each other
// and with what the translators, the MSR table and CR4's supported bits have (tests/cpu/system/cpuid_test.cpp).
#pragma once

#include <span>
#include <string_view>

#include "cpu/system_op.h"

namespace bhvm {

/// The clocks that leaves 15H and 16H tell. The board's time-stamp counter and local APIC timer run at them.
inline constexpr u64 kTscHz = 1'000'000'000;
inline constexpr u64 kCrystalHz = 25'000'000;

/// The XSAVE area for x87 and SSE state, the legacy region and the header (leaf 0DH; SDM 1, 13.4).
inline constexpr u32 kXsaveAreaBytes = 576;

enum class CpuidRegister : u8 { kEax, kEbx, kEcx, kEdx };

struct CpuidResult {
  u32 eax = 0;
  u32 ebx = 0;
  u32 ecx = 0;
  u32 edx = 0;
};

/// A feature that is claimed.
struct CpuFeature {
  u32 leaf = 0;
  u32 subleaf = 0;
  CpuidRegister reg = CpuidRegister::kEax;
  u8 bit = 0;
  std::string_view name;  // as in the SDM
};

/// A leaf (one subleaf of it) without its feature bits.
struct CpuidLeaf {
  u32 leaf = 0;
  u32 subleaf = 0;
  CpuidResult values;
  std::string_view meaning;
};

std::span<const CpuFeature> cpu_features();
std::span<const CpuidLeaf> cpuid_leaves();
inline constexpr std::string_view kCpuVendor = "GenuineIntel";
inline constexpr std::string_view kCpuBrand = "bhvm deterministic x86-64 processor";

/// Is the feature of this name claimed?
bool has_feature(std::string_view name);

/// The static result for a leaf: what CPUID returns but for the bit that follows CR4.OSXSAVE. A leaf beyond the last
/// basic one returns the last basic one's data, as Intel's processors do.
CpuidResult cpuid_static(u32 leaf, u32 subleaf);

bool cpuid(Cpu& cpu, const Op& op);

}  // namespace bhvm
