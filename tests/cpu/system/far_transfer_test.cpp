#include "cpu/system/far_transfer.h"

#include "tests/cpu/system/system_machine.h"

namespace bhvm::test {
namespace {

using testing::ElementsAre;

/// Puts the values at RSP, the first one on top.
void set_stack(SystemMachine& m, std::initializer_list<u64> values, unsigned size) {
  u64 at = m.reg(kRsp) - values.size() * size;
  m.reg(kRsp) = at;
  for (const u64 value : values) {
    m.write_bytes(at, value, size);
    at += size;
  }
}

// ---- IRET in IA-32e mode ----

TEST(Iret, SameLevelLoadsSsAndRsp) {
  SystemMachine m;
  m.place(kTarget, {0xF4});
  set_stack(m, {kTarget, selector::kKernelCode, rflags::kDf | rflags::kIf | 2, 0x70003, selector::kKernelData}, 8);
  m.run_program({0x48, 0xCF});
  EXPECT_EQ(m.cpu.s.rip, kTarget + 1);
  EXPECT_EQ(m.reg(kRsp), 0x70003u);
  EXPECT_EQ(m.cpu.s.rflags, rflags::kDf | rflags::kIf | 2);
}

TEST(Iret, ToUserDropsPrivilegedSegmentsAndKeepsBases) {
  SystemMachine m;
  m.cpu.s.segments[kFs] = {0, 0, 0, 0x1234567890};
  set_stack(m, {kTarget, selector::kUserCode, rflags::kIf | 2, kUserStack, selector::kUserData}, 8);
  m.place(kCode, {0x48, 0xCF});
  m.cpu.run(1);
  EXPECT_EQ(m.cpu.s.rip, kTarget);
  EXPECT_EQ(m.cpu.s.cpl, 3);
  EXPECT_EQ(m.cpu.s.segments[kSs].selector, selector::kUserData);
  EXPECT_EQ(m.cpu.s.segments[kDs].selector, 0);
  EXPECT_EQ(m.cpu.s.segments[kDs].attributes & descriptor::kPresent, 0);
  EXPECT_EQ(m.cpu.s.segments[kFs].base, 0x1234567890u);
  EXPECT_EQ(m.cpu.user, 1u);
}

TEST(Iret, ToUserMakesNullSelectorsZero) {
  SystemMachine m;
  m.cpu.s.segments[kFs] = {3, 0, 0, 0x1234567890};
  m.cpu.s.segments[kDs] = {1, 0, 0, 0};
  set_stack(m, {kTarget, selector::kUserCode, 2, kUserStack, selector::kUserData}, 8);
  m.place(kCode, {0x48, 0xCF});
  m.cpu.run(1);
  EXPECT_EQ(m.cpu.s.segments[kFs].selector, 0);
  EXPECT_EQ(m.cpu.s.segments[kFs].base, 0x1234567890u);
  EXPECT_EQ(m.cpu.s.segments[kDs].selector, 0);
}

TEST(Iret, ToCompatibilityMode) {
  SystemMachine m;
  m.place(kTarget, {0x40, 0xCD, 0x80});  // inc eax; a REX prefix in 64-bit mode
  set_stack(m, {kTarget, selector::kUserCode32, 2, kUserStack, selector::kUserData}, 8);
  m.run_program({0x48, 0xCF});
  ASSERT_TRUE(m.ended_in(0x80));
  EXPECT_EQ(m.reg(kRax), 1u);
  EXPECT_EQ(m.stack(0), kTarget + 3);
  EXPECT_EQ(m.stack(3), kUserStack);
}

TEST(Iret, UserMayNotChangeIfAndIopl) {
  SystemMachine m;
  m.to_user();
  set_stack(
      m, {kTarget, selector::kUserCode, rflags::kIf | rflags::kIopl | rflags::kAc | 2, kUserStack, selector::kUserData},
      8);
  m.place(kCode, {0x48, 0xCF});
  m.cpu.run(1);
  EXPECT_EQ(m.cpu.s.rip, kTarget);
  EXPECT_EQ(m.cpu.s.rflags, rflags::kAc | 2);
}

struct BadReturn {
  const char* what;
  u64 rip;
  u16 cs;
  u16 ss;
  u8 vector;
  u32 error;
};

TEST(Iret, BadFramesAreRefusedAndChangeNothing) {
  const BadReturn rows[] = {
      {"null cs", kTarget, 3, selector::kUserData, vector::kGeneralProtection, 0},
      {"cs outside", kTarget, selector::kOutside, selector::kKernelData, vector::kGeneralProtection,
       selector::kOutside},
      {"data for cs", kTarget, selector::kKernelData, selector::kKernelData, vector::kGeneralProtection,
       selector::kKernelData},
      {"rpl above dpl", kTarget, selector::kKernelCode | 3, selector::kUserData, vector::kGeneralProtection,
       selector::kKernelCode},
      {"absent cs", kTarget, selector::kAbsentCode, selector::kKernelData, vector::kSegmentNotPresent,
       selector::kAbsentCode},
      {"l and d", kTarget, selector::kBadCode, selector::kKernelData, vector::kGeneralProtection, selector::kBadCode},
      {"null ss at level 3", kTarget, selector::kUserCode, 3, vector::kGeneralProtection, 0},
      {"ss of another level", kTarget, selector::kUserCode, selector::kKernelData, vector::kGeneralProtection,
       selector::kKernelData},
      {"absent ss", kTarget, selector::kKernelCode, selector::kAbsentData, vector::kStackFault, selector::kAbsentData},
      {"read-only ss", kTarget, selector::kKernelCode, selector::kReadOnly, vector::kGeneralProtection,
       selector::kReadOnly},
      {"far rip", u64{1} << 47, selector::kUserCode, selector::kUserData, vector::kGeneralProtection, 0},
  };
  for (const BadReturn& row : rows) {
    SystemMachine m;
    set_stack(m, {row.rip, row.cs, rflags::kDf | 2, 0x70000, row.ss}, 8);
    const u64 rsp = m.reg(kRsp);
    m.run_program({0x48, 0xCF});
    EXPECT_TRUE(m.ended_in(row.vector)) << row.what;
    EXPECT_EQ(m.stack(0), row.error) << row.what;
    EXPECT_EQ(m.stack(1), kCode) << row.what;
    EXPECT_EQ(m.stack(3) & rflags::kDf, 0u) << row.what;
    EXPECT_EQ(m.stack(4), rsp) << row.what;
  }
}

TEST(Iret, NullSsIsFineBelowLevel3) {
  SystemMachine m;
  m.place(kTarget, {0xF4});
  set_stack(m, {kTarget, selector::kKernelCode, 2, 0x70000, 0}, 8);
  m.run_program({0x48, 0xCF});
  EXPECT_EQ(m.cpu.s.rip, kTarget + 1);
  EXPECT_EQ(m.cpu.s.segments[kSs].selector, 0);
}

TEST(Iret, NestedTaskIsRefusedInLongMode) {
  SystemMachine m;
  m.cpu.set_rflags(rflags::kNt | 2);
  m.run_program({0x48, 0xCF});
  EXPECT_TRUE(m.ended_in(vector::kGeneralProtection));
}

// ---- IRET in protected mode ----

TEST(IretProtected, SameLevelPopsThree) {
  SystemMachine m(true);
  m.place(kTarget, {0xF4});
  set_stack(m, {kTarget, selector::kKernelCode, rflags::kDf | 2}, 4);
  m.run_program({0xCF});
  EXPECT_EQ(m.cpu.s.rip, kTarget + 1);
  EXPECT_EQ(m.reg(kRsp), kStack);
}

TEST(IretProtected, OuterLevelPopsTheStack) {
  SystemMachine m(true);
  set_stack(m, {kTarget, selector::kUserCode, rflags::kIf | 2, kUserStack, selector::kUserData}, 4);
  m.place(kCode, {0xCF});
  m.cpu.run(1);
  EXPECT_EQ(m.cpu.s.cpl, 3);
  EXPECT_EQ(m.cpu.s.rip, kTarget);
  EXPECT_EQ(m.reg(kRsp), kUserStack);
  EXPECT_EQ(m.cpu.s.segments[kEs].selector, 0);
}

TEST(IretProtected, TasksAndVirtual8086AreUnsupported) {
  SystemMachine nested(true);
  nested.cpu.set_rflags(rflags::kNt | 2);
  nested.run_program({0xCF});
  EXPECT_EQ(nested.exit, RunExit::kUnsupported);
  SystemMachine vm86(true);
  set_stack(vm86, {0, 0, rflags::kVm | 2, 0, 0, 0, 0, 0, 0}, 4);
  vm86.run_program({0xCF});
  EXPECT_EQ(vm86.exit, RunExit::kUnsupported);
}

// ---- JMP, CALL, RET ----

TEST(Far, CallAndReturnBetween64BitAndCompatibilityMode) {
  SystemMachine m;
  m.write_bytes(kData, kTarget, 4);
  m.write_bytes(kData + 4, selector::kKernelCode32, 2);
  m.place(kTarget, {0x40, 0xCB});                                   // inc eax; retf
  m.run_program({0xFF, 0x1C, 0x25, 0x00, 0x00, 0x10, 0x00, 0xF4});  // call far [kData]
  EXPECT_EQ(m.exit, RunExit::kHalted);
  EXPECT_EQ(m.cpu.s.rip, kCode + 8);
  EXPECT_EQ(m.reg(kRax), 1u);
  EXPECT_TRUE(m.cpu.code64());
  EXPECT_EQ(m.reg(kRsp), kStack);
}

TEST(Far, DirectTargets) {
  struct Row {
    u16 selector;
    int vector;  // -1: works
    u32 error;
  };
  const Row rows[] = {{selector::kKernelCode, -1, 0},
                      {selector::kConforming, -1, 0},
                      {0, vector::kGeneralProtection, 0},
                      {selector::kKernelCode | 3, vector::kGeneralProtection, selector::kKernelCode},
                      {selector::kUserCode, vector::kGeneralProtection, selector::kUserCode & 0xFFFC},
                      {selector::kKernelData, vector::kGeneralProtection, selector::kKernelData},
                      {selector::kBadCode, vector::kGeneralProtection, selector::kBadCode},
                      {selector::kTask, vector::kGeneralProtection, selector::kTask},
                      {selector::kAbsentCode, vector::kSegmentNotPresent, selector::kAbsentCode}};
  for (const Row& row : rows) {
    SystemMachine m;
    m.place(kTarget, {0xF4});
    m.write_bytes(kData, kTarget, 8);
    m.write_bytes(kData + 8, row.selector, 2);
    m.run_program({0x48, 0xFF, 0x2C, 0x25, 0x00, 0x00, 0x10, 0x00});  // jmp far qword [kData]
    if (row.vector < 0) {
      EXPECT_EQ(m.cpu.s.rip, kTarget + 1) << row.selector;
    } else {
      EXPECT_TRUE(m.ended_in(static_cast<u8>(row.vector))) << row.selector;
      EXPECT_EQ(m.stack(0), row.error) << row.selector;
    }
  }
}

void make_gate(SystemMachine& m, u16 code, u64 offset, u8 type = 0xEC) {
  m.descriptor(selector::kGate, gate_descriptor(type, code, static_cast<u32>(offset)), offset >> 32, true);
}

TEST(Far, CallGateToAnInnerLevelAndBack) {
  SystemMachine m;
  make_gate(m, selector::kKernelCode, kTarget);
  m.place(kTarget, {0x48, 0xCB});  // retfq
  m.write_bytes(kData + 4, selector::kGate, 2);
  m.to_user();
  m.place(kCode, {0xFF, 0x1C, 0x25, 0x00, 0x00, 0x10, 0x00});
  m.cpu.run(1);
  EXPECT_EQ(m.cpu.s.cpl, 0);
  EXPECT_EQ(m.cpu.s.rip, kTarget);
  EXPECT_EQ(m.reg(kRsp), kRsp0 - 32);
  EXPECT_EQ(m.cpu.s.segments[kSs].selector, 0);
  EXPECT_THAT((std::array{m.stack(0), m.stack(1), m.stack(2), m.stack(3)}),
              ElementsAre(kCode + 7, selector::kUserCode, kUserStack, selector::kUserData));
  m.cpu.run(1);
  EXPECT_EQ(m.cpu.s.cpl, 3);
  EXPECT_EQ(m.cpu.s.rip, kCode + 7);
  EXPECT_EQ(m.reg(kRsp), kUserStack);
}

TEST(Far, JumpThroughAGateStaysAtItsLevel) {
  SystemMachine m;
  make_gate(m, selector::kKernelCode, kTarget);
  m.write_bytes(kData + 4, selector::kGate, 2);
  m.to_user();
  m.run_program({0xFF, 0x2C, 0x25, 0x00, 0x00, 0x10, 0x00});
  ASSERT_TRUE(m.ended_in(vector::kGeneralProtection));
  EXPECT_EQ(m.stack(0), selector::kKernelCode);
}

TEST(Far, GateWithAReservedUpperHalf) {
  SystemMachine m;
  m.descriptor(selector::kGate, gate_descriptor(0xEC, selector::kKernelCode, kTarget), u64{1} << 40, true);
  m.write_bytes(kData + 4, selector::kGate, 2);
  m.run_program({0xFF, 0x1C, 0x25, 0x00, 0x00, 0x10, 0x00});
  ASSERT_TRUE(m.ended_in(vector::kGeneralProtection));
  EXPECT_EQ(m.stack(0), selector::kGate & 0xFFFC);
}

TEST(FarProtected, CallGateCopiesParameters) {
  SystemMachine m(true);
  make_gate(m, selector::kKernelCode, kTarget);
  m.descriptor(selector::kGate, gate_descriptor(0xEC, selector::kKernelCode, kTarget, 2));  // two parameters
  m.place(kTarget, {0xCA, 0x08, 0x00});                                                     // retf 8
  m.to_user();
  set_stack(m, {0x111, 0x222}, 4);
  m.place(kCode, {0x9A, 0, 0, 0, 0, selector::kGate, 0});
  m.cpu.run(1);
  EXPECT_EQ(m.cpu.s.cpl, 0);
  const u64 expected[] = {kCode + 7, selector::kUserCode, 0x111, 0x222, kUserStack - 8, selector::kUserData};
  for (unsigned i = 0; i < 6; ++i) EXPECT_EQ(m.stack(i, 4), expected[i]) << i;
  m.cpu.run(1);
  EXPECT_EQ(m.cpu.s.cpl, 3);
  EXPECT_EQ(m.reg(kRsp), kUserStack);
  EXPECT_EQ(m.cpu.s.rip, kCode + 7);
}

TEST(FarProtected, DirectCallAndReturn) {
  SystemMachine m(true);
  m.place(kTarget, {0x40, 0xCB});
  m.run_program({0x9A, 0x00, 0x00, 0x04, 0x00, selector::kKernelCode32, 0, 0xF4});
  EXPECT_EQ(m.exit, RunExit::kHalted);
  EXPECT_EQ(m.cpu.s.rip, kCode + 8);
  EXPECT_EQ(m.reg(kRax), 1u);
}

TEST(FarProtected, TasksAreUnsupported) {
  SystemMachine m(true);
  m.descriptor(selector::kTask, segment_descriptor(0x0089, kTss, kTssLimit));
  m.run_program({0xEA, 0, 0, 0, 0, selector::kTask, 0});
  EXPECT_EQ(m.exit, RunExit::kUnsupported);
}

}  // namespace
}  // namespace bhvm::test
