// Planted faults: known errors that show whether differential testing sees errors.
//
// Each is wrong in one corner of one instruction or access only. A build with the CMake option BHVM_PLANTED_FAULTS has
// all of them in it and `bhvm-diff --plant N` switches one on. In every other build planted() is a constant false and
// no code of them is left.
#pragma once

#include <array>
#include <string_view>

#include "base/types.h"

#if defined(BHVM_PLANTED_FAULTS)
#define BHVM_HAS_PLANTED_FAULTS 1
#else
#define BHVM_HAS_PLANTED_FAULTS 0
#endif

namespace bhvm {

enum class PlantedFault : u8 {
  kNone,
  // Integer instructions and flags.
  kAdcByteAuxiliaryCarry,
  kShlWordOverflow,
  kFlagsBeforeFault,
  kCmovUpperHalf,
  kCmpxchgByteFlags,
  kBtNegativeOffset,
  kImulWordOverflow,
  kLahfFixedBit,
  kDivOverflowBoundary,
  kDeadFlags,
  kRclByteCount,
  // Memory and paging.
  kAccessedOfDirtyPage,
  kAccessedOfDirectory,
  kDirtyOfSecondPage,
  kStackFaultVector,
  kSplitLoad,
  kWordAlignment,
  kFetchErrorCode,
  kReservedUserBit,
  // SSE.
  kTruncationEdge,
  kDenormalNotSticky,
  kStringIndexOfWords,
  kPshufbTopBit,
  // x87.
  kRoundedUpSingle,
  kAbridgedTag,
  // Strings.
  kRepCountAfterFault,
  kCmpsFlagsAfterFault,
  // System.
  kIretdNestedTask,
  kMovSsShadow,
  kStiShadow,
  kSyscallSavedFlags,
  kSyscallKeepsAc,
  kSegmentLimitGranularity,
  kEnd,
};

struct PlantedFaultInfo {
  PlantedFault fault;
  std::string_view name;
  std::string_view what;
};

inline constexpr std::array<PlantedFaultInfo, static_cast<std::size_t>(PlantedFault::kEnd) - 1> kPlantedFaults = {{
    {PlantedFault::kAdcByteAuxiliaryCarry, "adc-byte-af", "AF of an 8-bit ADC leaves the carry that comes in out"},
    {PlantedFault::kShlWordOverflow, "shl-word-of", "OF of a 16-bit SHL by 1 is clear when the sign becomes set"},
    {PlantedFault::kFlagsBeforeFault, "flags-before-fault", "INC, DEC, NEG and NOT change CF, then the page faults"},
    {PlantedFault::kCmovUpperHalf, "cmov-upper-half", "a 32-bit CMOV whose condition fails keeps the upper half"},
    {PlantedFault::kCmpxchgByteFlags, "cmpxchg-byte-flags", "8-bit CMPXCHG of registers compares the wrong way round"},
    {PlantedFault::kBtNegativeOffset, "bt-negative-offset", "a negative 16-bit bit offset of BT counts as unsigned"},
    {PlantedFault::kImulWordOverflow, "imul-word-cf", "16-bit IMUL misses an overflow that leaves 8000H"},
    {PlantedFault::kLahfFixedBit, "lahf-fixed-bit", "LAHF stores bit 1 as 0 while CF is clear"},
    {PlantedFault::kDivOverflowBoundary, "div-boundary", "16-bit DIV raises no #DE at the smallest quotient too large"},
    {PlantedFault::kDeadFlags, "dead-flags", "CF that only a 16-bit ADC or SBB reads is taken for dead"},
    {PlantedFault::kRclByteCount, "rcl-byte-count", "8-bit RCL by 9 rotates by 1"},
    {PlantedFault::kAccessedOfDirtyPage, "accessed-of-dirty", "A stays clear in an entry whose D is set"},
    {PlantedFault::kAccessedOfDirectory, "accessed-of-directory", "A of the page-directory entry is never set"},
    {PlantedFault::kDirtyOfSecondPage, "dirty-of-second-page", "a store across pages leaves D of the second one"},
    {PlantedFault::kStackFaultVector, "stack-fault-vector", "a non-canonical operand of the stack segment raises #GP"},
    {PlantedFault::kSplitLoad, "split-load",
     "a load of which one byte is in the first page reads the rest one byte on"},
    {PlantedFault::kWordAlignment, "word-alignment", "a misaligned operand of two bytes raises no #AC"},
    {PlantedFault::kFetchErrorCode, "fetch-error-code", "#PF of a fetch from a page that is not present lacks I/D"},
    {PlantedFault::kReservedUserBit, "reserved-user-bit", "#PF of a user's access to a reserved bit lacks U/S"},
    {PlantedFault::kTruncationEdge, "truncation-edge", "CVTTSx2SI of the most negative integer raises IE"},
    {PlantedFault::kDenormalNotSticky, "denormal-not-sticky", "MXCSR.DE is lost when another flag becomes set"},
    {PlantedFault::kStringIndexOfWords, "string-index", "PCMPxSTRI of words without a match returns 16"},
    {PlantedFault::kPshufbTopBit, "pshufb-top-bit", "PSHUFB of MMX registers takes 80H to 87H for indices"},
    {PlantedFault::kRoundedUpSingle, "rounded-up-single", "C1 is clear after rounding up at single precision"},
    {PlantedFault::kAbridgedTag, "abridged-tag", "FXSAVE gives an empty register 7 the tag of a valid one"},
    {PlantedFault::kRepCountAfterFault, "rep-count", "RCX is one too large after a fault in the middle of a REP"},
    {PlantedFault::kCmpsFlagsAfterFault, "cmps-flags", "a fault in the middle of REPE CMPS leaves new flags"},
    {PlantedFault::kIretdNestedTask, "iretd-nt", "IRETD does not load NT"},
    {PlantedFault::kMovSsShadow, "mov-ss-shadow", "MOV SS and POP SS cast no shadow"},
    {PlantedFault::kStiShadow, "sti-shadow", "STI casts no shadow when an interrupt waits"},
    {PlantedFault::kSyscallSavedFlags, "syscall-saved-flags", "SYSCALL masks AC before it saves the flags in R11"},
    {PlantedFault::kSyscallKeepsAc, "syscall-keeps-ac", "SYSCALL keeps an AC that IA32_FMASK clears"},
    {PlantedFault::kSegmentLimitGranularity, "lsl-granularity", "LSL of a limit in pages lacks its lowest 12 bits"},
}};

constexpr bool planted_faults_in_order() {
  for (std::size_t i = 0; i < kPlantedFaults.size(); ++i) {
    if (static_cast<std::size_t>(kPlantedFaults[i].fault) != i + 1) return false;
  }
  return true;
}
static_assert(planted_faults_in_order(), "a fault's number is its place in the table");

#if BHVM_HAS_PLANTED_FAULTS
/// The one that is on: configuration of the whole process, set once before any machine runs. The one variable of its
/// kind, in test builds only.
inline PlantedFault selected_planted_fault = PlantedFault::kNone;

inline bool planted(PlantedFault fault) { return fault == selected_planted_fault; }
#else
constexpr bool planted(PlantedFault) { return false; }
#endif

}  // namespace bhvm
