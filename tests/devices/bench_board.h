// What a chip under test is plugged into: a clock that the test moves, an event queue, lines that remember.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bus/line.h"
#include "devices/byte_sink.h"
#include "devices/machine_control.h"
#include "scheduler/event_port.h"

namespace bhvm {

/// Remembers levels and when each line rose.
class LineProbe final : public LineListener {
 public:
  explicit LineProbe(const VirtualClock& clock) : clock_(&clock) {}

  void set_line(u32 index, bool level) override {
    if (levels_.size() <= index) levels_.resize(index + 1);
    if (level && !levels_[index]) rises_.emplace_back(index, clock_->now_ns());
    levels_[index] = level;
  }
  Line line(u32 index) { return Line(*this, index); }
  bool level(u32 index) const { return index < levels_.size() && levels_[index]; }
  /// The times at which a line rose since the last call.
  std::vector<u64> take_rises(u32 index) {
    std::vector<u64> times;
    for (const auto& [line, time_ns] : rises_) {
      if (line == index) times.push_back(time_ns);
    }
    std::erase_if(rises_, [&](const auto& rise) { return rise.first == index; });
    return times;
  }
  friend bool operator==(const LineProbe& a, const LineProbe& b) {
    return a.levels_ == b.levels_ && a.rises_ == b.rises_;
  }

 private:
  const VirtualClock* clock_;
  std::vector<bool> levels_;
  std::vector<std::pair<u32, u64>> rises_;
};

class BenchBoard {
 public:
  static constexpr u32 kTarget = 7;

  EventPort events() { return EventPort(queue, clock, kTarget); }
  /// Of a clock chip.
  EventPort clock_events() { return EventPort(queue, clock, oscillator, kTarget); }
  u64 now_ns() const { return clock.now_ns(); }

  /// Goes to `time_ns`, giving `chip` each event at its time.
  template <class C>
  void advance_to(u64 time_ns, C& chip) {
    while (queue.next_time_ns() <= time_ns) {
      clock.idle_until(queue.next_time_ns());
      const Event event = *queue.pop_due(clock.now_ns());
      if constexpr (requires { chip.on_event(0, 0); }) chip.on_event(event.kind, event.argument);
    }
    clock.idle_until(time_ns);
  }
  template <class C>
  void advance(u64 ns, C& chip) {
    advance_to(now_ns() + ns, chip);
  }

  EventQueue queue;
  VirtualClock clock;
  Oscillator oscillator;
  LineProbe lines{clock};
};

class MachineLog final : public MachineControl {
 public:
  void power_off() override { log.emplace_back("power-off"); }
  void reset() override { log.emplace_back("reset"); }
  void exit(u8 status) override { log.push_back("exit " + std::to_string(status)); }
  void panicked(u8 events) override { log.push_back("panicked " + std::to_string(events)); }
  std::vector<std::string> log;
};

class TextSink final : public ByteSink {
 public:
  void write_bytes(std::span<const u8> bytes) override {
    for (const u8 byte : bytes) text.push_back(static_cast<char>(byte));
  }
  std::string text;
};

}  // namespace bhvm
