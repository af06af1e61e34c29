#include "vnet/link.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace bhvm {
namespace {

constexpr u64 kNsPerSecond = 1'000'000'000;
constexpr u64 kDelayMax_ns = 3600 * kNsPerSecond;
constexpr u64 kBandwidthMin_bps = 1000;
constexpr u64 kQueueMax_bytes = u64{1} << 30;

constexpr std::array<std::string_view, static_cast<std::size_t>(LinkDraw::kCount)> kDrawNames = {
    "loss", "corrupt", "corrupt-bit", "duplicate", "reorder", "reorder-delay", "jitter"};

/// A draw scaled to [0, bound): one draw, whatever the bound, so that streams stay in step; the bias is below 2^-30.
u64 scaled(u64 draw, u64 bound) { return static_cast<u64>((static_cast<u128>(draw) * bound) >> 64); }

bool happens(u64 draw, u32 chance_ppb) { return scaled(draw, LinkConfig::kCertain) < chance_ppb; }

/// How long `bytes` take at `bps`, rounded up.
u64 transmission_ns(u64 bytes, u64 bps) {
  return static_cast<u64>((static_cast<u128>(bytes) * 8 * kNsPerSecond + (bps - 1)) / bps);
}

/// How many bytes leave in `duration_ns` at `bps`, rounded up.
u64 bytes_in(u64 duration_ns, u64 bps) {
  constexpr u64 kNsBitsPerByte = 8 * kNsPerSecond;
  return static_cast<u64>((static_cast<u128>(duration_ns) * bps + (kNsBitsPerByte - 1)) / kNsBitsPerByte);
}

}  // namespace

Status validate(const LinkConfig& config) {
  if (config.latency_ns == 0) return Error{"A link's latency is 0; give at least 1 ns."};
  for (const auto& [name, value] : {std::pair{"latency", config.latency_ns},
                                    {"jitter", config.jitter_ns},
                                    {"reordering delay", config.reorder_delay_ns}}) {
    if (value > kDelayMax_ns) return Error{fmt::format("A link's {} is {} ns; give at most an hour.", name, value)};
  }
  for (const auto& [name, value] : {std::pair{"loss", config.loss_ppb},
                                    {"duplication", config.duplicate_ppb},
                                    {"reordering", config.reorder_ppb},
                                    {"corruption", config.corrupt_ppb}}) {
    if (value > LinkConfig::kCertain) {
      return Error{fmt::format("A link's probability of {} is more than 1; give a number from 0 to 1.", name)};
    }
  }
  if (config.bandwidth_bps != 0 && config.bandwidth_bps < kBandwidthMin_bps) {
    return Error{fmt::format("A link's bandwidth is {} bit/s; give at least {}, or 0 for no limit.",
                             config.bandwidth_bps, kBandwidthMin_bps)};
  }
  if (config.queue_bytes > kQueueMax_bytes) {
    return Error{fmt::format("A link's queue holds {} bytes; give at most 1 GiB.", config.queue_bytes)};
  }
  return success();
}

Link::Link(u64 seed, const std::string& name, const LinkConfig& config) {
  set_config(config);
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    streams_[i] = RandomStream(seed, 0, fmt::format("link/{}/{}", name, kDrawNames[i]));
  }
}

void Link::set_config(const LinkConfig& config) {
  BHVM_CHECK(validate(config).ok(), "a link was given a configuration that is out of range");
  state_.config = config;
}

std::vector<HeldFrame> Link::release() {
  state_.clogged = false;
  state_.held_bytes = 0;
  return std::exchange(state_.held, {});
}

Link::Draws Link::draw() {
  Draws draws;
  for (std::size_t i = 0; i < streams_.size(); ++i) draws.values[i] = streams_[i].next();
  return draws;
}

FrameLoss Link::carry(u64 time_ns, u64 packet_id, std::span<const u8> frame, std::vector<Arrival>& out) {
  ++state_.counters.frames;
  state_.counters.bytes += frame.size();
  if (!state_.clogged || state_.blocked) return resume(time_ns, frame, out);
  if (state_.held_bytes + frame.size() > state_.config.queue_bytes) {
    draw();
    ++state_.counters.overflowed;
    return FrameLoss::kOverflowed;
  }
  ++state_.counters.clogged;
  state_.held_bytes += frame.size();
  state_.held.push_back({packet_id, {frame.begin(), frame.end()}});
  return FrameLoss::kHeld;
}

FrameLoss Link::resume(u64 time_ns, std::span<const u8> frame, std::vector<Arrival>& out) {
  const LinkConfig& config = state_.config;
  const Draws draws = draw();
  if (state_.blocked) {
    ++state_.counters.blocked;
    return FrameLoss::kBlocked;
  }
  u64 departure_ns = time_ns;
  if (config.bandwidth_bps != 0) {
    const u64 start_ns = std::max(time_ns, state_.busy_until_ns);
    if (start_ns > time_ns && bytes_in(start_ns - time_ns, config.bandwidth_bps) + frame.size() > config.queue_bytes) {
      ++state_.counters.overflowed;
      return FrameLoss::kOverflowed;
    }
    departure_ns = start_ns + transmission_ns(frame.size(), config.bandwidth_bps);
    state_.busy_until_ns = departure_ns;
  }
  if (happens(draws[LinkDraw::kLoss], config.loss_ppb)) {  // on its way: it has taken its share of the bandwidth
    ++state_.counters.lost;
    return FrameLoss::kLost;
  }
  deliver(departure_ns, draws, frame, out);
  return FrameLoss::kNone;
}

void Link::deliver(u64 departure_ns, const Draws& draws, std::span<const u8> frame, std::vector<Arrival>& out) {
  const LinkConfig& config = state_.config;
  LinkCounters& counters = state_.counters;
  Arrival arrival;
  arrival.frame.assign(frame.begin(), frame.end());
  arrival.time_ns = departure_ns + config.latency_ns + scaled(draws[LinkDraw::kJitter], config.jitter_ns + 1);
  arrival.time_ns = std::max(arrival.time_ns, state_.last_arrival_ns);
  if (config.reorder_delay_ns != 0 && happens(draws[LinkDraw::kReorder], config.reorder_ppb)) {
    arrival.reordered = true;
    arrival.time_ns += 1 + scaled(draws[LinkDraw::kReorderDelay], config.reorder_delay_ns);
    ++counters.reordered;
  } else {
    state_.last_arrival_ns = arrival.time_ns;
  }
  const bool duplicated = happens(draws[LinkDraw::kDuplicate], config.duplicate_ppb);
  if (!frame.empty() && happens(draws[LinkDraw::kCorrupt], config.corrupt_ppb)) {
    const u64 bit = scaled(draws[LinkDraw::kCorruptBit], frame.size() * 8);
    arrival.frame[bit / 8] ^= static_cast<u8>(1U << (bit % 8));
    arrival.corrupted = true;
    ++counters.corrupted;
  }
  const u64 copies = duplicated ? 2 : 1;
  counters.duplicated += copies - 1;
  counters.delivered_frames += copies;
  counters.delivered_bytes += copies * frame.size();
  Arrival second{arrival.time_ns, false, true, arrival.reordered, {}};  // whole, and right behind the first
  out.push_back(std::move(arrival));
  if (!duplicated) return;
  second.frame.assign(frame.begin(), frame.end());
  out.push_back(std::move(second));
}

LinkState Link::state() const {
  LinkState state = state_;
  for (std::size_t i = 0; i < streams_.size(); ++i) state.streams[i] = streams_[i].state();
  return state;
}

void Link::set_state(const LinkState& state) {
  state_ = state;
  for (std::size_t i = 0; i < streams_.size(); ++i) streams_[i].state() = state.streams[i];
}

}  // namespace bhvm
