// What surrounds an SSE instruction: whether it may execute, faults of its memory operand, MXCSR, REX registers.
#include <gtest/gtest.h>

#include <cstring>

#include "cpu/sse/host_fp.h"
#include "guest_executor.h"

namespace bhvm::sse_test {
namespace {

using Bytes = std::vector<u8>;

constexpr u64 kCr0Em = 1 << 2;
constexpr u64 kCr0Ts = 1 << 3;
constexpr u64 kCr4Osfxsr = 1 << 9;
constexpr u64 kCr4Osxmmexcpt = 1 << 10;

const Bytes kPaddbXmm = {0x66, 0x0F, 0xFC, 0xC1};
const Bytes kPaddbMm = {0x0F, 0xFC, 0xC1};
const Bytes kCvtpi2ps = {0x0F, 0x2A, 0xC1};
const Bytes kMovntiEax = {0x0F, 0xC3, 0x06};
const Bytes kMfence = {0x0F, 0xAE, 0xF0};
const Bytes kLdmxcsr = {0x0F, 0xAE, 0x56, 0x20};
const Bytes kStmxcsr = {0x0F, 0xAE, 0x5E, 0x24};
const Bytes kDivsd = {0xF2, 0x0F, 0x5E, 0xC1};
const Bytes kMovdquLoad = {0xF3, 0x0F, 0x6F, 0x06};
const Bytes kMovdquStore = {0xF3, 0x0F, 0x7F, 0x06};
const Bytes kMaskmovdqu = {0x66, 0x0F, 0xF7, 0xCA};

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

class SseOperands : public testing::Test {
 protected:
  MachineState run(const Bytes& code, const MachineState& before = {}) {
    guest_.load(code);
    return guest_.run(before);
  }
  static void put(MachineState& s, unsigned offset, u32 value) { std::memcpy(&s.memory[offset], &value, 4); }
  static u32 get(const MachineState& s, unsigned offset) {
    u32 value;
    std::memcpy(&value, &s.memory[offset], 4);
    return value;
  }
  u64 last_quadword() {
    u64 value = 1;
    guest_.cpu().mmu.memory().read_value(PhysicalAddress{kMappedEnd - 8}, value);
    return value;
  }
  GuestExecutor guest_;
};

TEST_F(SseOperands, TaskSwitchedRaisesDeviceNotAvailable) {
  guest_.cr0 |= kCr0Ts;
  EXPECT_EQ(run(kPaddbXmm).vector, 7);
  EXPECT_EQ(run(kPaddbMm).vector, 7);
  EXPECT_EQ(run(kLdmxcsr).vector, 7);
}

TEST_F(SseOperands, EmulateRaisesInvalidOpcode) {
  guest_.cr0 |= kCr0Em | kCr0Ts;
  EXPECT_EQ(run(kPaddbXmm).vector, 6);
  EXPECT_EQ(run(kPaddbMm).vector, 6);
}

TEST_F(SseOperands, WithoutOsfxsrOnlyMmxExecutes) {
  guest_.cr4 &= ~kCr4Osfxsr;
  EXPECT_EQ(run(kPaddbXmm).vector, 6);
  EXPECT_EQ(run(kCvtpi2ps).vector, 6);
  EXPECT_EQ(run(kPaddbMm).vector, -1);
  guest_.cr0 |= kCr0Ts;
  EXPECT_EQ(run(kPaddbXmm).vector, 6);
}

TEST_F(SseOperands, FencesAndMovntiAskForNoUnit) {
  guest_.cr0 |= kCr0Ts;
  guest_.cr4 &= ~kCr4Osfxsr;
  EXPECT_EQ(run(kMfence).vector, -1);
  MachineState before;
  before.gpr[0] = 0x12345678;
  const MachineState after = run(kMovntiEax, before);
  EXPECT_EQ(after.vector, -1);
  EXPECT_EQ(get(after, 0), 0x12345678u);
}

TEST_F(SseOperands, MmxWaitsForAPendingX87Exception) {
  MachineState before;
  before.x87_control = 0x037E;  // invalid operation unmasked
  before.x87_status = x87_status::kIe | x87_status::kErrorSummary | x87_status::kBusy | (3 << 11);
  before.significand[0] = 5;
  const MachineState after = run(kPaddbMm, before);
  EXPECT_EQ(after.vector, 16);
  EXPECT_EQ(after.x87_status, before.x87_status);
  EXPECT_EQ(after.significand[0], 5u);
}

TEST_F(SseOperands, UnmaskedExceptionWithoutOsxmmexcptIsInvalidOpcode) {
  MachineState before;
  before.mxcsr = 0x1D80;  // zero divide unmasked
  before.xmm[0] = {0x3FF0000000000000, 0};
  EXPECT_EQ(run(kDivsd, before).vector, 19);
  guest_.cr4 &= ~kCr4Osxmmexcpt;
  const MachineState after = run(kDivsd, before);
  EXPECT_EQ(after.vector, 6);
  EXPECT_EQ(after.mxcsr, 0x1D84u);
  EXPECT_EQ(after.xmm[0][0], 0x3FF0000000000000u);
}

TEST_F(SseOperands, LdmxcsrRefusesReservedBits) {
  MachineState before;
  put(before, 0x20, 0x11F80);
  const MachineState after = run(kLdmxcsr, before);
  EXPECT_EQ(after.vector, 13);
  EXPECT_EQ(after.mxcsr, 0x1F80u);
}

TEST_F(SseOperands, LdmxcsrTakesEffectForTheNextInstruction) {
  MachineState before;
  before.xmm[0] = {0x3FF0000000000000, 0};
  // Rounding up, all masked: the same mode key.
  before.xmm[1] = {0x4008000000000000, 0};
  put(before, 0x20, 0x5F80);
  MachineState after = run(kLdmxcsr + kDivsd + kStmxcsr, before);
  EXPECT_EQ(after.vector, -1);
  EXPECT_EQ(after.xmm[0][0], 0x3FD5555555555556u);
  EXPECT_EQ(get(after, 0x24), 0x5FA0u);
  EXPECT_EQ(after.mxcsr, 0x5FA0u);
  // Zero divide unmasked: another mode key, and the division raises.
  before.xmm[1] = {0, 0};
  put(before, 0x20, 0x1D80);
  after = run(kLdmxcsr + kDivsd + kStmxcsr, before);
  EXPECT_EQ(after.vector, 19);
  EXPECT_EQ(after.mxcsr, 0x1D84u);
  // And masked again.
  before.mxcsr = 0x1D80;
  put(before, 0x20, 0x1F80);
  after = run(kLdmxcsr + kDivsd + kStmxcsr, before);
  EXPECT_EQ(after.vector, -1);
  EXPECT_EQ(after.xmm[0][0], 0x7FF0000000000000u);
  EXPECT_EQ(get(after, 0x24), 0x1F84u);
}

TEST_F(SseOperands, FlagsOfAFaultingInstructionsPredecessorsAreKept) {
  MachineState before;
  before.rsi = kMappedEnd - 8;
  before.xmm[0] = {0x3FF0000000000000, 0};
  const MachineState after = run(kDivsd + kMovdquLoad, before);
  EXPECT_EQ(after.vector, 14);
  EXPECT_EQ(after.mxcsr, 0x1F84u);
}

#if BHVM_HOST_SSE
TEST_F(SseOperands, TheHostKeepsItsOwnMode) {
  const u32 own = host_mxcsr();
  set_host_mxcsr(0x7F80);
  MachineState before;
  before.mxcsr = 0x9FC0;
  before.xmm[1] = {0x4008000000000000, 0};
  before.xmm[0] = {0x3FF0000000000000, 0};
  const MachineState after = run(kDivsd, before);
  const u32 kept = host_mxcsr();
  set_host_mxcsr(own);
  EXPECT_EQ(kept, 0x7F80u);
  EXPECT_EQ(after.mxcsr, 0x9FE0u);
}
#endif

TEST_F(SseOperands, AStoreIntoAMissingPageWritesNothing) {
  MachineState before;
  before.rsi = kMappedEnd - 8;
  before.xmm[0] = {~u64{0}, ~u64{0}};
  const MachineState after = run(kMovdquStore, before);
  EXPECT_EQ(after.vector, 14);
  EXPECT_EQ(guest_.cpu().s.cr2, kMappedEnd);
  EXPECT_EQ(last_quadword(), 0u);
}

TEST_F(SseOperands, MaskedMoveTouchesOnlyWhatItsMaskNames) {
  MachineState before;
  before.xmm[1] = {0x1716151413121110, 0x1F1E1D1C1B1A1918};
  before.xmm[2] = {0x8000000000000080, 0x0000000000008000};
  before.rdi = kDataAddress + 3;
  MachineState after = run(kMaskmovdqu, before);
  EXPECT_EQ(after.vector, -1);
  EXPECT_EQ(after.memory[3], 0x10);
  EXPECT_EQ(after.memory[4], 0);
  EXPECT_EQ(after.memory[10], 0x17);
  EXPECT_EQ(after.memory[12], 0x19);
  // A mask of zeros accesses nothing; a byte in a missing page keeps the others from being written.
  before.rdi = kMappedEnd + 64;
  before.xmm[2] = {0, 0};
  EXPECT_EQ(run(kMaskmovdqu, before).vector, -1);
  before.rdi = kMappedEnd - 8;
  before.xmm[2] = {0x80, 0x80};
  EXPECT_EQ(run(kMaskmovdqu, before).vector, 14);
  EXPECT_EQ(last_quadword(), 0u);
  before.xmm[2] = {0x80, 0};
  EXPECT_EQ(run(kMaskmovdqu, before).vector, -1);
  EXPECT_EQ(last_quadword(), 0x10u);
}

TEST_F(SseOperands, MaskedMoveWrapsAtTheEndOf32BitCodesSpace) {
  guest_.code32 = true;
  MachineState before;
  before.rdi = 0xFFFFFFFC;
  before.xmm[1] = {0, 0x5A};
  before.xmm[2] = {0, 0x80};
  EXPECT_EQ(run(kMaskmovdqu, before).vector, -1);
  u64 quadword = 0;
  guest_.cpu().mmu.memory().read_value(PhysicalAddress{0}, quadword);
  EXPECT_EQ(quadword, u64{0x5A} << 32);
}

TEST_F(SseOperands, ASegmentOf4GibChecksNoEnd) {
  guest_.code32 = true;
  MachineState before;
  before.rdi = 0xFFFFFFFC;
  // MOVQ XMM0, CS:[EDI] and DS:[EDI]: the first page is missing.
  EXPECT_EQ(run({0x2E, 0xF3, 0x0F, 0x7E, 0x07}, before).vector, 14);
  EXPECT_EQ(run({0xF3, 0x0F, 0x7E, 0x07}, before).vector, 14);
}

TEST_F(SseOperands, RexReachesTheUpperRegisters) {
  MachineState before;
  before.xmm[9] = {1, 2};
  before.xmm[12] = {10, 20};
  const MachineState after = run({0x66, 0x45, 0x0F, 0xD4, 0xCC}, before);  // PADDQ XMM9, XMM12
  EXPECT_EQ(after.xmm[9][0], 11u);
  EXPECT_EQ(after.xmm[9][1], 22u);
}

TEST_F(SseOperands, ComparisonsFeedConditionalInstructions) {
  MachineState before;
  before.xmm[0] = {0x3FF0000000000000, 0};
  before.xmm[1] = {0x4000000000000000, 0};
  // UCOMISD XMM0, XMM1; SETB AL; SETP CL
  const MachineState after = run({0x66, 0x0F, 0x2E, 0xC1, 0x0F, 0x92, 0xC0, 0x0F, 0x9A, 0xC1}, before);
  EXPECT_EQ(after.gpr[0], 1u);
  EXPECT_EQ(after.gpr[1], 0u);
}

TEST_F(SseOperands, MovsdAndCmpsdAreToldFromTheStringInstructions) {
  MachineState before;
  before.xmm[1] = {7, 9};
  EXPECT_EQ(run({0xF2, 0x0F, 0x10, 0xC1}, before).xmm[0][0], 7u);
  EXPECT_EQ(run({0xF2, 0x0F, 0xC2, 0xC1, 0x04}, before).xmm[0][0], ~u64{0});
  before.memory[0] = 0x55;
  before.rdi = kDataAddress + 0x40;
  EXPECT_EQ(run({0xA5}, before).memory[0x40], 0x55);
}

}  // namespace
}  // namespace bhvm::sse_test
