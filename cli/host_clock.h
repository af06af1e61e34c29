// The host's clocks, for what a run cost. Nothing that a guest sees depends on them.
#pragma once

#include <ctime>

namespace bhvm::cli {

inline double clock_s(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

inline double wall_clock_s() { return clock_s(CLOCK_MONOTONIC); }
inline double processor_clock_s() { return clock_s(CLOCK_PROCESS_CPUTIME_ID); }

}  // namespace bhvm::cli
