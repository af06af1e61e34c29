// The hash of a state: XXH3-128 over its saved form, so that two states hash the same when they save the same.
#pragma once

#include "base/hash.h"
#include "state/archive.h"

namespace bhvm {

template <class S>
Hash128 hash_state(const S& state) {
  if constexpr (state_shape::saves_in_bulk<S>()) {
    return hash_bytes(&state, sizeof(state));
  } else {
    Writer writer;
    writer.reserve(state_shape::saved_size_min<S>());
    save(writer, state);
    return hash_bytes(writer.bytes().data(), writer.bytes().size());
  }
}

}  // namespace bhvm
