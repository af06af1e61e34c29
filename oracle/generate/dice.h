// Dice: random choices from one named stream. The same seed and the same questions give the same answers everywhere.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

#include "base/random_stream.h"
#include "base/types.h"

namespace bhvm::oracle {

class Dice {
 public:
  Dice(u64 seed, std::string_view purpose) : stream_(seed, 0, purpose) {}

  u64 bits() { return stream_.next(); }
  /// In [0, bound). The bias of a bound far below 2^32 does not matter for tests.
  u32 below(u32 bound) { return static_cast<u32>(((stream_.next() >> 32) * bound) >> 32); }
  /// In [first, last].
  i64 between(i64 first, i64 last) { return first + below(static_cast<u32>(last - first + 1)); }
  bool one_in(u32 n) { return below(n) == 0; }
  bool percent(u32 p) { return below(100) < p; }
  bool coin() { return (stream_.next() >> 63) != 0; }
  template <class T>
  const T& pick(std::span<const T> choices) {
    return choices[below(static_cast<u32>(choices.size()))];
  }
  template <class T, std::size_t n>
  const T& pick(const T (&choices)[n]) {
    return choices[below(static_cast<u32>(n))];
  }

 private:
  RandomStream stream_;
};

}  // namespace bhvm::oracle
