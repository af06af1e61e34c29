#include "vnet/network.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "state/hash_state.h"

namespace bhvm {

Network::Network(NetworkConfig config, u64 seed)
    : config_(std::move(config)), switch_(static_cast<u32>(config_.ports.size())) {
  links_.reserve(config_.ports.size() * config_.ports.size());
  for (const std::string& from : config_.ports) {
    for (const std::string& to : config_.ports) links_.emplace_back(seed, fmt::format("{}/{}", from, to), config_.link);
  }
}

Link& Network::at(u32 from, u32 to) {
  BHVM_CHECK(from < ports() && to < ports() && from != to, "there is no such link in the network");
  return links_[std::size_t{from} * ports() + to];
}

const Link& Network::at(u32 from, u32 to) const {
  BHVM_CHECK(from < ports() && to < ports() && from != to, "there is no such link in the network");
  return links_[std::size_t{from} * ports() + to];
}

void Network::advance(u64 time_ns) {
  BHVM_CHECK(time_ns >= last_transmit_ns_, "a frame was given to the network after a later one");
  last_transmit_ns_ = time_ns;
}

void Network::transmit(u64 time_ns, u32 port, std::span<const u8> frame, std::vector<Delivery>& out) {
  BHVM_CHECK(port < ports(), "a frame came from a port that the network does not have");
  advance(time_ns);
  const u64 packet_id = next_packet_id_++;
  if (observer_ != nullptr) observer_->frame_sent(time_ns, port, packet_id, frame);
  for (const u32 to : switch_.forward(port, frame)) {
    const FrameLoss loss = at(port, to).carry(time_ns, packet_id, frame, arrivals_);
    finish(time_ns, packet_id, port, to, loss, out);
  }
}

void Network::release(u64 time_ns, u32 from, u32 to, std::vector<Delivery>& out) {
  advance(time_ns);
  Link& link = at(from, to);
  for (const HeldFrame& held : link.release()) {
    const FrameLoss loss = link.resume(time_ns, held.bytes, arrivals_);
    finish(time_ns, held.packet_id, from, to, loss, out);
  }
}

void Network::finish(u64 time_ns, u64 packet_id, u32 from, u32 to, FrameLoss loss, std::vector<Delivery>& out) {
  if (loss != FrameLoss::kNone && observer_ != nullptr) observer_->frame_dropped(time_ns, from, to, packet_id, loss);
  for (Arrival& arrival : arrivals_) {
    if (observer_ != nullptr) observer_->frame_arrives(from, to, packet_id, arrival);
    out.push_back({arrival.time_ns, to, std::move(arrival.frame)});
  }
  arrivals_.clear();
}

u64 Network::minimum_latency_ns() const {
  u64 least = ~u64{0};
  for (u32 from = 0; from < ports(); ++from) {
    for (u32 to = 0; to < ports(); ++to) {
      if (from != to) least = std::min(least, latency_ns(from, to));
    }
  }
  return least;
}

NetworkState Network::state() const {
  NetworkState state;
  state.learning_switch = switch_.state();
  state.next_packet_id = next_packet_id_;
  state.last_transmit_ns = last_transmit_ns_;
  state.links.reserve(links_.size());
  for (const Link& link : links_) state.links.push_back(link.state());
  return state;
}

Status Network::set_state(const NetworkState& state) {
  if (state.links.size() != links_.size()) {
    return Error{fmt::format("The state is of a network with {} links and this one has {}; give the same nodes.",
                             state.links.size(), links_.size())};
  }
  switch_.set_state(state.learning_switch);
  next_packet_id_ = state.next_packet_id;
  last_transmit_ns_ = state.last_transmit_ns;
  for (std::size_t i = 0; i < links_.size(); ++i) links_[i].set_state(state.links[i]);
  return success();
}

Hash128 Network::hash() const { return hash_state(state()); }

}  // namespace bhvm
