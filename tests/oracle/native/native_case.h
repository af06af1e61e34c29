// Hand-assembled cases for tests of the native runner.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <vector>

#include "oracle/native/native_runner.h"

namespace bhvm::oracle::test {

enum Register : unsigned { kRax, kRcx, kRdx, kRbx, kRsp, kRbp, kRsi, kRdi };

// RFLAGS (SDM 1, 3.4.3).
inline constexpr u64 kCf = 1, kPf = 4, kAf = 0x10, kZf = 0x40, kSf = 0x80, kTf = 0x100, kIf = 0x200, kDf = 0x400,
                     kOf = 0x800, kNt = 0x4000, kRf = 0x10000, kAc = 0x40000, kId = 0x200000;
inline constexpr u64 kFlags = 2 | kIf;

inline constexpr u32 kDivideError = 0, kDebug = 1, kBreakpoint = 3, kInvalidOpcode = 6, kGeneralProtection = 13,
                     kPageFault = 14, kX87Error = 16, kAlignmentCheck = 17, kSimdError = 19;

// FXSAVE image (SDM 1, 10.5.1).
inline constexpr unsigned kFcw = 0, kFsw = 2, kTags = 4, kMxcsr = 24, kSt0 = 32, kXmm0 = 160;

inline constexpr u32 kCodeOffset = kPageBytes + 0x100;

/// INT3 where code may lie, a pattern without equal qwords elsewhere.
inline Pristine make_pristine() {
  Pristine bytes{};
  for (unsigned page = 0; page < kRegionPages; ++page) {
    const PageKind kind = kPageKinds[page];
    const bool code = kind == PageKind::kCode || kind == PageKind::kWritableCode;
    for (u32 i = 0; i < kPageBytes; ++i) {
      const u32 offset = static_cast<u32>(page * kPageBytes + i);
      bytes[offset] = static_cast<u8>(code ? 0xCC : offset / 8 >> (i % 8 * 4) ^ 0x5A);
    }
  }
  return bytes;
}

template <class T>
void put(u8* image, unsigned offset, T value) {
  std::memcpy(image + offset, &value, sizeof(value));
}
template <class T>
T get(const u8* image, unsigned offset) {
  T value;
  std::memcpy(&value, image + offset, sizeof(value));
  return value;
}

inline CaseGroup make_group(std::initializer_list<u8> code, Mode mode = Mode::kUser64, u32 offset = kCodeOffset) {
  CaseGroup group;
  group.native = true;
  group.form = "test";
  group.group.mode = mode;
  group.group.code_offset = offset;
  group.group.code_bytes = static_cast<u16>(code.size());
  std::ranges::copy(code, group.group.code);
  return group;
}

/// At the code's start, stack at the top of its pages, x87 and SSE at reset, registers distinct.
inline Case make_case(const CaseGroup& group) {
  Case input{};
  for (unsigned i = 0; i < 16; ++i) input.gpr[i] = 0x0101010101010101 * (i + 1);
  input.gpr[kRsp] = page_linear(kStackTopPage);
  input.rip = kRegion + group.group.code_offset;
  input.rflags = kFlags;
  put<u16>(input.fx, kFcw, 0x037F);
  put<u32>(input.fx, kMxcsr, 0x1F80);
  return input;
}

/// One runner for all tests of a program.
class NativeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    static const Result<std::unique_ptr<NativeRunner>> shared = NativeRunner::create();
    if (!shared) GTEST_SKIP() << shared.error().message;
    runner_ = shared.value().get();
  }

  std::vector<Outcome> run(const CaseGroup& group) {
    std::vector<Outcome> outcomes(group.cases.size());
    const Status status = runner_->run(group, pristine_, outcomes);
    EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
    return outcomes;
  }
  Outcome run(CaseGroup group, const Case& input) {
    group.cases = {input};
    return run(group).front();
  }

  u64 pristine_qword(u32 qword) const { return get<u64>(pristine_.data(), 8 * qword); }

  NativeRunner* runner_ = nullptr;
  Pristine pristine_ = make_pristine();
};

}  // namespace bhvm::oracle::test
