// The text of QEMU 7.2's log with `-d cpu,int` (and `fpu`), one event at a time.
//
// The layout is that of QEMU 7.2.22. A line that does not fit is an error and never guessed at: a lockstep run that
// misreads its partner would be worth nothing.
#pragma once

#include <string_view>

#include "base/result.h"
#include "oracle/lockstep/qemu_state.h"

namespace bhvm::lockstep {

enum class EventKind : u8 {
  kState,      // the state before an instruction
  kException,  // an exception, a software or a hardware interrupt is about to be delivered: the state before that
};

struct LogEvent {
  EventKind kind = EventKind::kState;
  bool hardware = false;  // an interrupt from the interrupt controller
  bool software = false;  // INT n, INT3
  u8 vector = 0;
  u32 error_code = 0;
  QemuState state{};
};

/// More than any event's text: a parser that has so much and still wants more is looking at something else.
inline constexpr std::size_t kLongestEvent = 16384;

enum class ParseOutcome : u8 { kEvent, kNeedMore, kMalformed };

struct ParseResult {
  ParseOutcome outcome = ParseOutcome::kNeedMore;
  std::size_t used = 0;         // bytes of the event
  std::string_view bad_line{};  // of a malformed one
};

/// Reads the first event of `text`. `fpu`: the states before instructions have the lines of `-d fpu`.
ParseResult parse_event(std::string_view text, bool fpu, LogEvent& event);

}  // namespace bhvm::lockstep
