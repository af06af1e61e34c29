// Hand-made cases with outcomes that anybody can check.
#pragma once

#include <cstring>
#include <initializer_list>
#include <memory>

#include "oracle/run/batch.h"

namespace bhvm::oracle::test {

inline constexpr u32 kCodeOffset = 0x1100;

inline std::shared_ptr<const Pristine> filled_region() {
  auto region = std::make_shared<Pristine>();
  region->fill(0xCC);
  return region;
}

/// Registers zero, RSP at the top of the stack, x87 and SSE at reset.
inline Case plain_case() {
  constexpr u16 kFcwReset = 0x037F;
  constexpr u32 kMxcsrReset = 0x1F80;
  Case input{};
  input.gpr[4] = page_linear(kStackTopPage) - 64;
  input.rip = kRegion + kCodeOffset;
  input.rflags = 2;
  input.accessed = 0b110;  // the code pages
  std::memcpy(input.fx, &kFcwReset, sizeof(kFcwReset));
  std::memcpy(input.fx + 24, &kMxcsrReset, sizeof(kMxcsrReset));
  return input;
}

inline CaseGroup plain_group(Mode mode, std::initializer_list<u8> code, unsigned cases = 1) {
  CaseGroup group;
  group.group.mode = mode;
  group.group.code_offset = kCodeOffset;
  group.group.code_bytes = static_cast<u16>(code.size());
  std::copy(code.begin(), code.end(), group.group.code);
  group.cases.assign(cases, plain_case());
  return group;
}

}  // namespace bhvm::oracle::test
