// The memory that the native runner shares with its child process, as both see it.
//
// One memfd: the runner's input, then what the child writes, then the case region. The child maps the input read-only,
// the output and a second view of the region writable at kArena, and the region's pages by their kinds at kRegion; next
// to its own image at kChildImage (child.ld) that is all its address space holds. Both numbers are far from each other,
// from the region, from what 32 bits reach and from the ends of the lower half.
//
// Over the socket one byte travels each way: the runner asks for a chunk to be run, the child says it is done.
//
// Freestanding: included by the child.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "oracle/protocol.h"

namespace bhvm::oracle::native {

inline constexpr uint64_t kChildImage = 0x2B6D5A396000;
inline constexpr uint64_t kArena = 0x3C9A74D2B000;

/// File descriptors of the child.
inline constexpr int kArenaDescriptor = 10;
inline constexpr int kSocketDescriptor = 11;

inline constexpr unsigned kChunkCases = 512;
inline constexpr unsigned kChunkGroups = 512;

/// Written by the runner while the child waits.
struct alignas(kPageBytes) Input {
  uint32_t group_count;
  uint32_t pristine_version;  // changes whenever `pristine` does
  uint32_t tick_us;           // CPU time; a case that is there at two ticks in a row hangs. Read when the child starts
  uint32_t reserved;
  Group groups[kChunkGroups];  // first_case and case_count refer to `cases`
  Case cases[kChunkCases];
  alignas(kPageBytes) uint8_t pristine[kRegionBytes];
};

/// Written by the child. Of Outcome::changes only the listed ones are valid.
struct alignas(kPageBytes) Output {
  uint64_t progress;  // counts ended cases, for as long as the child lives
  Outcome outcomes[kChunkCases];
};

struct Arena {
  Input input;
  Output output;
  alignas(kPageBytes) uint8_t region[kRegionBytes];
};

/// What the child sends once it is up, or where its set-up failed.
enum class Hello : uint8_t {
  kReady,
  kMap,              // mmap of the region or the arena
  kSignals,          // sigaltstack, rt_sigaction, setitimer
  kNoSystemCallNet,  // prctl(PR_SET_SYSCALL_USER_DISPATCH)
};

}  // namespace bhvm::oracle::native
