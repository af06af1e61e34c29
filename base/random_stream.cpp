#include "base/random_stream.h"

#include <bit>

#include "base/check.h"
#include "base/hash.h"

namespace bhvm {

RandomStream::RandomStream(u64 seed, u64 machine, std::string_view purpose) {
  const std::array<u64, 2> owner{seed, machine};
  const Hash128 name = hash_bytes(purpose.data(), purpose.size());
  const Hash128 a = hash_bytes(owner.data(), sizeof(owner), name.low);
  const Hash128 b = hash_bytes(owner.data(), sizeof(owner), name.high);
  state_.s = {a.low, a.high, b.low, b.high};
  if ((a.low | a.high | b.low | b.high) == 0) state_.s[0] = 1;  // the one state xoshiro cannot leave
}

u64 RandomStream::next() {
  std::array<u64, 4>& s = state_.s;
  const u64 result = std::rotl(s[1] * 5, 7) * 9;
  const u64 t = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= t;
  s[3] = std::rotl(s[3], 45);
  return result;
}

u64 RandomStream::below(u64 bound) {
  BHVM_CHECK(bound != 0, "a random number below zero was asked for");
  // Lemire's multiply-and-reject: unbiased, and the number of draws is itself a function of the stream.
  const u64 threshold = (0 - bound) % bound;
  for (;;) {
    const u128 product = static_cast<u128>(next()) * bound;
    if (static_cast<u64>(product) >= threshold) return static_cast<u64>(product >> 64);
  }
}

}  // namespace bhvm
