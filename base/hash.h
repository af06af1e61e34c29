// The 128-bit hash that judges whether two machines are the same (XXH3-128).
#pragma once

#include <compare>
#include <cstddef>
#include <string>

#include "base/types.h"

namespace bhvm {

struct Hash128 {
  u64 low = 0;
  u64 high = 0;
  friend constexpr auto operator<=>(const Hash128&, const Hash128&) = default;
  /// Sum modulo 2^128: an order-free combination, so that one part can be replaced without visiting the others.
  friend constexpr Hash128 operator+(Hash128 a, Hash128 b) {
    const u64 sum = a.low + b.low;
    return {sum, a.high + b.high + (sum < a.low ? 1 : 0)};
  }
  friend constexpr Hash128 operator-(Hash128 a, Hash128 b) {
    return {a.low - b.low, a.high - b.high - (a.low < b.low ? 1 : 0)};
  }
};

/// XXH3-128 of `size` bytes under `seed`. The same on every host.
Hash128 hash_bytes(const void* data, std::size_t size, u64 seed = 0);

/// 32 lower-case hexadecimal digits, high half first.
std::string to_string(const Hash128& hash);

}  // namespace bhvm
