// What one instruction can change, seen the same way on the host and in the guest.
#pragma once

#include <array>
#include <string>

#include "base/types.h"
#include "cpu/sse/vector.h"

namespace bhvm::sse_test {

/// Where the data page stands, on the host and in the guest alike, so that addresses are the same.
inline constexpr u64 kDataAddress = 0x20000000;
inline constexpr u64 kDataSize = 4096;
inline constexpr unsigned kUsedData = 256;  // bytes that trials fill and compare

struct MachineState {
  std::array<u64, 4> gpr{};  // RAX, RCX, RDX, RBX
  u64 rdi = kDataAddress;
  u64 rsi = kDataAddress;
  u64 rflags = 2;
  std::array<std::array<u64, 2>, 16> xmm{};
  u32 mxcsr = 0x1F80;
  u16 x87_control = 0x037F;
  u16 x87_status = 0;
  u8 x87_valid = 0;                  // bit i: Ri is not empty
  std::array<u64, 8> significand{};  // of R0 to R7; MMX registers
  std::array<u16, 8> sign_exponent{};
  std::array<u8, kUsedData> memory{};
  int vector = -1;  // of the exception it raised; the rest is then as when it was raised
  friend bool operator==(const MachineState&, const MachineState&) = default;
};

inline std::string hex(u64 value) {
  char text[20];
  std::snprintf(text, sizeof(text), "%016llx", static_cast<unsigned long long>(value));
  return text;
}

/// One line for each field in which two states differ.
inline std::string difference(const MachineState& expected, const MachineState& actual) {
  std::string text;
  const auto field = [&text](const std::string& name, u64 e, u64 a) {
    if (e != a) text += "  " + name + ": host " + hex(e) + ", guest " + hex(a) + "\n";
  };
  for (unsigned i = 0; i < 4; ++i) field("gpr" + std::to_string(i), expected.gpr[i], actual.gpr[i]);
  field("rflags", expected.rflags, actual.rflags);
  for (unsigned i = 0; i < 16; ++i) {
    field("xmm" + std::to_string(i) + ".low", expected.xmm[i][0], actual.xmm[i][0]);
    field("xmm" + std::to_string(i) + ".high", expected.xmm[i][1], actual.xmm[i][1]);
  }
  field("mxcsr", expected.mxcsr, actual.mxcsr);
  field("x87_control", expected.x87_control, actual.x87_control);
  field("x87_status", expected.x87_status, actual.x87_status);
  field("x87_valid", expected.x87_valid, actual.x87_valid);
  for (unsigned i = 0; i < 8; ++i) {
    field("mm" + std::to_string(i), expected.significand[i], actual.significand[i]);
    field("sign_exponent" + std::to_string(i), expected.sign_exponent[i], actual.sign_exponent[i]);
  }
  for (unsigned i = 0; i < kUsedData; ++i) field("byte " + std::to_string(i), expected.memory[i], actual.memory[i]);
  field("vector", static_cast<u64>(expected.vector), static_cast<u64>(actual.vector));
  return text;
}

}  // namespace bhvm::sse_test
