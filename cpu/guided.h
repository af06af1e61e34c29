// Guided dispatch: for hosts that forget soon where indirect jumps go, and know conditional ones well.
//
// The most frequent handlers exist once more, with another way on: the next op's handler is compared with the up to
// three that follow most often, each with a direct jump of its own, and what is none of them goes by one of two
// indirect jumps, so that each leads to half as many places. A conditional jump has two such ways. Which rows there
// are, and who follows whom, was counted (cpu/guided_rows.inc, bench/successors). Both kinds of handlers do the same
// work on the same ops, so nothing but speed depends on which a host gets (docs/PERFORMANCE.md).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "cpu/op.h"

namespace bhvm {

enum class Dispatch : u8 { kByJump, kGuided };

/// "jump" or "guided".
std::string_view name_of(Dispatch dispatch);

/// How this process dispatches: what suits the host, or what the environment's BHVM_DISPATCH names. Where this build or
/// the host has no guided handlers it is by jump, whatever that says. Decided once.
Dispatch dispatch();

/// A sentence if BHVM_DISPATCH names none; dispatch() takes what suits the host then.
std::optional<std::string> wrong_dispatch();

struct GuidedRow {
  Handler handler;
  Handler guided;
};

inline constexpr std::size_t kMostGuidedRows = 8192;

/// Empty where this build has none.
std::span<const GuidedRow> guided_rows();

/// Gives ops their guided handlers, where they have one. Data among the ops has nullptr or a block where they have it.
void guide_ops(std::span<Op> ops);

}  // namespace bhvm
