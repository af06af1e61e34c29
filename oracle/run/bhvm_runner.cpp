#include "oracle/run/bhvm_runner.h"

#include <fmt/format.h>

#include "base/check.h"
#include "oracle/guest/guest_image.h"

namespace bhvm::oracle {
namespace {

// A case takes a few hundred instructions, some tens of thousands with REP; one that takes this many hangs.
constexpr u64 kSliceInstructions = 4'000'000;
constexpr unsigned kSlicesWithoutProgress = 3;

Mailbox read_mailbox(const Machine& machine) {
  Mailbox box;
  BHVM_CHECK(machine.memory().read({kMailboxPhysical}, &box, sizeof(box)), "the mailbox lies outside RAM");
  return box;
}

template <class T>
void put(Machine& machine, u64 field_offset, T value) {
  BHVM_CHECK(machine.memory().write({kMailboxPhysical + field_offset}, &value, sizeof(value)),
             "the mailbox lies outside RAM");
}

void wake(Machine& machine) {
  CpuState state = machine.cpu_state();
  state.halted = false;
  machine.set_cpu_state(state);
}

}  // namespace

Result<std::unique_ptr<BhvmRunner>> BhvmRunner::create() {
  const std::span<const u8> image = guest_image();
  auto elf = ElfImage::parse({image.begin(), image.end()}, "the oracle's guest program");
  if (!elf) return elf.error();
  MachineConfig config;
  config.memory_bytes = kGuestRamBytes;
  config.kernel = std::make_shared<const ElfImage>(std::move(elf.value()));
  auto machine = Machine::create(config);
  if (!machine) return machine.error();
  put(*machine.value(), offsetof(Mailbox, halt_idle), u32{1});
  const Stop stop = machine.value()->run_until({.instructions = kSliceInstructions});
  if (stop.reason != StopReason::kHaltedForever || read_mailbox(*machine.value()).magic != kMailboxMagic) {
    return Error{fmt::format("The guest program did not start in bhvm (it stopped with {}): {}", to_string(stop.reason),
                             machine.value()->describe_cpu())};
  }
  return std::unique_ptr<BhvmRunner>(new BhvmRunner(std::move(machine.value())));
}

Result<BhvmRunner::Progress> BhvmRunner::run_from(u32 first, const std::vector<u8>& image,
                                                  std::vector<Outcome>& outcomes) {
  const std::unique_ptr<Machine> machine = booted_->fork();
  BHVM_CHECK(machine->memory().write({kBatchPhysical}, image.data(), image.size()), "a batch lies outside RAM");
  put(*machine, offsetof(Mailbox, next_case), first);
  put(*machine, offsetof(Mailbox, end_case), static_cast<u32>(outcomes.size()));
  put(*machine, offsetof(Mailbox, posted), u32{1});
  wake(*machine);

  const u64 start = machine->instructions();
  u32 last_seen = first;
  unsigned idle_slices = 0;
  Stop stop;
  Mailbox box;
  for (;;) {
    stop = machine->run_until({.instructions = machine->instructions() + kSliceInstructions});
    box = read_mailbox(*machine);
    if (stop.reason != StopReason::kInstructionLimit) break;
    idle_slices = box.next_case == last_seen ? idle_slices + 1 : 0;
    last_seen = box.next_case;
    if (idle_slices >= kSlicesWithoutProgress) break;
  }
  instructions_ += machine->instructions() - start;
  const u32 done = std::min<u32>(box.next_case, static_cast<u32>(outcomes.size()));
  if (done > first) {
    BHVM_CHECK(machine->memory().read({kOutcomePhysical + u64{first} * sizeof(Outcome)}, &outcomes[first],
                                      (done - first) * sizeof(Outcome)),
               "outcomes lie outside RAM");
  }
  if (box.panicked != 0) {
    return Error{fmt::format("The guest program raised exception {} (error code {:#x}) at {:#x} in bhvm, at case {}.",
                             box.panic_vector, box.panic_error_code, box.panic_rip, box.next_case)};
  }
  if (box.completed == box.posted) return Progress{done, true};

  Outcome& lost = outcomes[done];
  lost = Outcome{};
  switch (stop.reason) {
    case StopReason::kTripleFault:
      lost.vector = kVectorShutdown;
      break;
    case StopReason::kUnsupported:
      lost.vector = kVectorUnsupported;
      break;
    default:
      lost.vector = kVectorHung;
  }
  return Progress{done + 1, done + 1 == outcomes.size()};
}

Result<std::vector<Outcome>> BhvmRunner::run(const Batch& batch) {
  std::vector<Outcome> outcomes(batch.case_count());
  if (outcomes.empty()) return outcomes;
  const std::vector<u8> image = batch.image();
  Progress progress;
  while (!progress.done) {
    auto next = run_from(progress.next_case, image, outcomes);
    if (!next) return next.error();
    progress = next.value();
  }
  return outcomes;
}

}  // namespace bhvm::oracle
