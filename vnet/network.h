// The network between machines: one Ethernet segment, a switch with a port for each machine and a link of its own from
// every port to every other.
//
//   port i --> learning switch --> link (i -> j) for each port j the frame is meant for --> port j
//
// A frame goes to the port its destination address was last seen on, or, when it is a group address or was never seen,
// to all ports but its own. Nothing arrives sooner than the latency of its link, so machines may run apart by the
// smallest latency without a frame coming too late.
//
// All is plain data: the network knows no machine, no clock and no file. Frames are guest data and are taken as they
// come, of any length and content.
#pragma once

#include <string>
#include <vector>

#include "base/hash.h"
#include "vnet/learning_switch.h"
#include "vnet/link.h"
#include "vnet/network_observer.h"

namespace bhvm {

struct NetworkConfig {
  std::vector<std::string> ports;  // names, no two the same: they name the links' random streams
  LinkConfig link;                 // of all links, until set_link()
};

/// A frame that will come out of a port.
struct Delivery {
  u64 time_ns = 0;
  u32 port = 0;
  std::vector<u8> frame;
};

struct NetworkState {
  LearningSwitchState learning_switch;
  u64 next_packet_id = 0;
  u64 last_transmit_ns = 0;
  std::vector<LinkState> links;  // [from * ports + to]; those of a port to itself are never used
};

class Network {
 public:
  /// REQUIRES: validate(config.link) is ok.
  Network(NetworkConfig config, u64 seed);

  u32 ports() const { return static_cast<u32>(config_.ports.size()); }
  const std::string& port_name(u32 port) const { return config_.ports[port]; }

  /// A frame enters at a port; what comes out elsewhere is appended. REQUIRES: time_ns is not before that of the last
  /// call of transmit() or release().
  void transmit(u64 time_ns, u32 port, std::span<const u8> frame, std::vector<Delivery>& out);

  const LinkConfig& link(u32 from, u32 to) const { return at(from, to).config(); }
  /// From the next frame on. REQUIRES: validate(config) is ok; from != to, here and in all that follows.
  void set_link(u32 from, u32 to, const LinkConfig& config) { at(from, to).set_config(config); }
  /// A partition, in one direction. It has no memory: two partitions that overlap are for the caller to keep apart.
  void set_blocked(u32 from, u32 to, bool blocked) { at(from, to).set_blocked(blocked); }
  bool blocked(u32 from, u32 to) const { return at(from, to).blocked(); }
  /// From now on frames on the link wait, up to its queue's size, until release() lets them go in their order.
  void clog(u32 from, u32 to) { at(from, to).clog(); }
  bool clogged(u32 from, u32 to) const { return at(from, to).clogged(); }
  void release(u64 time_ns, u32 from, u32 to, std::vector<Delivery>& out);

  u64 latency_ns(u32 from, u32 to) const { return link(from, to).latency_ns; }
  /// Of all links; 2^64-1 when there are none.
  u64 minimum_latency_ns() const;

  const LinkCounters& counters(u32 from, u32 to) const { return at(from, to).counters(); }
  /// Frames that wait for the end of a clog.
  std::size_t waiting(u32 from, u32 to) const { return at(from, to).waiting(); }
  const LearningSwitchCounters& switch_counters() const { return switch_.counters(); }

  /// Who is told of every frame; may be null. Not state.
  void set_observer(NetworkObserver* observer) { observer_ = observer; }

  NetworkState state() const;
  /// An error when the state is of a network with another number of ports.
  Status set_state(const NetworkState& state);
  Hash128 hash() const;

 private:
  Link& at(u32 from, u32 to);
  const Link& at(u32 from, u32 to) const;
  /// What came of a frame on a link is reported, and what is in arrivals_ delivered.
  void finish(u64 time_ns, u64 packet_id, u32 from, u32 to, FrameLoss loss, std::vector<Delivery>& out);
  void advance(u64 time_ns);

  NetworkConfig config_;
  LearningSwitch switch_;
  std::vector<Link> links_;
  u64 next_packet_id_ = 0;
  u64 last_transmit_ns_ = 0;
  NetworkObserver* observer_ = nullptr;
  std::vector<Arrival> arrivals_;  // of one frame on one link
};

}  // namespace bhvm
