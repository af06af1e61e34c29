// Horizons: how far each node may run before it could miss a frame (conservative parallel simulation).
//
// A node j that can do nothing before `earliest_j` sends nothing before, and what it sends reaches node i, directly or
// through other nodes that it wakes, no sooner than after the least sum of latencies on a way from j to i. So node i is
// safe up to the least earliest_j + distance(j, i). A node's own frames can come back to it as an answer, hence the
// distance from a node to itself: its shortest round trip.
#pragma once

#include <span>
#include <vector>

#include "base/types.h"

namespace bhvm {

class Horizons {
 public:
  static constexpr u64 kNever = ~u64{0};

  explicit Horizons(u32 nodes);

  /// `latency_ns[from * nodes + to]`, all at least 1; those of a node to itself do not count.
  void set_latencies(std::span<const u64> latency_ns);

  /// For each node the time before which nothing can reach it; `earliest_ns[j]` is kNever for a node that does nothing
  /// until something reaches it.
  void compute(std::span<const u64> earliest_ns, std::span<u64> horizon_ns) const;

 private:
  u32 nodes_;
  std::vector<u64> distance_;  // [to * nodes + from]
};

}  // namespace bhvm
