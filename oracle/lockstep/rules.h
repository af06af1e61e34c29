// What a lockstep run may take from QEMU or leave uncompared, and why: one table.
//
// Nothing outside this table is ever adopted. A rule counts what it was used for; flag rules count only where the two
// really differed.
#pragma once

#include <Zydis/Zydis.h>

#include <array>
#include <span>
#include <string_view>

#include "base/types.h"

namespace bhvm::lockstep {

enum class Rule : u8 {
  kInterrupt,
  kPrintedTwice,
  kRepIteration,
  kRepInterrupted,
  kCpuid,
  kTimeStamp,
  kRandom,
  kMsrRead,
  kMsrWrite,
  kPortRead,
  kDeviceRead,
  kPriorityRead,
  kShiftFlags,
  kRotateFlags,
  kLogicFlags,
  kMultiplyFlags,
  kDivideFlags,
  kScanFlags,
  kBitTestFlags,
  kCodeAccessed,
  kNullSegment,
  kTaskBusy,
  kFpuPointers,
  kFirmware,
  kCount,
};
inline constexpr std::size_t kRuleCount = static_cast<std::size_t>(Rule::kCount);

struct RuleRow {
  Rule rule;
  std::string_view name;    // unique, for reports
  std::string_view what;    // what happens
  std::string_view reason;  // with the source: SDM volume and section, or what QEMU does
};

std::span<const RuleRow> rule_table();
const RuleRow& row_of(Rule rule);

class RuleCounts {
 public:
  void count(Rule rule, u64 times = 1) { counts_[static_cast<std::size_t>(rule)] += times; }
  u64 of(Rule rule) const { return counts_[static_cast<std::size_t>(rule)]; }

 private:
  std::array<u64, kRuleCount> counts_{};
};

/// The status flags that the SDM leaves undefined after an instruction, and the rule that says so.
struct UndefinedFlags {
  u64 flags = 0;
  Rule rule = Rule::kCount;
};

/// Of a shift or rotation: its count before masking, and the operand's bits.
struct ShiftCount {
  u64 count = 0;
  unsigned width = 0;
};

UndefinedFlags undefined_flags(ZydisMnemonic mnemonic, const ShiftCount& shift);

/// Is the result of RDMSR and the effect of WRMSR bhvm's own affair, to be compared? The others belong to the
/// platform, and QEMU and bhvm have different ones.
bool msr_is_compared(u32 index);

}  // namespace bhvm::lockstep
