// An outcome as a list of named 64-bit words, and how two outcomes differ.
#pragma once

#include <string>
#include <vector>

#include "base/types.h"
#include "oracle/case_group.h"

namespace bhvm::oracle {

enum class Field : u8 {
  kGpr,  // index: encoding order
  kRip,
  kRflags,
  kCr2,
  kFsBase,
  kGsBase,
  kVector,
  kErrorCode,
  kSelector,  // index: encoding order ES CS SS DS FS GS
  kPteChanged,
  kAccessed,
  kDirty,
  kX87Control,
  kX87Status,
  kX87Tag,  // the abridged tag of FXSAVE
  kX87Opcode,
  kX87Instruction,  // FIP
  kX87Data,         // FDP
  kMxcsr,
  kMxcsrMask,
  kX87Significand,  // index: ST(i) as FXSAVE orders them
  kX87Exponent,     // with the sign
  kXmm,             // index: 2 * register + half
  kMemory,          // index: qword of the region
  kMemoryHash,      // more changes than an outcome lists
  kSystem,          // index: 8-byte word of SystemOutcome
};

struct Difference {
  Field field{};
  u16 index = 0;
  u64 ours = 0;
  u64 theirs = 0;
  u64 bits() const { return ours ^ theirs; }
};

/// Appends what differs to `differences`.
void compare_outcomes(const Outcome& ours, const Outcome& theirs, const Pristine& pristine,
                      std::vector<Difference>& differences);
/// One word of an outcome. Of kMemory: the changed value, or the pristine one.
u64 word_of(const Outcome& outcome, const Pristine& pristine, Field field, u16 index);

struct Word {
  Field field{};
  u16 index = 0;
  u64 value = 0;
};
/// All words that are not zero, the memory changes behind the others.
std::vector<Word> words_of(const Outcome& outcome, const Pristine& pristine);

/// "rflags", "xmm3[127:64]", "mem[0x10008ff8]", "cr4".
std::string name_of(Field field, u16 index);
/// The words a person wants to see of an outcome: registers in hexadecimal, a vector by its mnemonic.
std::string describe(const Outcome& outcome);

}  // namespace bhvm::oracle
