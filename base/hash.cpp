#include "base/hash.h"

#include <fmt/format.h>
#include <xxhash.h>

namespace bhvm {

Hash128 hash_bytes(const void* data, std::size_t size, u64 seed) {
  const XXH128_hash_t hash = XXH3_128bits_withSeed(data, size, seed);
  return {hash.low64, hash.high64};
}

std::string to_string(const Hash128& hash) { return fmt::format("{:016x}{:016x}", hash.high, hash.low); }

}  // namespace bhvm
