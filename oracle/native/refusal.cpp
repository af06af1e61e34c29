// What a process must not or cannot run.
#include <algorithm>
#include <array>
#include <cstring>

#include "oracle/native/native_runner.h"

namespace bhvm::oracle {
namespace {

// INT 80H, SYSCALL, SYSENTER.
constexpr std::array<std::array<u8, 2>, 3> kSystemCalls = {{{0xCD, 0x80}, {0x0F, 0x05}, {0x0F, 0x34}}};

// RFLAGS that a process can have: all but IOPL, VM, VIF and VIP; IF is always set.
constexpr u64 kInterruptFlag = 1 << 9;
constexpr u64 kProcessFlags = 0x00254FD7 | kInterruptFlag;
constexpr u64 kAlwaysSet = 2 | kInterruptFlag;

constexpr u64 kLowerHalfEnd = u64{1} << 47;
constexpr u32 kMxcsrBits = 0xFFFF;
constexpr std::size_t kMxcsrOffset = 24;

constexpr bool canonical(u64 address) { return address + kLowerHalfEnd < 2 * kLowerHalfEnd; }

/// At any byte, so that a jump into the middle of an instruction cannot call the kernel either.
bool calls_the_kernel(std::span<const u8> code) {
  return std::ranges::any_of(kSystemCalls,
                             [&](const std::array<u8, 2>& call) { return !std::ranges::search(code, call).empty(); });
}

}  // namespace

std::optional<std::string_view> NativeRunner::refusal(const CaseGroup& group) {
  const Group& code = group.group;
  if (!group.native) return "the group is not marked as native";
  if (code.mode != Mode::kUser64 && code.mode != Mode::kUser32) return "a process runs at CPL 3 only";
  const std::size_t bytes = std::min<std::size_t>(code.code_bytes, kMaxCode);
  if (calls_the_kernel({code.code, bytes})) return "the code holds INT 80H, SYSCALL or SYSENTER";
  return std::nullopt;
}

std::optional<std::string_view> NativeRunner::refusal(const CaseGroup& group, const Case& input) {
  if (const auto reason = refusal(group)) return reason;
  const bool wide = group.group.mode == Mode::kUser64;
  if (input.step_count != 0) return "a process takes no system steps";
  if (input.cs != 0 && input.cs != (wide ? kUserCode64 : kUserCode32)) return "CS is not the mode's";
  if (input.ss != 0 && input.ss != kUserData) return "SS is not a process's";
  if ((input.rflags & ~kProcessFlags) != 0) return "RFLAGS has IOPL, VM, VIF, VIP or a reserved bit set";
  if ((input.rflags & kAlwaysSet) != kAlwaysSet) return "RFLAGS has IF or bit 1 clear";
  if (!canonical(input.fs_base) || !canonical(input.gs_base)) return "a segment base is not canonical";
  if (input.rip >= (wide ? kLowerHalfEnd : u64{1} << 32)) return "RIP lies above the process";
  u32 mxcsr = 0;
  std::memcpy(&mxcsr, input.fx + kMxcsrOffset, sizeof(mxcsr));
  if ((mxcsr & ~kMxcsrBits) != 0) return "MXCSR has a reserved bit set";
  return std::nullopt;
}

}  // namespace bhvm::oracle
