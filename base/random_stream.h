// Named streams of random numbers: all randomness in the machine comes from here.
//
// A stream is a function of (seed, machine, purpose) alone, so a new consumer with a purpose of its own shifts no other
// stream. The generator is xoshiro256** 1.0 (Blackman, Vigna); its whole state is a plain aggregate.
#pragma once

#include <array>
#include <string_view>

#include "base/types.h"

namespace bhvm {

struct RandomStreamState {
  std::array<u64, 4> s{};
};

class RandomStream {
 public:
  RandomStream() : RandomStream(0, 0, "unnamed") {}
  RandomStream(u64 seed, u64 machine, std::string_view purpose);
  /// Goes on where a stream with this state would.
  explicit RandomStream(const RandomStreamState& state) : state_(state) {}

  /// 64 uniformly distributed bits.
  u64 next();
  /// Uniform in [0, bound); `bound` is at least 1.
  u64 below(u64 bound);

  const RandomStreamState& state() const { return state_; }
  RandomStreamState& state() { return state_; }

 private:
  RandomStreamState state_;
};

}  // namespace bhvm
