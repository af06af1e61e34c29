#include "oracle/lockstep/rules.h"

#include <algorithm>

#include "cpu/flags.h"

namespace bhvm::lockstep {
namespace {

constexpr RuleRow kRules[] = {
    {Rule::kInterrupt, "interrupt", "bhvm takes the vector that QEMU takes, before the same instruction",
     "there are no devices on bhvm's side; QEMU's interrupt controllers say when"},
    {Rule::kPrintedTwice, "printed-twice", "a state that repeats the one before is skipped",
     "QEMU prints before it looks whether it must leave its loop (a timer, a write to translated code), and again when "
     "it comes back"},
    {Rule::kRepIteration, "rep-iteration", "states inside a REP instruction are not compared, the one behind it is",
     "QEMU prints one for every element; an element count is no instruction boundary on bhvm"},
    {Rule::kRepInterrupted, "rep-interrupted", "bhvm does as many elements as QEMU had done when the interrupt came",
     "SDM 2, REP: interruptible between any two elements"},
    {Rule::kCpuid, "cpuid", "EAX, EBX, ECX, EDX are QEMU's", "the two processors call themselves differently"},
    {Rule::kTimeStamp, "time-stamp", "RDTSC, RDTSCP: EAX, EDX are QEMU's", "the two machines count time differently"},
    {Rule::kRandom, "random", "RDRAND, RDSEED: the register and the flags are QEMU's", "SDM 1, 7.3.17: random"},
    {Rule::kMsrRead, "msr-read", "RDMSR of a platform's register: EAX, EDX, or the #GP, are QEMU's",
     "model-specific (SDM 4); the registers that paging, segments and system calls depend on are compared"},
    {Rule::kMsrWrite, "msr-write", "WRMSR of a platform's register is not executed by bhvm, or raises QEMU's #GP",
     "model-specific (SDM 4); bhvm has no interrupt controller here"},
    {Rule::kPortRead, "port-read", "IN: the value is QEMU's", "bhvm has no devices here"},
    {Rule::kDeviceRead, "device-read",
     "a load from memory that is no RAM: the registers and status flags that the instruction writes are QEMU's",
     "bhvm has no devices here"},
    {Rule::kPriorityRead, "priority-read", "MOV from CR8: the value is QEMU's", "bhvm has no local APIC here"},
    {Rule::kShiftFlags, "shift-flags",
     "AF after SHL, SHR, SAR, SHLD, SHRD; OF too when the count is not 1; CF, OF and "
     "all others when the count exceeds the operand",
     "SDM 2, SAL/SAR/SHL/SHR, SHLD, SHRD: undefined"},
    {Rule::kRotateFlags, "rotate-flags", "OF after ROL, ROR, RCL, RCR when the count is not 1",
     "SDM 2, RCL/RCR/ROL/ROR: undefined"},
    {Rule::kLogicFlags, "logic-flags", "AF after AND, OR, XOR, TEST", "SDM 2, AND, OR, XOR, TEST: undefined"},
    {Rule::kMultiplyFlags, "multiply-flags", "SF, ZF, AF, PF after MUL, IMUL", "SDM 2, MUL, IMUL: undefined"},
    {Rule::kDivideFlags, "divide-flags", "all status flags after DIV, IDIV", "SDM 2, DIV, IDIV: undefined"},
    {Rule::kScanFlags, "scan-flags", "CF, OF, SF, AF, PF after BSF, BSR", "SDM 2, BSF, BSR: undefined"},
    {Rule::kBitTestFlags, "bit-test-flags", "OF, SF, AF, PF after BT, BTS, BTR, BTC",
     "SDM 2, BT, BTC, BTR, BTS: undefined"},
    {Rule::kCodeAccessed, "code-accessed", "the accessed bit of CS, in the register and in the descriptor in memory",
     "QEMU does not set it when a far transfer loads CS; processors do (SDM 3, 3.4.5.1)"},
    {Rule::kNullSegment, "null-segment",
     "of a segment register with a null selector only the selector is compared, and FS's "
     "and GS's base",
     "QEMU keeps SS present after a delivery and an IRET that load a null one; 64-bit mode looks at nothing "
     "but the selector (SDM 3, 3.4.4 and 6.14.4)"},
    {Rule::kTaskBusy, "task-busy", "the busy bit of TR's hidden type is not compared; in the descriptor it is",
     "QEMU's LTR takes the type before it marks the descriptor; the SDM marks first and loads what it marked (SDM 2, "
     "LTR)"},
    {Rule::kFpuPointers, "fpu-pointers", "FOP, FIP, FDP and their selectors are not compared",
     "QEMU's log does not show them"},
    {Rule::kFirmware, "firmware", "RAM from E0000H to FFFFFH is copied at the start and not compared",
     "QEMU's firmware lies over it"},
};
static_assert(std::size(kRules) == kRuleCount);

struct FlagRow {
  ZydisMnemonic mnemonic;
  u64 flags;  // undefined whatever the operands
  Rule rule;
};

using namespace rflags;
constexpr FlagRow kFlagRows[] = {
    {ZYDIS_MNEMONIC_AND, kAf, Rule::kLogicFlags},
    {ZYDIS_MNEMONIC_OR, kAf, Rule::kLogicFlags},
    {ZYDIS_MNEMONIC_XOR, kAf, Rule::kLogicFlags},
    {ZYDIS_MNEMONIC_TEST, kAf, Rule::kLogicFlags},
    {ZYDIS_MNEMONIC_MUL, kSf | kZf | kAf | kPf, Rule::kMultiplyFlags},
    {ZYDIS_MNEMONIC_IMUL, kSf | kZf | kAf | kPf, Rule::kMultiplyFlags},
    {ZYDIS_MNEMONIC_DIV, kArithmetic, Rule::kDivideFlags},
    {ZYDIS_MNEMONIC_IDIV, kArithmetic, Rule::kDivideFlags},
    {ZYDIS_MNEMONIC_BSF, kCf | kOf | kSf | kAf | kPf, Rule::kScanFlags},
    {ZYDIS_MNEMONIC_BSR, kCf | kOf | kSf | kAf | kPf, Rule::kScanFlags},
    {ZYDIS_MNEMONIC_BT, kOf | kSf | kAf | kPf, Rule::kBitTestFlags},
    {ZYDIS_MNEMONIC_BTS, kOf | kSf | kAf | kPf, Rule::kBitTestFlags},
    {ZYDIS_MNEMONIC_BTR, kOf | kSf | kAf | kPf, Rule::kBitTestFlags},
    {ZYDIS_MNEMONIC_BTC, kOf | kSf | kAf | kPf, Rule::kBitTestFlags},
};

}  // namespace

std::span<const RuleRow> rule_table() { return kRules; }

const RuleRow& row_of(Rule rule) {
  return *std::ranges::find_if(kRules, [rule](const RuleRow& row) { return row.rule == rule; });
}

UndefinedFlags undefined_flags(ZydisMnemonic mnemonic, const ShiftCount& shift) {
  const u64 count = shift.count & (shift.width == 64 ? 63 : 31);
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
      // SHL's and SHR's CF is undefined when the count reaches the operand's size.
      if (count == 0) return {};
      return {kAf | (count != 1 ? kOf : 0) | (count >= shift.width && mnemonic != ZYDIS_MNEMONIC_SAR ? kCf : 0),
              Rule::kShiftFlags};
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD:
      if (count == 0) return {};
      if (count > shift.width) return {kArithmetic, Rule::kShiftFlags};
      return {kAf | (count != 1 ? kOf : 0), Rule::kShiftFlags};
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
      return count > 1 ? UndefinedFlags{kOf, Rule::kRotateFlags} : UndefinedFlags{};
    default:
      break;
  }
  const auto* row = std::ranges::find_if(kFlagRows, [mnemonic](const FlagRow& r) { return r.mnemonic == mnemonic; });
  return row == std::end(kFlagRows) ? UndefinedFlags{} : UndefinedFlags{row->flags, row->rule};
}

bool msr_is_compared(u32 index) {
  constexpr u32 kCompared[] = {
      0x174,      0x175,      0x176,                   // IA32_SYSENTER_CS, ESP, EIP
      0x277,                                           // IA32_PAT
      0xC0000080,                                      // IA32_EFER
      0xC0000081, 0xC0000082, 0xC0000083, 0xC0000084,  // IA32_STAR, LSTAR, CSTAR, FMASK
      0xC0000100, 0xC0000101, 0xC0000102, 0xC0000103,  // IA32_FS_BASE, GS_BASE, KERNEL_GS_BASE, TSC_AUX
  };
  return std::ranges::find(kCompared, index) != std::end(kCompared);
}

}  // namespace bhvm::lockstep
