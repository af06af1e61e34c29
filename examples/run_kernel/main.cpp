// Boots a kernel, passes its console on, and shows that a fork in the middle of the run ends exactly as the run does.
//
//   run_kernel VMLINUX [INITRD [COMMAND_LINE]]
#include <bhvm/bhvm.h>

#include <iostream>

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: run_kernel VMLINUX [INITRD [COMMAND_LINE]]\n";
    return 2;
  }
  try {
    bhvm::VmConfig config;
    config.kernel = argv[1];
    if (argc > 2) config.initrd = argv[2];
    if (argc > 3) config.command_line = argv[3];
    config.memory_bytes = std::uint64_t{128} << 20;
    config.seed = 7;

    bhvm::Vm vm(config);
    vm.on_console([](std::string_view text) { std::cout << text << std::flush; });
    bhvm::VmLimits limits;
    limits.instructions = 10'000;
    vm.run(limits);

    bhvm::Vm fork = vm.fork();  // a machine of its own, made in a fraction of a millisecond; its console goes nowhere
    limits.instructions = 1'000'000'000;
    const bhvm::VmStop stop = vm.run(limits);
    const bhvm::VmStop fork_stop = fork.run(limits);

    const bhvm::VmStatistics statistics = vm.statistics();
    std::cerr << to_string(stop.reason) << " after " << statistics.instructions << " instructions, "
              << statistics.virtual_ns << " ns of virtual time\n"
              << "state " << to_string(vm.state_hash()) << '\n';
    if (fork_stop.reason != stop.reason || fork.state_hash() != vm.state_hash()) {
      std::cerr << "the fork went another way:\n" << bhvm::Vm::diff(vm, fork);
      return 1;
    }
    return stop.reason == bhvm::VmStopReason::kGuestExit ? static_cast<int>(stop.status) : 0;
  } catch (const bhvm::VmError& error) {
    std::cerr << "run_kernel: " << error.what() << '\n';
    return 2;
  }
}
