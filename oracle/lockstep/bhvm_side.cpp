#include "oracle/lockstep/bhvm_side.h"

#include "cpu/code_cache.h"
#include "cpu/exception.h"
#include "cpu/system/interrupts.h"

namespace bhvm::lockstep {
namespace {

SegmentState segment(const QemuSegment& from) { return {from.selector, from.attributes(), from.limit, from.base}; }
TableRegister table(const QemuTable& from) { return {from.base, static_cast<u16>(from.limit)}; }

}  // namespace

Result<std::unique_ptr<BhvmSide>> BhvmSide::create(u64 memory_bytes) {
  auto memory = GuestMemory::create(memory_bytes);
  if (!memory) return memory.error();
  std::unique_ptr<BhvmSide> side(new BhvmSide(std::move(memory).value()));
  side->cpu_ = std::make_unique<Cpu>(side->mmu_, *side);
  return side;
}

void BhvmSide::start(std::span<const u8> ram, const QemuState& from) {
  memory_.write({0}, ram.data(), ram.size());
  CpuState s;
  s.gpr = from.gpr;
  s.rip = from.rip;
  s.rflags = from.rflags;
  s.cpl = from.cpl;
  for (unsigned i = 0; i < kSegmentCount; ++i) s.segments[i] = segment(from.segments[i]);
  s.ldtr = segment(from.ldtr);
  s.tr = segment(from.tr);
  s.gdtr = table(from.gdtr);
  s.idtr = table(from.idtr);
  s.cr0 = from.cr0;
  s.cr2 = from.cr2;
  s.cr3 = from.cr3;
  s.cr4 = from.cr4;
  s.dr = from.dr;
  s.dr6 = from.dr6;
  s.dr7 = from.dr7;
  s.msr.efer = from.efer;
  cpu_->set_state(s);
  cpu_->flush_tlb_all();
}

BhvmSide::Step BhvmSide::step() {
  outside_read_.reset();
  const u64 rip = cpu_->s.rip;
  // A REP instruction in rounds comes back with its own address until it is done; nothing else that moves no register
  // may be run again, hence the bound by elements.
  u64 elements = cpu_->s.rep_iterations;
  for (;;) {
    const u64 target = cpu_->s.instructions + 1;
    while (cpu_->s.instructions < target) {
      switch (cpu_->run(target - cpu_->s.instructions)) {
        case RunExit::kShutdown:
          return Step::kShutdown;
        case RunExit::kUnsupported:
          return Step::kUnsupported;
        case RunExit::kHalted:
          return Step::kDone;
        case RunExit::kLimit:
        case RunExit::kAttention:
          break;
      }
    }
    const bool more_rounds = cpu_->s.rip == rip && cpu_->s.rep_iterations != elements;
    elements = cpu_->s.rep_iterations;
    if (!more_rounds) break;
  }
  return Step::kDone;
}

bool BhvmSide::interrupt(u8 vector) {
  vector_ = vector;
  cpu_->set_interrupt_line(true);
  const RunExit exit = cpu_->run(0);
  cpu_->set_interrupt_line(false);
  const bool taken = vector_ < 0;
  vector_ = -1;
  return taken && exit == RunExit::kAttention;
}

void BhvmSide::skip(u64 length) {
  cpu_->s.rip += length;
  cpu_->s.instructions += 1;
}

bool BhvmSide::raise(u8 vector, u32 error_code) {
  cpu_->raise(vector, error_code);
  const bool delivered = deliver_fault(*cpu_);
  cpu_->flags.set(cpu_->s.rflags);
  cpu_->s.instructions += 1;
  cpu_->update_mode();
  return delivered;
}

void BhvmSide::adopt_flags(u64 rflags) {
  cpu_->set_rflags(rflags);
  cpu_->s.rflags = rflags;
}

u64 BhvmSide::read_physical(PhysicalAddress, unsigned) {
  outside_read_ = Rule::kDeviceRead;
  return 0;
}

u32 BhvmSide::read_port(u16, unsigned) {
  outside_read_ = Rule::kPortRead;
  return 0;
}

u64 BhvmSide::read_cr8() {
  outside_read_ = Rule::kPriorityRead;
  return 0;
}

int BhvmSide::acknowledge_interrupt() {
  const int vector = vector_;
  vector_ = -1;
  cpu_->set_interrupt_line(false);
  return vector;
}

}  // namespace bhvm::lockstep
