#include "cluster/horizon.h"

#include <algorithm>

#include "base/check.h"

namespace bhvm {
namespace {

u64 add(u64 a, u64 b) { return a > Horizons::kNever - b ? Horizons::kNever : a + b; }

}  // namespace

Horizons::Horizons(u32 nodes) : nodes_(nodes), distance_(std::size_t{nodes} * nodes, kNever) {}

void Horizons::set_latencies(std::span<const u64> latency_ns) {
  BHVM_CHECK(latency_ns.size() == distance_.size(), "a latency is needed for every link");
  const auto distance = [&](u32 from, u32 to) -> u64& { return distance_[std::size_t{to} * nodes_ + from]; };
  for (u32 from = 0; from < nodes_; ++from) {
    for (u32 to = 0; to < nodes_; ++to) {
      const u64 latency = latency_ns[std::size_t{from} * nodes_ + to];
      BHVM_CHECK(from == to || latency != 0, "a link without latency leaves no horizon");
      distance(from, to) = from == to ? kNever : latency;
    }
  }
  for (u32 via = 0; via < nodes_; ++via) {  // Floyd-Warshall; the way from a node to itself is a round trip
    for (u32 from = 0; from < nodes_; ++from) {
      for (u32 to = 0; to < nodes_; ++to) {
        distance(from, to) = std::min(distance(from, to), add(distance(from, via), distance(via, to)));
      }
    }
  }
}

void Horizons::compute(std::span<const u64> earliest_ns, std::span<u64> horizon_ns) const {
  for (u32 to = 0; to < nodes_; ++to) {
    u64 horizon = kNever;
    const u64* distance = &distance_[std::size_t{to} * nodes_];
    for (u32 from = 0; from < nodes_; ++from) horizon = std::min(horizon, add(earliest_ns[from], distance[from]));
    horizon_ns[to] = horizon;
  }
}

}  // namespace bhvm
