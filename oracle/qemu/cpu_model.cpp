#include "oracle/qemu/cpu_model.h"

#include <string_view>

#include "cpu/system/cpuid.h"

namespace bhvm::oracle {
namespace {

/// A feature of QEMU's "max" under TCG, by QEMU's name and its place in CPUID (SDM 2, CPUID; APM 3, appendix E).
struct QemuFeature {
  std::string_view name;
  u32 leaf;
  u32 subleaf;
  CpuidRegister reg;
  u8 bit;
};
constexpr auto kEax = CpuidRegister::kEax;
constexpr auto kEbx = CpuidRegister::kEbx;
constexpr auto kEcx = CpuidRegister::kEcx;
constexpr auto kEdx = CpuidRegister::kEdx;

constexpr QemuFeature kFeatures[] = {
    {"pni", 0x01, 0, kEcx, 0},
    {"pclmulqdq", 0x01, 0, kEcx, 1},
    {"monitor", 0x01, 0, kEcx, 3},
    {"ssse3", 0x01, 0, kEcx, 9},
    {"fma", 0x01, 0, kEcx, 12},
    {"cx16", 0x01, 0, kEcx, 13},
    {"sse4.1", 0x01, 0, kEcx, 19},
    {"sse4.2", 0x01, 0, kEcx, 20},
    {"movbe", 0x01, 0, kEcx, 22},
    {"popcnt", 0x01, 0, kEcx, 23},
    {"aes", 0x01, 0, kEcx, 25},
    {"xsave", 0x01, 0, kEcx, 26},
    {"avx", 0x01, 0, kEcx, 28},
    {"f16c", 0x01, 0, kEcx, 29},
    {"rdrand", 0x01, 0, kEcx, 30},
    {"hypervisor", 0x01, 0, kEcx, 31},
    {"de", 0x01, 0, kEdx, 2},
    {"mce", 0x01, 0, kEdx, 7},
    {"mca", 0x01, 0, kEdx, 14},
    {"pse36", 0x01, 0, kEdx, 17},
    {"acpi", 0x01, 0, kEdx, 22},
    {"ss", 0x01, 0, kEdx, 27},
    {"fsgsbase", 0x07, 0, kEbx, 0},
    {"bmi1", 0x07, 0, kEbx, 3},
    {"avx2", 0x07, 0, kEbx, 5},
    {"smep", 0x07, 0, kEbx, 7},
    {"bmi2", 0x07, 0, kEbx, 8},
    {"erms", 0x07, 0, kEbx, 9},
    {"mpx", 0x07, 0, kEbx, 14},
    {"adx", 0x07, 0, kEbx, 19},
    {"smap", 0x07, 0, kEbx, 20},
    {"pcommit", 0x07, 0, kEbx, 22},
    {"clflushopt", 0x07, 0, kEbx, 23},
    {"clwb", 0x07, 0, kEbx, 24},
    {"umip", 0x07, 0, kEcx, 2},
    {"pku", 0x07, 0, kEcx, 3},
    {"vaes", 0x07, 0, kEcx, 9},
    {"la57", 0x07, 0, kEcx, 16},
    {"pks", 0x07, 0, kEcx, 31},
    {"xsaveopt", 0x0D, 1, kEax, 0},
    {"xgetbv1", 0x0D, 1, kEax, 2},
    {"lahf-lm", 0x80000001, 0, kEcx, 0},
    {"svm", 0x80000001, 0, kEcx, 2},
    {"cr8legacy", 0x80000001, 0, kEcx, 4},
    {"abm", 0x80000001, 0, kEcx, 5},
    {"sse4a", 0x80000001, 0, kEcx, 6},
    {"syscall", 0x80000001, 0, kEdx, 11},
    {"nx", 0x80000001, 0, kEdx, 20},
    {"mmxext", 0x80000001, 0, kEdx, 22},
    {"pdpe1gb", 0x80000001, 0, kEdx, 26},
    {"rdtscp", 0x80000001, 0, kEdx, 27},
    {"3dnowext", 0x80000001, 0, kEdx, 30},
    {"3dnow", 0x80000001, 0, kEdx, 31},
};

u32 word(const CpuidResult& result, CpuidRegister reg) {
  switch (reg) {
    case kEax:
      return result.eax;
    case kEbx:
      return result.ebx;
    case kEcx:
      return result.ecx;
    case kEdx:
      break;
  }
  return result.edx;
}

/// A leaf beyond the last one answers with another leaf's data, which says nothing about the feature.
bool leaf_exists(u32 leaf) {
  const u32 last = cpuid_static(leaf & 0x80000000, 0).eax;
  return leaf <= last;
}

}  // namespace

std::string qemu_cpu_model() {
  std::string model = "max,vendor=GenuineIntel";
  for (const QemuFeature& feature : kFeatures) {
    const bool claimed = leaf_exists(feature.leaf) &&
                         (word(cpuid_static(feature.leaf, feature.subleaf), feature.reg) >> feature.bit & 1) != 0;
    if (!claimed) {
      model += ",-";
      model += feature.name;
    }
  }
  return model;
}

}  // namespace bhvm::oracle
