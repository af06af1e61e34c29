// What may differ between bhvm and an oracle, and why: one table.
//
// A row explains some bits of a difference for some instructions. It never hides a defined result: its condition is as
// narrow as the SDM's sentence, and a row that calls QEMU wrong is believed only where the host's own processor, if it
// ran the case, agrees with bhvm. A row that explains nothing in a whole run is a mistake, and a test fails for it.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "cpu/block_builder.h"
#include "oracle/compare/fields.h"
#include "oracle/compare/host.h"

namespace bhvm::oracle {

enum class Oracle : u8 { kQemu, kNative };

enum class MaskKind : u8 {
  kUndefined,  // the SDM leaves it undefined or to the implementation
  kVaries,     // legitimately different: time, processor identification, random numbers
  kQemuWrong,  // QEMU contradicts the SDM
  kHost,       // a user process cannot know it, or its kernel changed it
  kVendor,     // the host's vendor defines it otherwise than the SDM
};

using DecodedInstruction = Instruction;

/// All that a row may look at.
struct MaskContext {
  const CaseGroup& group;
  const Case& input;
  const Pristine& pristine;
  const Outcome& ours;
  const Outcome& theirs;
  Oracle oracle;
  /// The group's instructions in order, and the one that a row was chosen for.
  std::span<const DecodedInstruction> instructions;
  const DecodedInstruction* instruction = nullptr;
};

/// The bits of a difference that are explained.
using Explain = u64 (*)(const MaskContext& context, const Difference& difference);

struct MaskRow {
  std::string_view name;       // unique, for reports
  std::string_view mnemonics;  // as Zydis prints them, separated by blanks, "f*" for a beginning; "*": every case
  Oracle oracle;
  MaskKind kind;
  Explain explain;
  std::string_view why;
  std::string_view source;  // SDM volume and section, or what is known about QEMU
  Host host = Host::kAny;   // of a native row: the vendor whose processors show it
};

/// All rows, in the order in which they are tried.
std::span<const MaskRow> mask_table();
std::string_view to_string(MaskKind kind);
std::string_view to_string(Oracle oracle);

std::string_view to_string(Host host);

/// Does the row hold on a host of this vendor?
inline bool holds_on(const MaskRow& row, Host host) { return row.host == Host::kAny || row.host == host; }
/// Does the row's list of mnemonics hold this one?
bool matches(const MaskRow& row, std::string_view mnemonic);

// The parts of the table, by subject.
std::span<const MaskRow> general_masks();
std::span<const MaskRow> integer_masks();
std::span<const MaskRow> x87_masks();
std::span<const MaskRow> area_masks();
std::span<const MaskRow> sse_masks();
std::span<const MaskRow> masked_store_masks();
std::span<const MaskRow> system_masks();
std::span<const MaskRow> native_masks();
std::span<const MaskRow> amd_masks();

}  // namespace bhvm::oracle
