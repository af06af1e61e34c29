// Timer jitter: how much later than programmed a timer interrupts.
//
// A real machine's timer interrupt meets the processor at another instruction every time. A deterministic one meets it
// at the same, and shows one interleaving of its threads for ever. With jitter the delay is drawn from a stream of its
// own, so another seed is another interleaving, and the same seed is the same.
#pragma once

#include "base/random_stream.h"

namespace bhvm {

struct TimerJitterState {
  u64 max_ns = 0;  // 0: none, and nothing is drawn
  RandomStreamState stream;
};

class TimerJitter {
 public:
  TimerJitter(u64 max_ns, const RandomStream& stream) : state_{max_ns, stream.state()} {}

  /// Nanoseconds in [0, max].
  u64 draw() {
    if (state_.max_ns == 0) return 0;
    RandomStream stream(state_.stream);
    const u64 delay_ns = state_.max_ns == ~u64{0} ? stream.next() : stream.below(state_.max_ns + 1);
    state_.stream = stream.state();
    return delay_ns;
  }
  void set_max(u64 max_ns) { state_.max_ns = max_ns; }
  void reseed(const RandomStream& stream) { state_.stream = stream.state(); }

  const TimerJitterState& state() const { return state_; }
  void set_state(const TimerJitterState& state) { state_ = state; }

 private:
  TimerJitterState state_;
};

}  // namespace bhvm
