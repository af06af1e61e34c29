// Register contents worth trying.
#pragma once

#include <string>

#include "base/random_stream.h"
#include "encodings.h"
#include "machine_state.h"

namespace bhvm::sse_test {

u32 random_single(RandomStream& random);
u64 random_double(RandomStream& random);

/// A state with operands of the kind, any rounding, FZ, DAZ and sticky flags; with `unmasked` also any exception masks.
MachineState random_state(RandomStream& random, Values values, bool unmasked);

/// The registers that encodings of the tests name.
std::string describe(const MachineState& state);

}  // namespace bhvm::sse_test
