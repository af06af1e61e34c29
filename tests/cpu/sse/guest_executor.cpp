#include "guest_executor.h"

#include <cstring>

namespace bhvm::sse_test {
namespace {

constexpr u64 kPml4 = 0x1000;
constexpr u64 kPdpt = 0x2000;
constexpr u64 kPd = 0x3000;
constexpr u64 kGdt = 0x4000;
constexpr u64 kIdt = 0x5000;
constexpr u64 kHandlers = 0x6000;  // 256 times 16 bytes, each a HLT
constexpr u64 kStackTop = 0x9000;
constexpr u8 kHlt = 0xF4;

}  // namespace

class GuestExecutor::NoBoard final : public CpuPort {
 public:
  u64 read_physical(PhysicalAddress, unsigned) override { return ~u64{0}; }
  void write_physical(PhysicalAddress, unsigned, u64) override {}
  u32 read_port(u16, unsigned) override { return ~u32{0}; }
  void write_port(u16, unsigned, u32) override {}
  int acknowledge_interrupt() override { return -1; }
  u64 tsc_at(u64 instructions) override { return instructions; }
  void tsc_adjusted(u64) override {}
  bool read_msr(u32, u64&) override { return false; }
  bool write_msr(u32, u64) override { return false; }
  u64 read_cr8() override { return 0; }
  void write_cr8(u64) override {}
  u64 random() override { return 0; }
};

GuestExecutor::GuestExecutor()
    : memory_(std::move(GuestMemory::create(kMappedEnd).value())),
      mmu_(std::make_unique<Mmu>(memory_)),
      board_(std::make_unique<NoBoard>()),
      cpu_(std::make_unique<Cpu>(*mmu_, *board_)) {
  const auto write = [this](u64 address, u64 value) { memory_.write_value(PhysicalAddress{address}, value); };
  write(kPml4, kPdpt | 3);
  write(kPdpt, kPd | 3);
  for (u64 i = 0; i < kMappedEnd >> 21; ++i) write(kPd + 8 * i, (i << 21) | 0x83);
  write(kGdt + 8, 0x00209B0000000000);   // 64-bit code
  write(kGdt + 16, 0x00CF93000000FFFF);  // data
  for (u64 i = 0; i < 256; ++i) {
    const u64 handler = kHandlers + 16 * i;
    write(kIdt + 16 * i, (handler & 0xFFFF) | (u64{8} << 16) | (u64{0x8E00} << 32) | ((handler >> 16) << 48));
    write(kIdt + 16 * i + 8, 0);
    memory_.write_value(PhysicalAddress{handler}, kHlt);
  }
}

GuestExecutor::~GuestExecutor() = default;

void GuestExecutor::load(std::span<const u8> instruction) {
  code_ = next_code_;
  next_code_ += 64;
  memory_.write(PhysicalAddress{code_}, instruction.data(), instruction.size());
  memory_.write_value(PhysicalAddress{code_ + instruction.size()}, kHlt);
}

MachineState GuestExecutor::run(const MachineState& before) {
  CpuState s;
  s.rip = code_;
  s.rflags = before.rflags;
  s.gpr[kRax] = before.gpr[0];
  s.gpr[kRcx] = before.gpr[1];
  s.gpr[kRdx] = before.gpr[2];
  s.gpr[kRbx] = before.gpr[3];
  s.gpr[kRsi] = before.rsi;
  s.gpr[kRdi] = before.rdi;
  s.gpr[kRsp] = kStackTop;
  for (unsigned i = 0; i < 16; ++i) s.xmm[i].q = before.xmm[i];
  s.mxcsr = before.mxcsr;
  s.x87.control_word = before.x87_control;
  s.x87.status_word = before.x87_status;
  s.x87.valid_mask = 0;
  for (unsigned i = 0; i < 8; ++i) {
    s.x87.regs[i] = {before.significand[i], before.sign_exponent[i]};
  }
  s.x87.valid_mask = before.x87_valid;
  s.cr0 = cr0;
  s.cr3 = kPml4;
  s.cr4 = cr4;
  s.msr.efer = 0x500;
  s.gdtr = {kGdt, 23};
  s.idtr = {kIdt, 4095};
  const u16 code_size = code32 ? descriptor::kBig : descriptor::kLong;
  const u16 code = descriptor::kPresent | descriptor::kNonSystem | descriptor::kCode | 3;
  s.segments[kCs] = {8, static_cast<u16>(code | code_size), 0xFFFFFFFF, 0};
  for (const unsigned i : {kDs, kEs, kSs}) {
    s.segments[i] = {16, descriptor::kPresent | descriptor::kNonSystem | descriptor::kBig | 3, 0xFFFFFFFF, 0};
  }
  s.instructions = cpu_->s.instructions;
  memory_.write(PhysicalAddress{kDataAddress}, before.memory.data(), kUsedData);
  cpu_->set_state(s);
  const RunExit exit = cpu_->run(16);

  const CpuState& r = cpu_->s;
  MachineState after = before;
  after.vector = -1;
  if (exit != RunExit::kHalted) {
    after.vector = -2;
  } else if (r.rip >= kHandlers && r.rip < kHandlers + 4096) {
    after.vector = static_cast<int>((r.rip - kHandlers) / 16);
  }
  after.gpr = {r.gpr[kRax], r.gpr[kRcx], r.gpr[kRdx], r.gpr[kRbx]};
  after.rflags = (r.rflags & 0x8D5) | 2;
  for (unsigned i = 0; i < 16; ++i) after.xmm[i] = r.xmm[i].q;
  after.mxcsr = r.mxcsr;
  after.x87_control = r.x87.control_word;
  after.x87_status = r.x87.status_word;
  after.x87_valid = r.x87.valid_mask;
  for (unsigned i = 0; i < 8; ++i) {
    after.significand[i] = r.x87.regs[i].significand;
    after.sign_exponent[i] = r.x87.regs[i].sign_exponent;
  }
  memory_.read(PhysicalAddress{kDataAddress}, after.memory.data(), kUsedData);
  return after;
}

}  // namespace bhvm::sse_test
