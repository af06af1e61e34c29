#include "cluster/node.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "state/hash_state.h"

namespace bhvm {
namespace {

constexpr u64 kStale_ns = 1'000'000'000;
constexpr u32 kPpbPerPpm = 1000;
constexpr i64 kMillion = 1'000'000;

u32 add_ppm(u32 a, u32 ppb) { return std::min(kPartsPerMillion, a + ppb / kPpbPerPpm); }

}  // namespace

void Node::connect() {
  Machine& machine = *machine_;
  machine.set_console_output([this](std::span<const u8> bytes) {
    console_.feed(bytes,
                  [this](const std::string& line) { put_line(machine_->now_ns(), OutputKind::kConsoleLine, line); });
    last_console_ns_ = machine_->now_ns();
  });
  machine.set_agent_output([this](std::span<const u8> bytes) {
    agent_.feed(bytes, [this](const std::string& line) { put_line(machine_->now_ns(), OutputKind::kAgentLine, line); });
  });
  machine.set_frame_output([this](u64 time_ns, std::span<const u8> frame) { put(time_ns, OutputKind::kFrame, frame); });
}

void Node::power_on(std::unique_ptr<Machine> machine) {
  BHVM_CHECK(machine_ == nullptr, "a node has two machines");
  machine_ = std::move(machine);
  machine_->reseed(seed_, machine_id());
  ++boots_;
  end_.reset();
  to_agent_.clear();
  agent_ = {};
  paused_ = false;
  slow_ = 1;
  clock_rate_ = kMillion;
  machine_->set_cpu_rate(config_->rate_numerator, config_->rate_denominator);
  seen_idle_ns_ = machine_->statistics().idle_ns;
  busy_since_ns_ = machine_->now_ns();
  past_.instructions -= machine_->instructions();  // those of the template were not this node's
  past_.idle_ns -= seen_idle_ns_;
  connect();
}

void Node::power_cut(u64 now_ns, const PowerCut& cut) {
  BHVM_CHECK(machine_ != nullptr, "a node that is down loses power");
  flush_console(now_ns);
  const MachineStatistics statistics = machine_->statistics();
  past_.instructions += statistics.instructions;
  past_.idle_ns += statistics.idle_ns;
  count_disks(past_.disks);
  count_frames(past_.frames);
  past_.frames.down += std::exchange(past_.frames.under_way, 0) + std::exchange(past_.frames.waiting, 0);
  machine_->power_cut(cut);
  disks_ = machine_->take_disks();
  machine_.reset();
  end_.reset();
}

u64 Node::earliest_ns() const { return alive() ? machine_->earliest_action_ns() : kNever; }

void Node::run_until(u64 time_ns) {
  const Stop stop = machine_->run_until({.time_ns = time_ns});
  if (stop.reason == StopReason::kTimeLimit || stop.reason == StopReason::kHaltedForever) return;
  end_ = stop;
  put(machine_->now_ns(), OutputKind::kEnd, {});
}

void Node::bring_to(u64 time_ns) {
  if (!alive()) return;
  run_until(time_ns);
  if (alive() && machine_->now_ns() < time_ns)
    machine_->idle_until(time_ns);  // nothing will wake it: it idles all the same
}

bool Node::is_stuck() const {
  return alive() && !paused_ && machine_->earliest_action_ns() == kNever && !machine_->interrupts_enabled();
}

void Node::tell_agent(const std::string& lines) {
  to_agent_ += lines;
  feed_agent();
}

void Node::feed_agent() {
  if (to_agent_.empty() || !alive()) return;
  const std::size_t taken = machine_->agent_input(
      {reinterpret_cast<const u8*>(to_agent_.data()), std::min(to_agent_.size(), machine_->agent_input_room())});
  to_agent_.erase(0, taken);
}

void Node::receive_frame(u64 time_ns, std::vector<u8> frame) {
  if (!alive()) return;
  ++past_.frames_received;
  // A machine whose instructions take more than a nanosecond may stand a few behind its limit.
  machine_->schedule_frame(std::max(time_ns, machine_->now_ns()), std::move(frame));
}

void Node::apply_faults(const std::vector<ActiveFault>& active, u64 now_ns) {
  u64 slow = 1;
  i64 clock_ppm = 0;
  bool paused = false;
  std::vector<DiskFaults> disks(machine_->config().disks.size());
  for (const ActiveFault& fault : active) {
    if (std::ranges::find(fault.nodes, index_) == fault.nodes.end()) continue;
    const FaultStrength& strength = fault.strength;
    if (fault.kind == FaultKind::kPause) paused = true;
    if (fault.kind == FaultKind::kSlowCpu) slow *= strength.slow_factor;
    if (fault.kind == FaultKind::kClockRate) clock_ppm += strength.clock_rate_ppm;
    for (u32 i = 0; i < disks.size(); ++i) {
      if (fault.disk != kNoNode && fault.disk != i) continue;
      DiskFaults& disk = disks[i];
      if (fault.kind == FaultKind::kDiskError) {
        if (strength.on_read) disk.read_error_ppm = add_ppm(disk.read_error_ppm, strength.probability_ppb);
        if (strength.on_write) disk.write_error_ppm = add_ppm(disk.write_error_ppm, strength.probability_ppb);
        if (strength.on_flush) disk.flush_error_ppm = add_ppm(disk.flush_error_ppm, strength.probability_ppb);
      }
      if (fault.kind == FaultKind::kDiskLatency) {
        disk.latency_ns += strength.latency_ns;
        disk.jitter_ns += strength.jitter_ns;
      }
    }
  }
  const u64 clock_rate = static_cast<u64>(std::max<i64>(1, kMillion + clock_ppm));
  if (slow != slow_) machine_->set_cpu_rate(config_->rate_numerator * slow, config_->rate_denominator);
  if (clock_rate != clock_rate_) machine_->set_clock_rate(clock_rate, kMillion);
  slow_ = slow;
  clock_rate_ = clock_rate;
  if (paused != paused_) machine_->pause_until(paused ? kNever : now_ns);
  paused_ = paused;
  for (std::size_t i = 0; i < disks.size(); ++i) machine_->set_disk_faults(i, disks[i]);
}

// ---- output ----

void Node::put(u64 time_ns, OutputKind kind, std::span<const u8> bytes) {
  if (kind != OutputKind::kFrame) ++lines_put_;
  if (kind == OutputKind::kFrame) {
    ++past_.frames_sent;
    if (first_frame_ns_ == kNever) first_frame_ns_ = time_ns;
  }
  if (kind == OutputKind::kConsoleLine) ++past_.console_lines;
  outputs_.push_back({time_ns, kind, static_cast<u32>(bytes_.size()), static_cast<u32>(bytes.size())});
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

void Node::put_line(u64 time_ns, OutputKind kind, const std::string& line) {
  put(time_ns, kind, {reinterpret_cast<const u8*>(line.data()), line.size()});
}

void Node::flush_console(u64 time_ns) {
  if (!console_.pending()) return;
  if (!outputs_.empty()) time_ns = std::max(time_ns, outputs_.back().time_ns);
  console_.flush([&](const std::string& line) { put_line(time_ns, OutputKind::kConsoleLine, line); });
}

void Node::flush_stale_console(u64 time_ns) {
  if (console_.pending() && last_console_ns_ + kStale_ns <= time_ns) flush_console(time_ns);
}

u64 Node::frame_ns() const { return first_frame_ns_; }

void Node::pop_output() {
  const bool was_frame = output().kind == OutputKind::kFrame;
  ++next_output_;
  if (next_output_ == outputs_.size()) {
    outputs_.clear();
    bytes_.clear();
    next_output_ = 0;
    first_frame_ns_ = kNever;
    return;
  }
  if (!was_frame) return;
  first_frame_ns_ = kNever;
  for (std::size_t i = next_output_; i < outputs_.size() && first_frame_ns_ == kNever; ++i) {
    if (outputs_[i].kind == OutputKind::kFrame) first_frame_ns_ = outputs_[i].time_ns;
  }
}

u64 Node::busy_since_ns(u64 now_ns) {
  const u64 idle_ns = alive() ? machine_->statistics().idle_ns : 0;
  if (!alive() || paused_ || idle_ns != seen_idle_ns_ || lines_put_ != seen_lines_) busy_since_ns_ = now_ns;
  seen_idle_ns_ = idle_ns;
  seen_lines_ = lines_put_;
  return busy_since_ns_;
}

// ---- reports ----

Hash128 Node::hash() {
  if (machine_ != nullptr) return machine_->state_hash();
  std::vector<Hash128> parts;
  for (DiskImage& disk : disks_) {
    const Result<Hash128> hash = disk.hash();
    parts.push_back(hash ? hash.value() : Hash128{});
  }
  return hash_bytes(parts.data(), parts.size() * sizeof(Hash128), boots_);
}

u64 Node::instructions() const { return past_.instructions + (machine_ != nullptr ? machine_->instructions() : 0); }

void Node::count_disks(std::vector<DiskCounters>& disks) const {
  const std::vector<VirtioBlkState> now = machine_->state().virtio.disks;
  disks.resize(now.size());
  for (std::size_t i = 0; i < now.size(); ++i) {
    disks[i].reads += now[i].counters.reads;
    disks[i].writes += now[i].counters.writes;
    disks[i].flushes += now[i].counters.flushes;
    disks[i].read_bytes += now[i].counters.read_bytes;
    disks[i].written_bytes += now[i].counters.written_bytes;
    disks[i].errors += now[i].counters.errors;
    disks[i].delayed += now[i].counters.delayed;
  }
}

void Node::count_frames(NodeFrames& frames) const {
  const NetworkStatistics now = machine_->network_statistics();
  frames.card += now.card;
  frames.under_way += now.under_way;
  frames.waiting += now.waiting;
  // No guest will take them any more.
  if (!alive()) frames.down += std::exchange(frames.under_way, 0) + std::exchange(frames.waiting, 0);
}

NodeStatistics Node::statistics() {
  NodeStatistics statistics = past_;
  statistics.boots = boots_;
  if (machine_ != nullptr) {
    const MachineStatistics now = machine_->statistics();
    statistics.instructions += now.instructions;
    statistics.idle_ns += now.idle_ns;
    count_disks(statistics.disks);
    count_frames(statistics.frames);
    statistics.memory_pages = machine_->memory().usage().own_pages;
  }
  return statistics;
}

}  // namespace bhvm
