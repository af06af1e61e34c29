// A link: the wire from one port of the network to one other. The way back is a link of its own.
//
// A frame goes through a link as follows. It is dropped when the link is blocked (a partition) and waits when it is
// clogged. It waits for the frames before it when the bandwidth is limited, and is dropped when more would wait than
// the queue holds. Then it may be lost, changed in one bit, doubled, or held back behind later frames (reordered); what
// remains arrives `latency_ns` and a share of `jitter_ns` after its last bit has left. Jitter alone keeps the order.
//
// Deterministic: whatever is drawn comes from streams named after the link and the kind of fault, and every frame takes
// the same number of draws from each, whatever the configuration. So the fate of the n-th frame as to one kind does not
// depend on the others: a link that also loses frames still corrupts the same ones.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "base/random_stream.h"
#include "base/result.h"
#include "base/types.h"

namespace bhvm {

struct LinkConfig {
  static constexpr u32 kCertain = 1'000'000'000;  // probabilities are in parts per billion

  u64 latency_ns = 100'000;  // at least 1
  u64 jitter_ns = 0;         // the most that is added to the latency of a frame
  u32 loss_ppb = 0;
  u32 duplicate_ppb = 0;
  u32 reorder_ppb = 0;
  u32 corrupt_ppb = 0;
  u64 reorder_delay_ns = 1'000'000;   // the most by which a reordered frame is late
  u64 bandwidth_bps = 1'000'000'000;  // bits of frames a second; 0: without limit
  u64 queue_bytes = u64{1} << 20;     // that may wait for the bandwidth, or while the link is clogged
  bool operator==(const LinkConfig&) const = default;
};

/// An error that names the field when a value is out of its range.
Status validate(const LinkConfig& config);

/// What became of the frames offered to a link:
/// frames = delivered_frames - duplicated + lost + blocked + overflowed + waiting().
struct LinkCounters {
  u64 frames = 0;
  u64 bytes = 0;
  u64 delivered_frames = 0;  // duplicates counted
  u64 delivered_bytes = 0;
  u64 blocked = 0;     // dropped by a partition
  u64 clogged = 0;     // held because the link was clogged; most of them are delivered later
  u64 overflowed = 0;  // dropped because the queue was full
  u64 lost = 0;
  u64 corrupted = 0;
  u64 duplicated = 0;
  u64 reordered = 0;
  bool operator==(const LinkCounters&) const = default;
};

/// A frame that waits for the end of a clog.
struct HeldFrame {
  u64 packet_id = 0;
  std::vector<u8> bytes;
};

enum class LinkDraw : u8 { kLoss, kCorrupt, kCorruptBit, kDuplicate, kReorder, kReorderDelay, kJitter, kCount };

struct LinkState {
  LinkConfig config;
  bool blocked = false;
  bool clogged = false;
  u64 busy_until_ns = 0;        // when the last bit of the frames under way has left
  u64 last_arrival_ns = 0;      // of the frames that keep the order
  std::vector<HeldFrame> held;  // oldest first
  u64 held_bytes = 0;
  LinkCounters counters;
  std::array<RandomStreamState, static_cast<std::size_t>(LinkDraw::kCount)> streams;
};

/// Why a frame did not get through a link.
enum class FrameLoss : u8 { kNone, kHeld, kBlocked, kOverflowed, kLost };

/// A frame on its way out of a link.
struct Arrival {
  u64 time_ns = 0;
  bool corrupted = false;
  bool duplicate = false;  // the second copy
  bool reordered = false;
  std::vector<u8> frame;
};

class Link {
 public:
  /// `name` tells the links of a seed apart.
  Link(u64 seed, const std::string& name, const LinkConfig& config);

  /// A frame enters at `time_ns`; what arrives is appended. Says why when nothing does.
  FrameLoss carry(u64 time_ns, u64 packet_id, std::span<const u8> frame, std::vector<Arrival>& out);
  /// A frame that release() gave goes on.
  FrameLoss resume(u64 time_ns, std::span<const u8> frame, std::vector<Arrival>& out);

  const LinkConfig& config() const { return state_.config; }
  /// From the next frame on; those under way are not touched. REQUIRES: validate(config) is ok.
  void set_config(const LinkConfig& config);
  bool blocked() const { return state_.blocked; }
  void set_blocked(bool blocked) { state_.blocked = blocked; }
  bool clogged() const { return state_.clogged; }
  void clog() { state_.clogged = true; }
  /// Ends a clog; the frames that were held are the caller's, who gives them to resume(), oldest first.
  std::vector<HeldFrame> release();

  const LinkCounters& counters() const { return state_.counters; }
  std::size_t waiting() const { return state_.held.size(); }
  LinkState state() const;
  void set_state(const LinkState& state);

 private:
  struct Draws {
    std::array<u64, static_cast<std::size_t>(LinkDraw::kCount)> values;
    u64 operator[](LinkDraw draw) const { return values[static_cast<std::size_t>(draw)]; }
  };

  void deliver(u64 departure_ns, const Draws& draws, std::span<const u8> frame, std::vector<Arrival>& out);
  Draws draw();

  LinkState state_;  // but for the streams
  std::array<RandomStream, static_cast<std::size_t>(LinkDraw::kCount)> streams_;
};

}  // namespace bhvm
