// Node: a machine's place in the cluster. It keeps the disks when the machine is dead, collects what the machine puts
// out with the time of each piece, and turns the faults under way into the machine's settings.
//
// run_until() may be called on any thread, for different nodes at once; everything else belongs to the cluster's
// thread. All times here are the machines' own: they count from power-on.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "cluster/cluster.h"
#include "cluster/fault_schedule.h"
#include "cluster/line_splitter.h"
#include "machine/machine.h"

namespace bhvm {

enum class OutputKind : u8 { kConsoleLine, kAgentLine, kFrame, kEnd };

/// One thing that a node put out.
struct NodeOutput {
  u64 time_ns = 0;
  OutputKind kind = OutputKind::kFrame;
  u32 offset = 0;  // into the bytes beside it
  u32 size = 0;
};

class Node {
 public:
  static constexpr u64 kNever = ~u64{0};

  Node(u32 index, const NodeScenario& config, u64 seed) : index_(index), config_(&config), seed_(seed) {}
  Node(Node&&) = delete;

  /// The node's machine comes to life: as a fork of a template, or by a cold boot.
  void power_on(std::unique_ptr<Machine> machine);
  /// The power cut. The disks stay here.
  void power_cut(u64 now_ns, const PowerCut& cut);
  std::vector<DiskImage> take_disks() { return std::move(disks_); }

  bool on() const { return machine_ != nullptr; }
  /// Has a machine that has not ended.
  bool alive() const { return machine_ != nullptr && !end_.has_value(); }
  Machine& machine() { return *machine_; }
  const std::optional<Stop>& end() const { return end_; }
  /// The first moment at which the node can do anything by itself.
  u64 earliest_ns() const;

  void run_until(u64 time_ns);
  /// The machine is at `time_ns`, so that something can be done to it there. REQUIRES: earliest_ns() >= time_ns.
  void bring_to(u64 time_ns);
  bool paused() const { return paused_; }
  /// Has halted, and no interrupt will ever wake it.
  bool is_stuck() const;

  /// Sends a line to the agent, as fast as the channel takes it.
  void tell_agent(const std::string& lines);
  /// Sends what is left of it. REQUIRES: the machine was brought to the present.
  void feed_agent();
  bool agent_waits() const { return !to_agent_.empty(); }

  void receive_frame(u64 time_ns, std::vector<u8> frame);
  /// A frame came while the node was not alive.
  void miss_frame() { ++past_.frames.down; }

  /// Sets the machine as the faults under way say.
  void apply_faults(const std::vector<ActiveFault>& active, u64 now_ns);
  void jump_clock(i64 delta_ns) { machine_->step_clock(delta_ns); }

  // ---- what it put out and nobody has taken yet, in order of time ----
  u64 output_ns() const { return next_output_ < outputs_.size() ? outputs_[next_output_].time_ns : kNever; }
  /// The first frame among it; kNever when there is none.
  u64 frame_ns() const;
  const NodeOutput& output() const { return outputs_[next_output_]; }
  std::span<const u8> output_bytes() const { return {bytes_.data() + output().offset, output().size}; }
  void pop_output();
  /// The unfinished console line becomes one, as of `time_ns`.
  void flush_console(u64 time_ns);
  /// The same if nothing has been added to it for a second: a prompt, say.
  void flush_stale_console(u64 time_ns);

  /// Notes whether the node was idle or put a line out since the last call; since when it did neither. (Frames do not
  /// count: its kernel may answer others while its programs turn in circles.)
  u64 busy_since_ns(u64 now_ns);

  Hash128 hash();
  /// A name for the machine's random streams: another one after each power-on.
  u64 machine_id() const { return u64{index_} | boots_ << 32; }
  u64 boots() const { return boots_; }
  u64 instructions() const;
  NodeStatistics statistics();

 private:
  void connect();
  void count_disks(std::vector<DiskCounters>& disks) const;
  void count_frames(NodeFrames& frames) const;
  void put(u64 time_ns, OutputKind kind, std::span<const u8> bytes);
  void put_line(u64 time_ns, OutputKind kind, const std::string& line);

  u32 index_;
  const NodeScenario* config_;
  u64 seed_;
  std::unique_ptr<Machine> machine_;
  std::vector<DiskImage> disks_;  // of a node that is down
  std::optional<Stop> end_;
  u64 boots_ = 0;
  std::string to_agent_;
  LineSplitter console_;
  u64 last_console_ns_ = 0;
  LineSplitter agent_;
  bool paused_ = false;
  u64 slow_ = 1;                // as the machine was told last
  u64 clock_rate_ = 1'000'000;  // parts per million

  std::vector<NodeOutput> outputs_;
  std::size_t next_output_ = 0;
  std::vector<u8> bytes_;
  u64 first_frame_ns_ = kNever;

  u64 seen_idle_ns_ = 0;
  u64 seen_lines_ = 0;
  u64 busy_since_ns_ = 0;
  u64 lines_put_ = 0;
  NodeStatistics past_;  // of its earlier lives, and counts
};

}  // namespace bhvm
