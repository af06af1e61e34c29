// Programs drawn at random against every device: nothing crashes, all ends, and the same program leaves the same state.
#include <gtest/gtest.h>

#include "base/random_stream.h"
#include "virtio_program.h"

namespace bhvm {
namespace {

TEST(VirtioHostileTest, RandomProgramsEndAndRepeat) {
  RandomStream stream(1, 0, "virtio programs");
  for (u8 which = 0; which < 4; ++which) {
    for (int i = 0; i < 60; ++i) {
      std::vector<u8> program(64 + stream.below(2000));
      for (u8& byte : program) byte = static_cast<u8>(stream.next() >> (stream.below(3) == 0 ? 56 : 61));
      program[0] = 4;  // start the device
      for (int k = 1; k < 9; ++k) program[static_cast<std::size_t>(k)] = static_cast<u8>(stream.next());
      const Hash128 first = virtio_test::ProgramBoard().run(which, program);
      ASSERT_EQ(virtio_test::ProgramBoard().run(which, program), first) << "device " << int{which} << " program " << i;
    }
  }
}

}  // namespace
}  // namespace bhvm
