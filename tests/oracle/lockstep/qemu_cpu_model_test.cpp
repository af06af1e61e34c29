#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <string>

#include "cpu/system/cpuid.h"
#include "oracle/qemu/cpu_model.h"

namespace bhvm::oracle {
namespace {

/// What a shell command prints, and its status.
std::pair<int, std::string> run(const std::string& command) {
  FILE* pipe = popen(command.c_str(), "r");  // NOLINT(cert-env33-c): a fixed command
  if (pipe == nullptr) return {-1, "no shell"};
  std::string text;
  std::array<char, 4096> bytes{};
  while (const std::size_t size = fread(bytes.data(), 1, bytes.size(), pipe)) text.append(bytes.data(), size);
  return {pclose(pipe), text};
}

bool switched_off(const std::string& feature) {
  return (qemu_cpu_model() + ",").find(",-" + feature + ",") != std::string::npos;
}

TEST(QemuCpuModel, FollowsWhatBhvmClaims) {
  EXPECT_TRUE(qemu_cpu_model().starts_with("max,vendor=GenuineIntel,"));
  for (const char* feature : {"avx", "avx2", "bmi1", "bmi2", "la57", "pku", "adx", "svm", "3dnow"}) {
    EXPECT_TRUE(switched_off(feature)) << feature;
  }
  for (const char* feature : {"sse4.2", "popcnt", "aes", "xsave", "smap", "fsgsbase", "rdtscp", "pdpe1gb"}) {
    EXPECT_FALSE(switched_off(feature)) << feature;
  }
  EXPECT_EQ(!has_feature("MOVBE"), switched_off("movbe"));
  EXPECT_EQ(!has_feature("AVX"), switched_off("avx"));
}

TEST(QemuCpuModel, QemuTakesItWithoutAWarning) {
  if (run("command -v qemu-system-x86_64").first != 0) {
    GTEST_SKIP() << "qemu-system-x86_64 is missing: install the Debian package qemu-system-x86";
  }
  const auto [status, said] =
      run("echo quit | timeout 60 qemu-system-x86_64 -S -nodefaults -display none -machine microvm -accel tcg "
          "-monitor stdio -cpu '" +
          qemu_cpu_model() + "' 2>&1 > /dev/null");
  EXPECT_EQ(0, status);
  EXPECT_EQ("", said);
}

}  // namespace
}  // namespace bhvm::oracle
