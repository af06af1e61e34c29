// Operand values for tests of the x87 FPU: every class and boundary, and random ones around them.
#pragma once

#include <array>
#include <vector>

#include "base/random_stream.h"
#include "cpu/x87/x87_state.h"
#include "host_x87.h"

namespace bhvm::test {

/// Boundary values of the 80-bit format, both signs.
const std::vector<Float80>& boundary_values();

/// A boundary value, or a random number of any class; exponents are often near each other.
Float80 random_value(RandomStream& random);

/// A memory operand whose leading bytes are interesting in every memory format.
HostMemory random_memory(RandomStream& random);

/// A state with random registers, rounding, precision and condition codes and no exception pending. One in four has
/// empty registers; `masks` are the exception masks of the control word.
X87State random_state(RandomStream& random, u16 masks);

}  // namespace bhvm::test
