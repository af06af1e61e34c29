// Fuzz target: a program of register accesses, memory writes, time and host input against each virtio device. The first
// byte picks the device; see tests/devices/virtio/virtio_program.h for the rest.
#include <cstddef>
#include <cstdint>

#include "tests/devices/virtio/virtio_program.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size != 0) bhvm::virtio_test::ProgramBoard().run(data[0], {data + 1, size - 1});
  return 0;
}
