// What a process must not or cannot run.
#include <algorithm>
#include <cstring>

#include "oracle/native/native_runner.h"

namespace bhvm::oracle {
namespace {

// What leaves the process: INT 80H, SYSCALL, SYSENTER; VMCALL and VMMCALL, which a hypervisor answers.
constexpr std::string_view kCallsOut[] = {"\xCD\x80", "\x0F\x05", "\x0F\x34", "\x0F\x01\xC1", "\x0F\x01\xD9"};

// RFLAGS that a process can have: all but IOPL, VM, VIF and VIP; IF is always set.
constexpr u64 kInterruptFlag = 1 << 9;
constexpr u64 kProcessFlags = 0x00254FD7 | kInterruptFlag;
constexpr u64 kAlwaysSet = 2 | kInterruptFlag;

constexpr u64 kLowerHalfEnd = u64{1} << 47;
constexpr u32 kMxcsrBits = 0xFFFF;
constexpr std::size_t kMxcsrOffset = 24;

constexpr bool canonical(u64 address) { return address + kLowerHalfEnd < 2 * kLowerHalfEnd; }

/// At any byte, so that a jump into the middle of an instruction cannot call either.
bool calls_out(const Group& group) {
  const std::size_t bytes = std::min<std::size_t>(group.code_bytes, kMaxCode);
  const std::string_view code(reinterpret_cast<const char*>(group.code), bytes);
  return std::ranges::any_of(kCallsOut, [&](std::string_view call) { return code.find(call) != code.npos; });
}

}  // namespace

std::optional<std::string_view> NativeRunner::refusal(const CaseGroup& group) {
  const Group& code = group.group;
  if (!group.native) return "the group is not marked as native";
  if (code.mode != Mode::kUser64 && code.mode != Mode::kUser32) return "a process runs at CPL 3 only";
  if (calls_out(code)) return "the code holds INT 80H, SYSCALL, SYSENTER, VMCALL or VMMCALL";
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
