// write_guest FILE: writes a tiny kernel that prints a line and exits with status 3.
#include <fstream>

#include "tests/machine/guest_code.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  using namespace bhvm::test;
  // Long enough that a run of 10,000 instructions ends in its middle.
  const std::vector<bhvm::u8> file =
      kernel_of(join({store_loop(20'000), print("hello from the guest\n"), exit_with(3), spin()}));
  std::ofstream(argv[1], std::ios::binary)
      .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
  return 0;
}
