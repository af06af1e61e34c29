#include "cpu/system/interrupts.h"

#include "tests/cpu/system/system_machine.h"

namespace bhvm::test {
namespace {

constexpr u64 kRf = rflags::kRf;

TEST(LongDelivery, FaultPushesTheFrameOnAnAlignedStack) {
  SystemMachine m;
  m.reg(kRsp) = kStack - 3;
  m.run_program({0x90, 0x0F, 0x0B});  // nop; ud2
  ASSERT_TRUE(m.ended_in(vector::kInvalidOpcode));
  EXPECT_EQ(m.reg(kRsp), ((kStack - 3) & ~u64{15}) - 40);
  EXPECT_EQ(m.stack(0), kCode + 1);
  EXPECT_EQ(m.stack(1), selector::kKernelCode);
  EXPECT_EQ(m.stack(2), kRf | 2);
  EXPECT_EQ(m.stack(3), kStack - 3);
  EXPECT_EQ(m.stack(4), selector::kKernelData);
}

TEST(LongDelivery, ErrorCodeAndCr2OfPageFault) {
  SystemMachine m;
  m.write64(kPageTables + 0x2000 + 8 * 4, 0);              // 8 MiB is not mapped
  m.run_program({0x89, 0x04, 0x25, 0x34, 0x12, 0x80, 0});  // mov [0x801234], eax
  ASSERT_TRUE(m.ended_in(vector::kPageFault));
  EXPECT_EQ(m.cpu.s.cr2, 0x801234u);
  EXPECT_EQ(m.stack(0), u64{pf_error::kWrite});
  EXPECT_EQ(m.stack(1), kCode);
}

TEST(LongDelivery, InterruptGateClosesIfTrapGateDoesNot) {
  for (const bool trap : {false, true}) {
    SystemMachine m;
    m.gate(0x21, trap ? SystemMachine::kTrap : SystemMachine::kInterrupt);
    m.cpu.set_rflags(rflags::kIf | rflags::kNt | rflags::kDf | rflags::kCf | 2);
    m.run_program({0xCD, 0x21});
    ASSERT_TRUE(m.ended_in(0x21));
    EXPECT_EQ(m.cpu.s.rflags, (trap ? rflags::kIf : 0) | rflags::kDf | rflags::kCf | 2);
    EXPECT_EQ(m.stack(0), kCode + 2);
    EXPECT_EQ(m.stack(2), rflags::kIf | rflags::kNt | rflags::kDf | rflags::kCf | 2);
  }
}

TEST(LongDelivery, FromUserTakesRsp0AndANullSs) {
  SystemMachine m;
  m.to_user();
  m.run_program({0xCD, 0x80});
  ASSERT_TRUE(m.ended_in(0x80));
  EXPECT_EQ(m.cpu.s.cpl, 0);
  EXPECT_EQ(m.cpu.s.segments[kSs].selector, 0);
  EXPECT_EQ(m.cpu.s.segments[kCs].selector, selector::kKernelCode);
  EXPECT_EQ(m.reg(kRsp), kRsp0 - 40);
  EXPECT_EQ(m.stack(1), selector::kUserCode);
  EXPECT_EQ(m.stack(3), kUserStack);
  EXPECT_EQ(m.stack(4), selector::kUserData);
}

TEST(LongDelivery, FromCompatibilityMode) {
  SystemMachine m;
  m.to_user(true);
  m.run_program({0xCD, 0x80});
  ASSERT_TRUE(m.ended_in(0x80));
  EXPECT_TRUE(m.cpu.code64());
  EXPECT_EQ(m.stack(0), kCode + 2);
  EXPECT_EQ(m.stack(1), selector::kUserCode32);
}

TEST(LongDelivery, IstSwitchesEvenWithinALevel) {
  SystemMachine m;
  m.gate(vector::kInvalidOpcode, SystemMachine::kInterrupt, selector::kKernelCode, 1);
  m.run_program({0x0F, 0x0B});
  ASSERT_TRUE(m.ended_in(vector::kInvalidOpcode));
  EXPECT_EQ(m.reg(kRsp), kIst1 - 40);
  EXPECT_EQ(m.cpu.s.segments[kSs].selector, selector::kKernelData);
}

TEST(LongDelivery, ConformingHandlerStaysAtItsLevel) {
  SystemMachine m;
  m.gate(0x80, SystemMachine::kUserInterrupt, selector::kConforming);
  m.place(handler_of(0x80), {0xCD, 0x80});  // no HLT at CPL 3
  m.to_user();
  m.place(kCode, {0xCD, 0x80});
  EXPECT_EQ(m.cpu.run(1), RunExit::kLimit);
  EXPECT_EQ(m.cpu.s.cpl, 3);
  EXPECT_EQ(m.cpu.s.segments[kCs].selector, selector::kConforming | 3);
  EXPECT_EQ(m.reg(kRsp), kUserStack - 40);
}

struct GateError {
  const char* what;
  u8 type;
  u16 code;
  u64 offset;
  u8 expected;
  u32 error;
};

/// What INT 21h ends in when its gate is wrong. The error codes are of a program, so EXT is 0.
TEST(LongDelivery, BadGates) {
  const GateError rows[] = {
      {"task gate", 0x85, selector::kKernelCode, kTarget, vector::kGeneralProtection, 0x21 * 8 + 2},
      {"call gate", 0x8C, selector::kKernelCode, kTarget, vector::kGeneralProtection, 0x21 * 8 + 2},
      {"16-bit gate", 0x86, selector::kKernelCode, kTarget, vector::kGeneralProtection, 0x21 * 8 + 2},
      {"not present", 0x0E, selector::kKernelCode, kTarget, vector::kSegmentNotPresent, 0x21 * 8 + 2},
      {"null code", 0x8E, 0, kTarget, vector::kGeneralProtection, 0},
      {"code outside", 0x8E, selector::kOutside, kTarget, vector::kGeneralProtection, selector::kOutside},
      {"data for code", 0x8E, selector::kKernelData, kTarget, vector::kGeneralProtection, selector::kKernelData},
      {"absent code", 0x8E, selector::kAbsentCode, kTarget, vector::kSegmentNotPresent, selector::kAbsentCode},
      {"32-bit code", 0x8E, selector::kKernelCode32, kTarget, vector::kGeneralProtection, selector::kKernelCode32},
      {"outer code", 0x8E, selector::kUserCode, kTarget, vector::kGeneralProtection, selector::kUserCode & 0xFFFC},
      {"far offset", 0x8E, selector::kKernelCode, u64{1} << 47, vector::kGeneralProtection, 0},
  };
  for (const GateError& row : rows) {
    SystemMachine m;
    m.gate_to(0x21, row.type, row.code, row.offset);
    m.run_program({0xCD, 0x21});
    EXPECT_TRUE(m.ended_in(row.expected)) << row.what;
    EXPECT_EQ(m.stack(0), row.error) << row.what;
    EXPECT_EQ(m.stack(1), kCode) << row.what;
  }
}

TEST(LongDelivery, DplIsCheckedForInstructionsOnly) {
  SystemMachine m;
  m.to_user();
  m.run_program({0xCD, 0x21});
  ASSERT_TRUE(m.ended_in(vector::kGeneralProtection));
  EXPECT_EQ(m.stack(0), 0x21u * 8 + 2);

  SystemMachine breakpoint;
  breakpoint.to_user();
  breakpoint.run_program({0xCC});
  EXPECT_TRUE(breakpoint.ended_in(vector::kGeneralProtection));
  SystemMachine icebp;
  icebp.to_user();
  icebp.run_program({0xF1});
  EXPECT_TRUE(icebp.ended_in(vector::kDebug));
  EXPECT_EQ(icebp.stack(0), kCode + 1);
}

TEST(LongDelivery, IdtLimitAndExternalBit) {
  SystemMachine m;
  m.cpu.s.idtr.limit = 0x200 - 1;  // vectors 0 to 31
  m.pending_vector = 0x40;
  m.cpu.set_rflags(rflags::kIf | 2);
  m.cpu.set_interrupt_line(true);
  m.run_program({0x90});
  ASSERT_TRUE(m.ended_in(vector::kGeneralProtection));
  EXPECT_EQ(m.stack(0), 0x40u * 8 + 3);
}

TEST(LongDelivery, BadTssAndStacks) {
  SystemMachine no_tss;
  no_tss.to_user();
  no_tss.cpu.s.tr.limit = 10;
  no_tss.gate(vector::kInvalidTss, SystemMachine::kInterrupt, selector::kConforming);
  no_tss.place(kCode, {0xCD, 0x80});
  no_tss.cpu.run(1);
  EXPECT_EQ(no_tss.cpu.s.rip, handler_of(vector::kInvalidTss));
  EXPECT_EQ(no_tss.stack(0), selector::kTask);

  SystemMachine far_stack;
  far_stack.gate(vector::kStackFault, SystemMachine::kInterrupt, selector::kKernelCode, 1);
  far_stack.write64(kTss + 4, u64{1} << 50);
  far_stack.to_user();
  far_stack.run_program({0xCD, 0x80});
  EXPECT_TRUE(far_stack.ended_in(vector::kStackFault));
  EXPECT_EQ(far_stack.stack(0), 0u);
}

TEST(LongDelivery, FrameAcrossPagesIsWrittenWholeOrNotAtAll) {
  SystemMachine m;
  // 4 KiB pages at 10 MiB: the lower one is missing, the upper one is there.
  m.write64(kPageTables + 0x2000 + 8 * 5, 0x5000 | 7);
  m.write64(0x5000 + 8, (u64{10} << 20 | 0x1000) | 7);
  m.write64((u64{10} << 20) + 0x1000, 0x1111);
  m.gate(vector::kPageFault, SystemMachine::kInterrupt, selector::kKernelCode, 1);
  m.reg(kRsp) = (u64{10} << 20) + 0x1010;
  m.run_program({0xCD, 0x21});
  ASSERT_TRUE(m.ended_in(vector::kPageFault));
  EXPECT_EQ(m.read64((u64{10} << 20) + 0x1000), 0x1111u);
  EXPECT_EQ(m.stack(1), kCode);
}

// ---- nested faults (SDM 3, 6.15) ----

TEST(DoubleFault, ContributoryOnContributory) {
  SystemMachine m;
  m.gate(vector::kGeneralProtection, 0x0E);  // #GP: not present, so #NP: contributory
  m.run_program({0x31, 0xC9, 0x0F, 0x32});   // xor ecx, ecx; rdmsr
  ASSERT_TRUE(m.ended_in(vector::kDoubleFault));
  EXPECT_EQ(m.stack(0), 0u);
  EXPECT_EQ(m.stack(1), kCode + 2);
}

TEST(DoubleFault, BenignFirstIsServedSerially) {
  SystemMachine m;
  m.gate(vector::kInvalidOpcode, 0x0E);
  m.run_program({0x0F, 0x0B});
  ASSERT_TRUE(m.ended_in(vector::kSegmentNotPresent));
  EXPECT_EQ(m.stack(0), u64{vector::kInvalidOpcode} * 8 + 3);  // EXT: not by a program
}

TEST(DoubleFault, PageFaultAfterContributoryIsServedSerially) {
  SystemMachine m;
  // The stack of the #GP handler is not mapped; the #PF handler has another.
  m.write64(kPageTables + 0x2000 + 8 * 4, 0);
  m.write64(kTss + 36 + 8, 0x900000);
  m.gate(vector::kGeneralProtection, SystemMachine::kInterrupt, selector::kKernelCode, 2);
  m.run_program({0x31, 0xC9, 0x0F, 0x32});
  ASSERT_TRUE(m.ended_in(vector::kPageFault));
}

TEST(DoubleFault, AnyFaultOnPageFault) {
  SystemMachine m;
  m.write64(kPageTables + 0x2000 + 8 * 4, 0);
  m.gate(vector::kPageFault, 0x0E);
  m.run_program({0x8B, 0x04, 0x25, 0x34, 0x12, 0x80, 0});
  ASSERT_TRUE(m.ended_in(vector::kDoubleFault));
  EXPECT_EQ(m.cpu.s.cr2, 0x801234u);
}

TEST(DoubleFault, FaultOnDoubleFaultShutsDown) {
  SystemMachine m;
  m.gate(vector::kGeneralProtection, 0x0E);
  m.gate(vector::kDoubleFault, 0x0E);
  m.run_program({0x31, 0xC9, 0x0F, 0x32});
  EXPECT_EQ(m.exit, RunExit::kShutdown);
}

TEST(DoubleFault, AnEmptyIdtShutsDown) {
  SystemMachine m;
  m.cpu.s.idtr.limit = 0;
  m.run_program({0x0F, 0x0B});
  EXPECT_EQ(m.exit, RunExit::kShutdown);
}

// ---- 32-bit protected mode ----

TEST(ProtectedDelivery, SameLevel32BitGates) {
  SystemMachine m(true);
  m.cpu.set_rflags(rflags::kIf | 2);
  m.run_program({0x90, 0xCD, 0x21});
  ASSERT_TRUE(m.ended_in(0x21));
  EXPECT_EQ(m.reg(kRsp), kStack - 12);
  EXPECT_EQ(m.stack(0, 4), kCode + 3);
  EXPECT_EQ(m.stack(1, 4), selector::kKernelCode);
  EXPECT_EQ(m.stack(2, 4), rflags::kIf | 2);
  EXPECT_EQ(m.cpu.s.rflags & rflags::kIf, 0u);
}

TEST(ProtectedDelivery, SixteenBitGatePushesWords) {
  SystemMachine m(true);
  m.descriptor(selector::kKernelCode32, segment_descriptor(0xC09B, kHandlers, 0xFFFFF));
  m.gate_to(0x21, 0x86, selector::kKernelCode32, 0x210);
  m.run_program({0xCD, 0x21});
  EXPECT_EQ(m.exit, RunExit::kHalted);
  EXPECT_EQ(m.cpu.s.rip, 0x211u);
  EXPECT_EQ(m.reg(kRsp), kStack - 6);
  EXPECT_EQ(m.stack(0, 2), (kCode + 2) & 0xFFFF);
  EXPECT_EQ(m.stack(1, 2), selector::kKernelCode);
}

TEST(ProtectedDelivery, InnerLevelSwitchesStacks) {
  SystemMachine m(true);
  m.to_user();
  m.run_program({0x0F, 0x06});  // clts: #GP(0)
  ASSERT_TRUE(m.ended_in(vector::kGeneralProtection));
  EXPECT_EQ(m.cpu.s.cpl, 0);
  EXPECT_EQ(m.cpu.s.segments[kSs].selector, selector::kKernelData);
  EXPECT_EQ(m.reg(kRsp), kRsp0 - 24);
  const u64 expected[] = {0, kCode, selector::kUserCode, kRf | 2, kUserStack, selector::kUserData};
  for (unsigned i = 0; i < 6; ++i) EXPECT_EQ(m.stack(i, 4), expected[i]) << i;
}

TEST(ProtectedDelivery, BadInnerStacks) {
  struct Row {
    u16 ss;
    u8 expected;
    u32 error;
  };
  const Row rows[] = {{0, vector::kInvalidTss, 0},
                      {selector::kOutside, vector::kInvalidTss, selector::kOutside},
                      {selector::kUserData, vector::kInvalidTss, selector::kUserData & 0xFFFC},
                      {selector::kReadOnly, vector::kInvalidTss, selector::kReadOnly},
                      {selector::kAbsentData, vector::kStackFault, selector::kAbsentData}};
  for (const Row& row : rows) {
    SystemMachine m(true);
    for (const u8 v : {vector::kInvalidTss, vector::kStackFault})
      m.gate(v, SystemMachine::kInterrupt, selector::kConforming);
    m.write_bytes(kTss + 8, row.ss, 2);
    m.to_user();
    m.place(kCode, {0xCD, 0x80});
    m.cpu.run(1);
    EXPECT_EQ(m.cpu.s.rip, handler_of(row.expected)) << row.ss;
    EXPECT_EQ(m.stack(0, 4), row.error) << row.ss;
  }
}

TEST(ProtectedDelivery, TaskGateIsUnsupported) {
  SystemMachine m(true);
  m.gate(0x21, 0x85);
  m.run_program({0xCD, 0x21});
  EXPECT_EQ(m.exit, RunExit::kUnsupported);
  EXPECT_THAT(m.cpu.stop_message, testing::HasSubstr("task"));
}

TEST(ProtectedDelivery, OffsetBeyondTheLimit) {
  SystemMachine m(true);
  m.descriptor(selector::kKernelCode32, segment_descriptor(0x409B, 0, 0xFFF));
  m.gate(0x21, SystemMachine::kInterrupt, selector::kKernelCode32);
  m.run_program({0xCD, 0x21});
  ASSERT_TRUE(m.ended_in(vector::kGeneralProtection));
  EXPECT_EQ(m.stack(0, 4), 0u);
}

// ---- external interrupts ----

TEST(ExternalInterrupt, WakesHlt) {
  SystemMachine m;
  m.cpu.set_rflags(rflags::kIf | 2);
  m.run_program({0xF4, 0x90});
  EXPECT_EQ(m.exit, RunExit::kHalted);
  m.pending_vector = 0x55;
  m.cpu.set_interrupt_line(true);
  m.exit = m.run();
  ASSERT_TRUE(m.ended_in(0x55));
  EXPECT_EQ(m.stack(0), kCode + 1);
}

TEST(ExternalInterrupt, NmiIsBlockedUntilIret) {
  SystemMachine m;
  m.place(handler_of(vector::kNmi), {0x48, 0xCF});
  m.place(kCode, {0xF4});
  ASSERT_TRUE(deliver_nmi(m.cpu));
  EXPECT_TRUE(m.cpu.s.nmi_blocked);
  EXPECT_EQ(m.run(), RunExit::kHalted);
  EXPECT_FALSE(m.cpu.s.nmi_blocked);
}

TEST(Int, IntoTrapsOnOverflowOnly) {
  SystemMachine m(true);
  m.run_program({0xCE, 0xF4});
  EXPECT_EQ(m.cpu.s.rip, kCode + 2);
  SystemMachine overflow(true);
  overflow.run_program({0xB0, 0x7F, 0x04, 0x01, 0xCE, 0xF4});  // mov al, 127; add al, 1; into
  EXPECT_TRUE(overflow.ended_in(vector::kOverflow));
  EXPECT_EQ(overflow.stack(0, 4), kCode + 5);
}

}  // namespace
}  // namespace bhvm::test
