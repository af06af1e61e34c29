#include "cpu/system/debug.h"

#include "tests/cpu/system/system_machine.h"

namespace bhvm::test {
namespace {

/// DR7 with breakpoint 0 enabled.
constexpr u64 enabled(u64 condition, u64 length) { return dr7::kOnes | 1 | (condition << 16) | (length << 18); }
constexpr u64 kExecute = 0, kWrite = 1, kIo = 2, kReadWrite = 3;

void set_debug(SystemMachine& m, u64 address, u64 dr7_value) {
  m.cpu.s.dr[0] = address;
  m.cpu.s.dr7 = dr7_value;
  m.cpu.update_mode();
}

TEST(SingleStep, TrapsBehindEachInstruction) {
  SystemMachine m;
  m.place(handler_of(vector::kDebug), {0x48, 0xFF, 0xC3, 0x48, 0xCF});  // inc rbx; iretq
  // push 102h; popfq; nop; nop; push 2; popfq; nop; hlt
  m.run_program({0x68, 2, 1, 0, 0, 0x9D, 0x90, 0x90, 0x6A, 2, 0x9D, 0x90, 0xF4});
  EXPECT_EQ(m.exit, RunExit::kHalted);
  EXPECT_EQ(m.reg(kRbx), 4u);  // not behind the POPF that sets TF, but behind the one that clears it
  EXPECT_EQ(m.cpu.s.dr6, dr6::kOnes | dr6::kBs);
}

TEST(SingleStep, PushesTheNextInstruction) {
  SystemMachine m;
  m.cpu.set_rflags(rflags::kTf | 2);
  m.run_program({0x90, 0x90});
  ASSERT_TRUE(m.ended_in(vector::kDebug));
  EXPECT_EQ(m.stack(0), kCode + 1);
  EXPECT_EQ(m.stack(2), rflags::kTf | 2);
  EXPECT_EQ(m.cpu.s.rflags & rflags::kTf, 0u);
}

TEST(SingleStep, MovSsHoldsTheTrapBack) {
  SystemMachine m;
  m.reg(kRax) = selector::kKernelData;
  m.cpu.set_rflags(rflags::kTf | 2);
  m.run_program({0x8E, 0xD0, 0x90, 0x90});
  ASSERT_TRUE(m.ended_in(vector::kDebug));
  EXPECT_EQ(m.stack(0), kCode + 3);
}

TEST(SingleStep, SyscallTrapsByTheFlagItLeaves) {
  for (const bool masked : {true, false}) {
    SystemMachine m;
    m.cpu.s.msr.lstar = kTarget;
    m.cpu.s.msr.star = u64{selector::kKernelCode} << 32;
    m.cpu.s.msr.fmask = masked ? rflags::kTf : 0;
    m.place(kTarget, {0xF4});
    m.cpu.set_rflags(rflags::kTf | 2);
    m.run_program({0x0F, 0x05});
    EXPECT_EQ(m.ended_in(vector::kDebug), !masked);
    if (masked) {
      EXPECT_EQ(m.cpu.s.rip, kTarget + 1);
    } else {
      EXPECT_EQ(m.stack(0), kTarget);
    }
  }
}

TEST(SingleStep, SysretTrapsBeforeItsTarget) {
  SystemMachine m;
  m.cpu.s.msr.star = u64{0x23} << 48;
  m.place(kTarget, {0x90, 0x90});
  m.reg(kRcx) = kTarget;
  m.reg(kR11) = rflags::kTf | 2;
  m.run_program({0x48, 0x0F, 0x07});
  ASSERT_TRUE(m.ended_in(vector::kDebug));
  EXPECT_EQ(m.stack(0), kTarget);
  EXPECT_EQ(m.cpu.s.dr6, dr6::kOnes | dr6::kBs);
}

TEST(Breakpoint, InstructionFaultAndRf) {
  SystemMachine m;
  // inc rbx; set RF in the frame; iretq
  m.place(handler_of(vector::kDebug), {0x48, 0xFF, 0xC3, 0x81, 0x4C, 0x24, 0x10, 0, 0, 1, 0, 0x48, 0xCF});
  set_debug(m, kCode + 1, enabled(kExecute, 0));
  m.run_program({0x90, 0x90, 0x90, 0xF4});
  EXPECT_EQ(m.exit, RunExit::kHalted);
  EXPECT_EQ(m.cpu.s.rip, kCode + 4);
  EXPECT_EQ(m.reg(kRbx), 1u);
  EXPECT_EQ(m.cpu.s.dr6, dr6::kOnes | 1);
}

TEST(Breakpoint, InstructionFaultLeavesRfClear) {
  SystemMachine m;
  set_debug(m, kCode, enabled(kExecute, 0));
  m.run_program({0x90});
  ASSERT_TRUE(m.ended_in(vector::kDebug));
  EXPECT_EQ(m.stack(0), kCode);
  EXPECT_EQ(m.stack(2) & rflags::kRf, 0u);
}

TEST(Breakpoint, DataTrapsBehindTheAccess) {
  struct Row {
    u64 dr7_value;
    u64 address;
    bool hits;
  };
  const Row rows[] = {{enabled(kWrite, 3), kData, true},      {enabled(kWrite, 0), kData + 3, true},
                      {enabled(kWrite, 0), kData + 4, false}, {enabled(kWrite, 2), kData + 5, true},
                      {enabled(kReadWrite, 3), kData, true},  {enabled(kExecute, 0), kData, false}};
  for (const Row& row : rows) {
    SystemMachine m;
    m.reg(kRsi) = kData;
    set_debug(m, row.address, row.dr7_value);
    m.run_program({0x89, 0x06, 0x90, 0xF4});  // mov [rsi], eax (4 bytes)
    EXPECT_EQ(m.ended_in(vector::kDebug), row.hits) << std::hex << row.address;
    if (row.hits) {
      EXPECT_EQ(m.stack(0), kCode + 2);
    }
  }
  SystemMachine read;
  read.reg(kRsi) = kData;
  set_debug(read, kData, enabled(kWrite, 3));
  read.run_program({0x8B, 0x06, 0xF4});
  EXPECT_EQ(read.cpu.s.rip, kCode + 3);
}

TEST(Breakpoint, IoNeedsDe) {
  for (const bool de : {false, true}) {
    SystemMachine m;
    m.cpu.s.cr4 = (m.cpu.s.cr4 & ~cr4::kDe) | (de ? cr4::kDe : 0);
    set_debug(m, 0x80, enabled(kIo, 0));
    m.run_program({0xE6, 0x80, 0xF4});
    EXPECT_EQ(m.ended_in(vector::kDebug), de);
  }
}

TEST(Breakpoint, AFaultDropsTheTrap) {
  SystemMachine m;
  m.write64(kPageTables + 0x2000 + 8 * 4, 0);
  m.reg(kRsi) = kData;
  m.reg(kRdi) = 0x800000;
  set_debug(m, kData, enabled(kReadWrite, 3));
  m.run_program({0xA5});  // movsd: reads the watched word, then faults
  ASSERT_TRUE(m.ended_in(vector::kPageFault));
  EXPECT_EQ(m.cpu.s.pending_debug, 0u);
}

TEST(DebugRegisters, AliasesReservedBitsAndGd) {
  SystemMachine m;
  m.reg(kRax) = 0xFFFFFFFF;
  // mov dr6, rax; mov rbx, dr6; hlt
  m.run_program({0x0F, 0x23, 0xF0, 0x0F, 0x21, 0xF3, 0xF4});
  EXPECT_EQ(m.reg(kRbx), dr6::kOnes | dr6::kWritable);
  m.run_program({0x0F, 0x21, 0xE3});  // DR4 under CR4.DE
  EXPECT_TRUE(m.ended_in(vector::kInvalidOpcode));
  m.cpu.s.cr4 &= ~cr4::kDe;
  m.run_program({0x0F, 0x21, 0xE3, 0xF4});
  EXPECT_EQ(m.reg(kRbx), dr6::kOnes | dr6::kWritable);
  m.reg(kRax) = u64{1} << 32;
  m.run_program({0x0F, 0x23, 0xF8});
  EXPECT_TRUE(m.ended_in(vector::kGeneralProtection));

  m.cpu.s.dr7 |= dr7::kGd;
  m.run_program({0x0F, 0x21, 0xC3});
  ASSERT_TRUE(m.ended_in(vector::kDebug));
  EXPECT_TRUE(m.cpu.s.dr6 & dr6::kBd);
  EXPECT_FALSE(m.cpu.s.dr7 & dr7::kGd);
  EXPECT_EQ(m.stack(0), kCode);
}

}  // namespace
}  // namespace bhvm::test
