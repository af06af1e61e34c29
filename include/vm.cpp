// The public face over machine/: translation and nothing else.
#include <fmt/format.h>

#include <atomic>
#include <cstring>

#include "bhvm/bhvm.h"
#include "machine/file_io.h"
#include "machine/linear_view.h"
#include "machine/machine.h"

namespace bhvm {
namespace {

template <class T>
T value_or_throw(Result<T> result) {
  if (!result) throw VmError(result.error().message);
  return std::move(result).value();
}

MachineConfig machine_config(const VmConfig& config) {
  MachineConfig out;
  out.memory_bytes = config.memory_bytes;
  out.seed = config.seed;
  out.machine_id = config.machine_id;
  out.rate_numerator = config.rate_numerator;
  out.rate_denominator = config.rate_denominator;
  out.rtc_epoch_s = config.rtc_epoch_s;
  out.command_line = config.command_line;
  out.disks.assign(config.disks.begin(), config.disks.end());
  if (!config.kernel.empty()) {
    out.kernel = std::make_shared<const ElfImage>(value_or_throw(ElfImage::open(config.kernel)));
  }
  if (!config.initrd.empty()) {
    out.initrd = std::make_shared<const std::vector<u8>>(value_or_throw(read_file(config.initrd, "initrd")));
  }
  return out;
}

// The two enumerations list the same reasons in the same order.
static_assert(static_cast<int>(StopReason::kStopRequest) == static_cast<int>(VmStopReason::kStopRequest));
static_assert(static_cast<int>(StopReason::kPowerOff) == static_cast<int>(VmStopReason::kPowerOff));
static_assert(static_cast<int>(StopReason::kHostError) == static_cast<int>(VmStopReason::kHostError));

}  // namespace

struct Vm::Impl {
  std::unique_ptr<Machine> machine;
  std::atomic<bool> stop_requested{false};
};
struct VmSnapshot::Impl {
  MachineSnapshot snapshot;
};

VmSnapshot::VmSnapshot(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
VmSnapshot::VmSnapshot(VmSnapshot&&) noexcept = default;
VmSnapshot& VmSnapshot::operator=(VmSnapshot&&) noexcept = default;
VmSnapshot::~VmSnapshot() = default;

Vm::Vm(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Vm::Vm(Vm&&) noexcept = default;
Vm& Vm::operator=(Vm&&) noexcept = default;
Vm::~Vm() = default;

Vm::Vm(const VmConfig& config) : impl_(std::make_unique<Impl>()) {
  if (config.rate_numerator == 0 || config.rate_denominator == 0) {
    throw VmError("The instruction rate must not have a zero in it.");
  }
  impl_->machine = value_or_throw(Machine::create(machine_config(config)));
}

Vm::Vm(VmSnapshot& snapshot) : impl_(std::make_unique<Impl>()) {
  impl_->machine = Machine::from_snapshot(snapshot.impl_->snapshot);
}

Vm Vm::load(const std::string& path, const VmConfig& resources) {
  auto impl = std::make_unique<Impl>();
  impl->machine = value_or_throw(Machine::load(path, machine_config(resources)));
  return Vm(std::move(impl));
}

VmStop Vm::run(const VmLimits& limits) {
  RunLimits inner;
  inner.instructions = limits.instructions;
  inner.time_ns = limits.time_ns;
  inner.stop_when_idle = limits.stop_when_idle;
  inner.stop_request = &impl_->stop_requested;
  Stop stop = impl_->machine->run_until(inner);
  if (stop.reason == StopReason::kStopRequest) impl_->stop_requested = false;
  return {static_cast<VmStopReason>(stop.reason), stop.status, std::move(stop.message)};
}

void Vm::request_stop() { impl_->stop_requested = true; }

std::uint64_t Vm::instructions() const { return impl_->machine->instructions(); }
std::uint64_t Vm::now_ns() const { return impl_->machine->now_ns(); }

void Vm::on_console(std::function<void(std::string_view)> output) {
  if (!output) {
    impl_->machine->set_console_output({});
    return;
  }
  impl_->machine->set_console_output([output = std::move(output)](std::span<const u8> bytes) {
    output({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  });
}

std::size_t Vm::type(std::string_view text) {
  return impl_->machine->console_input({reinterpret_cast<const u8*>(text.data()), text.size()});
}

VmRegisters Vm::registers() const {
  const CpuState& s = impl_->machine->cpu_state();
  VmRegisters out;
  out.gpr = s.gpr;
  out.rip = s.rip;
  out.rflags = s.rflags;
  for (std::size_t i = 0; i < s.xmm.size(); ++i) out.xmm[i] = s.xmm[i].q;
  for (std::size_t i = 0; i < s.segments.size(); ++i) out.segment_selectors[i] = s.segments[i].selector;
  out.fs_base = s.segments[kFs].base;
  out.gs_base = s.segments[kGs].base;
  out.cr0 = s.cr0;
  out.cr2 = s.cr2;
  out.cr3 = s.cr3;
  out.cr4 = s.cr4;
  out.efer = s.msr.efer;
  out.cpl = s.cpl;
  return out;
}

void Vm::set_registers(const VmRegisters& registers) {
  CpuState s = impl_->machine->cpu_state();
  s.gpr = registers.gpr;
  s.rip = registers.rip;
  s.rflags = registers.rflags;
  for (std::size_t i = 0; i < s.xmm.size(); ++i) s.xmm[i].q = registers.xmm[i];
  s.segments[kFs].base = registers.fs_base;
  s.segments[kGs].base = registers.gs_base;
  s.fetch_linear = 1;  // rip may have gone to another page
  impl_->machine->set_cpu_state(s);
}

bool Vm::read_physical(std::uint64_t address, std::span<std::byte> bytes) const {
  const Machine& machine = *impl_->machine;
  return machine.memory().read({address}, bytes.data(), bytes.size());
}

bool Vm::write_physical(std::uint64_t address, std::span<const std::byte> bytes) {
  return impl_->machine->memory().write({address}, bytes.data(), bytes.size());
}

std::size_t Vm::read_linear(std::uint64_t address, std::span<std::byte> bytes) const {
  const Machine& machine = *impl_->machine;
  const LinearView view(machine.memory(), machine.cpu_state());
  return view.read({address}, {reinterpret_cast<u8*>(bytes.data()), bytes.size()});
}

std::size_t Vm::write_linear(std::uint64_t address, std::span<const std::byte> bytes) {
  Machine& machine = *impl_->machine;
  const LinearView view(machine.memory(), machine.cpu_state());
  std::size_t done = 0;
  while (done < bytes.size()) {
    const LinearAddress at{address + done};
    const std::size_t size = std::min<std::size_t>(bytes.size() - done, kPageSize - at.page_offset());
    const std::optional<PhysicalAddress> physical = view.translate(at);
    if (!physical || !machine.memory().write(*physical, bytes.data() + done, size)) break;
    done += size;
  }
  return done;
}

std::string Vm::symbolise(std::uint64_t address) const {
  const auto& kernel = impl_->machine->config().kernel;
  return kernel != nullptr ? kernel->symbolise(address) : std::string();
}

std::optional<std::uint64_t> Vm::find_symbol(std::string_view name) const {
  const auto& kernel = impl_->machine->config().kernel;
  return kernel != nullptr ? kernel->find_symbol(name) : std::nullopt;
}

std::string Vm::describe_cpu() const { return impl_->machine->describe_cpu(); }

VmHash Vm::state_hash() {
  const Hash128 hash = impl_->machine->state_hash();
  return {hash.low, hash.high};
}

VmSnapshot Vm::snapshot() {
  return VmSnapshot(std::make_unique<VmSnapshot::Impl>(VmSnapshot::Impl{impl_->machine->snapshot()}));
}

Vm Vm::fork() {
  auto impl = std::make_unique<Impl>();
  impl->machine = impl_->machine->fork();
  return Vm(std::move(impl));
}

void Vm::save(const std::string& path) {
  if (const Status status = impl_->machine->save(path); !status) throw VmError(status.error().message);
}

std::string Vm::diff(const Vm& a, const Vm& b) {
  std::vector<FieldDifference> differences;
  bhvm::diff(a.impl_->machine->state(), b.impl_->machine->state(), differences);
  std::string out;
  for (const FieldDifference& difference : differences) {
    out += fmt::format("{}: {} / {}\n", difference.path, difference.a, difference.b);
  }
  return out;
}

VmStatistics Vm::statistics() const {
  const MachineStatistics s = impl_->machine->statistics();
  return {s.instructions, s.rep_iterations, s.idle_ns, s.virtual_ns, s.events, s.interrupts};
}

std::string to_string(const VmHash& hash) { return to_string(Hash128{hash.low, hash.high}); }

std::string_view to_string(VmStopReason reason) { return to_string(static_cast<StopReason>(reason)); }

}  // namespace bhvm
