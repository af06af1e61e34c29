// Real guests on one network, without a cluster around them: the tests of what a link does to a kernel.
//
// Node i is machine i at port i, 10.0.0.(i + 1). All run in steps of the smallest latency, so no frame comes too late.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tests/end_to_end/guest.h"
#include "vnet/capture.h"
#include "vnet/network.h"

namespace bhvm::test {

class Lan {
 public:
  static constexpr u64 kSecond = 1'000'000'000;

  /// One guest for each command. Commands hold no double quotes.
  explicit Lan(const std::vector<std::string>& commands, const LinkConfig& link = {}, u64 seed = 0)
      : network_({names(commands.size()), link}, seed),
        consoles_(commands.size()),
        sent_(commands.size()),
        stops_(commands.size()) {
    for (std::size_t i = 0; i < commands.size(); ++i) {
      MachineConfig config = guest(commands[i], seed);
      config.machine_id = i;
      config.memory_bytes = u64{64} << 20;
      config.command_line += fmt::format(" bhvm.hostname=n{} bhvm.ip=10.0.0.{}/24", i, i + 1);
      config.network = NicConfig{.mac = {2, 0, 0, 0, 0, static_cast<u8>(i + 1)}};
      machines_.push_back(boot(config, consoles_[i]));
      machines_[i]->set_frame_output([this, i](u64 time_ns, std::span<const u8> frame) {
        sent_[i].push_back({time_ns, {frame.begin(), frame.end()}});
      });
    }
  }

  /// Steps are cut to this length, which is to change nothing.
  void set_longest_step(u64 duration_ns) { longest_step_ns_ = std::min(duration_ns, ~u64{0} / 2); }

  Network& network() { return network_; }
  Machine& machine(std::size_t node) { return *machines_[node]; }
  /// All that a node has written, without carriage returns.
  std::string console(std::size_t node) const {
    std::string text = consoles_[node];
    std::erase(text, '\r');
    return text;
  }
  u64 now_ns() const { return now_ns_; }
  LinkConfig link() const { return network_.link(0, 1); }
  /// Sets all links.
  void set_links(const LinkConfig& config) {
    each_link([&](u32 from, u32 to) { network_.set_link(from, to, config); });
  }
  template <class Visit>
  void each_link(Visit visit) {
    for (u32 from = 0; from < network_.ports(); ++from) {
      for (u32 to = 0; to < network_.ports(); ++to) {
        if (from != to) visit(from, to);
      }
    }
  }

  /// Runs to `time_ns`, or until `done()`, which is asked after every step; false when time was up first.
  bool run(u64 time_ns, const std::function<bool()>& done) {
    while (!done()) {
      if (now_ns_ >= time_ns) return false;
      step(std::min({time_ns, next_ns() + network_.minimum_latency_ns(), now_ns_ + longest_step_ns_}));
    }
    return true;
  }
  void run_for(u64 duration_ns) {
    run(now_ns_ + duration_ns, [] { return false; });
  }
  /// Until a node has written `text`.
  void run_to_text(std::size_t node, const std::string& text, u64 most_ns = 600 * kSecond) {
    EXPECT_TRUE(run(now_ns_ + most_ns, [&] { return consoles_[node].find(text) != std::string::npos; }))
        << "node " << node << " never wrote \"" << text << "\" but\n"
        << console(node);
  }
  /// Until a node's command has ended with status 0.
  void run_to_end(std::size_t node, u64 most_ns = 600 * kSecond) {
    EXPECT_TRUE(run(now_ns_ + most_ns, [&] { return ended(node); })) << "node " << node << " did not end:\n"
                                                                     << console(node);
    EXPECT_EQ(stops_[node], StopReason::kPowerOff) << console(node);
  }

  void release(u32 from, u32 to) {
    std::vector<Delivery> out;
    network_.release(now_ns_, from, to, out);
    deliver(std::move(out));
  }

  Hash128 hash() {
    std::vector<Hash128> parts{network_.hash()};
    for (const auto& machine : machines_) parts.push_back(machine->state_hash());
    return hash_bytes(parts.data(), parts.size() * sizeof(Hash128));
  }

 private:
  struct Sent {
    u64 time_ns = 0;
    std::vector<u8> frame;
  };

  static std::vector<std::string> names(std::size_t count) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(fmt::format("n{}", i));
    return out;
  }

  /// What cannot be continued, or only by the powers of a test.
  bool ended(std::size_t node) const { return stops_[node] >= StopReason::kPowerOff; }

  /// When the first machine could do something: idle time is skipped together.
  u64 next_ns() const {
    u64 next = ~u64{0} / 2;
    for (std::size_t node = 0; node < machines_.size(); ++node) {
      if (ended(node)) continue;
      const auto& machine = machines_[node];
      const CpuState& cpu = machine->cpu_state();
      const bool waits = cpu.halted && !(cpu.interrupt_line && machine->interrupts_enabled());
      next = std::min(next, waits ? machine->next_event_ns() : now_ns_);
    }
    return std::max(next, now_ns_);
  }

  void step(u64 time_ns) {
    RunLimits limits;
    limits.time_ns = time_ns;
    for (std::size_t node = 0; node < machines_.size(); ++node)
      stops_[node] = machines_[node]->run_until(limits).reason;
    now_ns_ = time_ns;
    std::multimap<std::pair<u64, u32>, std::vector<u8>> frames;  // by time and node, then as they were sent
    for (u32 node = 0; node < machines_.size(); ++node) {
      for (Sent& sent : sent_[node]) frames.emplace(std::pair(sent.time_ns, node), std::move(sent.frame));
      sent_[node].clear();
    }
    std::vector<Delivery> out;
    for (const auto& [key, frame] : frames) network_.transmit(key.first, key.second, frame, out);
    deliver(std::move(out));
  }

  void deliver(std::vector<Delivery> deliveries) {
    for (Delivery& delivery : deliveries) {
      machines_[delivery.port]->schedule_frame(delivery.time_ns, std::move(delivery.frame));
    }
  }

  Network network_;
  std::vector<std::string> consoles_;
  std::vector<std::vector<Sent>> sent_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::vector<StopReason> stops_;
  u64 now_ns_ = 0;
  u64 longest_step_ns_ = ~u64{0} / 2;
};

}  // namespace bhvm::test
