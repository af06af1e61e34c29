#include "cpu/system/fast_calls.h"

#include "tests/cpu/system/system_machine.h"

namespace bhvm::test {
namespace {

class FastCalls : public testing::Test {
 protected:
  FastCalls() {
    m.cpu.s.msr.star = (u64{0x23} << 48) | (u64{selector::kKernelCode} << 32);
    m.cpu.s.msr.lstar = kTarget;
    m.cpu.s.msr.fmask = rflags::kIf | rflags::kTf;
    m.place(kTarget, {0xF4});
  }
  SystemMachine m;
};

TEST_F(FastCalls, SyscallEntersAtLstar) {
  m.to_user();
  m.cpu.set_rflags(rflags::kIf | rflags::kDf | rflags::kCf | 2);
  m.run_program({0x0F, 0x05});
  EXPECT_EQ(m.exit, RunExit::kHalted);
  EXPECT_EQ(m.cpu.s.rip, kTarget + 1);
  EXPECT_EQ(m.reg(kRcx), kCode + 2);
  EXPECT_EQ(m.reg(kR11), rflags::kIf | rflags::kDf | rflags::kCf | 2);
  EXPECT_EQ(m.cpu.s.rflags, rflags::kDf | rflags::kCf | 2);
  EXPECT_EQ(m.cpu.s.segments[kCs].selector, selector::kKernelCode);
  EXPECT_EQ(m.cpu.s.segments[kSs].selector, selector::kKernelCode + 8);
  EXPECT_EQ(m.reg(kRsp), kUserStack);
}

TEST_F(FastCalls, SyscallNeedsSceAnd64BitCode) {
  m.cpu.s.msr.efer &= ~efer::kSce;
  m.run_program({0x0F, 0x05});
  EXPECT_TRUE(m.ended_in(vector::kInvalidOpcode));
  SystemMachine compat;
  compat.to_user(true);
  compat.run_program({0x0F, 0x05});
  EXPECT_TRUE(compat.ended_in(vector::kInvalidOpcode));
}

TEST_F(FastCalls, SysretTo64Bit) {
  m.reg(kRcx) = kTarget;
  m.reg(kR11) = ~rflags::kTf;  // which would trap (debug_test.cpp)
  m.place(kCode, {0x48, 0x0F, 0x07});
  m.cpu.run(1);
  EXPECT_EQ(m.cpu.s.rip, kTarget);
  EXPECT_EQ(m.cpu.s.cpl, 3);
  EXPECT_EQ(m.cpu.s.rflags, 0x3C7ED7u);
  EXPECT_EQ(m.cpu.s.segments[kCs].selector, 0x33);
  EXPECT_EQ(m.cpu.s.segments[kSs].selector, 0x2B);
  EXPECT_TRUE(m.cpu.code64());
}

TEST_F(FastCalls, SysretToCompatibilityMode) {
  m.reg(kRcx) = 0xABCD00000000 | kTarget;
  m.reg(kR11) = 2;
  m.place(kCode, {0x0F, 0x07});
  m.cpu.run(1);
  EXPECT_EQ(m.cpu.s.rip, kTarget);
  EXPECT_EQ(m.cpu.s.segments[kCs].selector, 0x23);
  EXPECT_FALSE(m.cpu.code64());
}

TEST_F(FastCalls, SysretChecks) {
  m.reg(kRcx) = u64{1} << 47;
  m.run_program({0x48, 0x0F, 0x07});
  ASSERT_TRUE(m.ended_in(vector::kGeneralProtection));
  EXPECT_EQ(m.cpu.s.cpl, 0);  // as on Intel: before the level changes
  EXPECT_EQ(m.stack(2), selector::kKernelCode);
  m.to_user();
  m.run_program({0x48, 0x0F, 0x07});
  EXPECT_TRUE(m.ended_in(vector::kGeneralProtection));
}

TEST_F(FastCalls, SysenterAndSysexit) {
  m.cpu.s.msr.sysenter_cs = selector::kKernelCode;
  m.cpu.s.msr.sysenter_esp = 0x70000;
  m.cpu.s.msr.sysenter_eip = kTarget;
  m.to_user();
  m.cpu.set_rflags(rflags::kIf | 2);
  m.run_program({0x0F, 0x34});
  EXPECT_EQ(m.cpu.s.rip, kTarget + 1);
  EXPECT_EQ(m.reg(kRsp), 0x70000u);
  EXPECT_EQ(m.cpu.s.rflags, 2u);
  EXPECT_EQ(m.cpu.s.cpl, 0);

  m.reg(kRcx) = kUserStack;
  m.reg(kRdx) = kTarget;
  m.place(kCode, {0x48, 0x0F, 0x35});
  m.cpu.s.rip = kCode;
  m.cpu.s.halted = false;
  m.cpu.run(1);
  EXPECT_EQ(m.cpu.s.cpl, 3);
  EXPECT_EQ(m.cpu.s.segments[kCs].selector, (selector::kKernelCode + 32) | 3);
  EXPECT_EQ(m.cpu.s.segments[kSs].selector, (selector::kKernelCode + 40) | 3);
  EXPECT_EQ(m.reg(kRsp), kUserStack);

  SystemMachine disabled;
  disabled.run_program({0x0F, 0x34});
  EXPECT_TRUE(disabled.ended_in(vector::kGeneralProtection));
}

TEST_F(FastCalls, SwapgsAndBases) {
  m.cpu.s.segments[kGs].base = 0x1000;
  m.cpu.s.msr.kernel_gs_base = 0x2000;
  m.cpu.s.cr4 |= cr4::kFsgsbase;
  m.reg(kRbx) = 0x5555555566666666;
  // swapgs; rdgsbase rax; wrfsbase ebx; rdfsbase rcx; hlt
  m.run_program(
      {0x0F, 0x01, 0xF8, 0xF3, 0x48, 0x0F, 0xAE, 0xC8, 0xF3, 0x0F, 0xAE, 0xD3, 0xF3, 0x48, 0x0F, 0xAE, 0xC1, 0xF4});
  EXPECT_EQ(m.reg(kRax), 0x2000u);
  EXPECT_EQ(m.reg(kRcx), 0x66666666u);
  EXPECT_EQ(m.cpu.s.msr.kernel_gs_base, 0x1000u);
}

TEST_F(FastCalls, BaseInstructionsAreChecked) {
  m.run_program({0xF3, 0x48, 0x0F, 0xAE, 0xC0});
  EXPECT_TRUE(m.ended_in(vector::kInvalidOpcode));  // CR4.FSGSBASE = 0
  m.cpu.s.cr4 |= cr4::kFsgsbase;
  m.reg(kRax) = u64{1} << 63;
  m.run_program({0xF3, 0x48, 0x0F, 0xAE, 0xD0});
  EXPECT_TRUE(m.ended_in(vector::kGeneralProtection));
  m.to_user();
  m.run_program({0x0F, 0x01, 0xF8});
  EXPECT_TRUE(m.ended_in(vector::kGeneralProtection));
}

}  // namespace
}  // namespace bhvm::test
