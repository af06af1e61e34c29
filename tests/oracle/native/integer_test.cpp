// Registers, flags, exceptions without memory, and 32-bit code.
#include "native_case.h"

namespace bhvm::oracle::test {
namespace {

class NativeInteger : public NativeTest {};

TEST_F(NativeInteger, AddWithFlags) {
  const CaseGroup group = make_group({0x48, 0x01, 0xD8});  // add rax, rbx
  Case input = make_case(group);
  input.gpr[kRax] = 0x7FFFFFFFFFFFFFFF;
  input.gpr[kRbx] = 1;
  const Outcome out = run(group, input);
  EXPECT_EQ(out.vector, kBreakpoint);
  EXPECT_EQ(out.error_code, 0u);
  EXPECT_EQ(out.gpr[kRax], 0x8000000000000000);
  EXPECT_EQ(out.rflags, kFlags | kOf | kSf | kAf | kPf);
  EXPECT_EQ(out.rip, input.rip + 3 + 1);
  for (unsigned i = 1; i < 16; ++i) EXPECT_EQ(out.gpr[i], input.gpr[i]) << i;
  EXPECT_EQ(out.cs, kUserCode64);
  EXPECT_EQ(out.ss, kUserData);
  EXPECT_EQ(out.ds, kUserData);
  EXPECT_EQ(out.es, kUserData);
  EXPECT_EQ(out.fs, 0);
  EXPECT_EQ(out.gs, 0);
  EXPECT_EQ(out.cr2, 0u);
  EXPECT_EQ(out.change_count, 0u);
  EXPECT_EQ(out.change_hash, 0u);
}

TEST_F(NativeInteger, FlagsOfAProcessAreLiveAndComeBack) {
  const CaseGroup group = make_group({0x90});  // nop
  Case input = make_case(group);
  for (const u64 flag : {kCf, kPf, kAf, kZf, kSf, kDf, kOf, kNt, kAc, kId}) {
    input.rflags = kFlags | flag;
    EXPECT_EQ(run(group, input).rflags, kFlags | flag);
  }
  input.rflags = kFlags;
  EXPECT_EQ(run(group, input).rflags, kFlags);
}

TEST_F(NativeInteger, DivideByZeroIsAFaultAtTheInstruction) {
  const CaseGroup group = make_group({0x90, 0x48, 0xF7, 0xF3});  // nop; div rbx
  Case input = make_case(group);
  input.gpr[kRbx] = 0;
  const Outcome out = run(group, input);
  EXPECT_EQ(out.vector, kDivideError);
  EXPECT_EQ(out.error_code, 0u);
  EXPECT_EQ(out.rip, input.rip + 1);
  EXPECT_EQ(out.rflags, kFlags | kRf);
  EXPECT_EQ(out.gpr[kRax], input.gpr[kRax]);
}

TEST_F(NativeInteger, UndefinedOpcode) {
  const CaseGroup group = make_group({0x0F, 0x0B});  // ud2
  const Outcome out = run(group, make_case(group));
  EXPECT_EQ(out.vector, kInvalidOpcode);
  EXPECT_EQ(out.rip, kRegion + kCodeOffset);
}

TEST_F(NativeInteger, InterruptThroughAGateOfTheKernelsHasAnErrorCode) {
  const CaseGroup group = make_group({0xCD, 0x21});  // int 21h
  const Outcome out = run(group, make_case(group));
  EXPECT_EQ(out.vector, kGeneralProtection);
  EXPECT_EQ(out.error_code, 0x21u << 3 | 2);
}

TEST_F(NativeInteger, TrapFlagStepsOneInstruction) {
  const CaseGroup group = make_group({0x48, 0x01, 0xD8, 0x90, 0x90});  // add rax, rbx; nop; nop
  Case input = make_case(group);
  input.rflags = kFlags | kTf;
  const Outcome out = run(group, input);
  EXPECT_EQ(out.vector, kDebug);
  EXPECT_EQ(out.rip, input.rip + 3);
  EXPECT_EQ(out.gpr[kRax], input.gpr[kRax] + input.gpr[kRbx]);
  EXPECT_EQ(out.rflags & (kTf | kRf), kTf);
}

TEST_F(NativeInteger, SegmentBases) {
  // rdfsbase rax; rdgsbase rcx; wrfsbase rdx
  const CaseGroup group = make_group({0xF3, 0x48, 0x0F, 0xAE, 0xC0, 0xF3, 0x48, 0x0F, 0xAE, 0xC9,  //
                                      0xF3, 0x48, 0x0F, 0xAE, 0xD2});
  Case input = make_case(group);
  input.fs_base = 0x123456789000;
  input.gs_base = 0xFFFF800000000010;
  input.gpr[kRdx] = 0x7FFFFFFF0001;
  const Outcome out = run(group, input);
  EXPECT_EQ(out.vector, kBreakpoint);
  EXPECT_EQ(out.gpr[kRax], input.fs_base);
  EXPECT_EQ(out.gpr[kRcx], input.gs_base);
  EXPECT_EQ(out.fs_base, input.gpr[kRdx]);
  EXPECT_EQ(out.gs_base, input.gs_base);
}

TEST_F(NativeInteger, SegmentRegistersAreRecordedAndSetAgain) {
  const CaseGroup group = make_group({0x8E, 0xD8, 0x8E, 0xE3, 0x8E, 0xE9});  // mov ds, eax; mov fs, ebx; mov gs, ecx
  Case input = make_case(group);
  input.fs_base = 0x1000;
  input.gpr[kRax] = 0;
  input.gpr[kRbx] = kUserData;
  input.gpr[kRcx] = kUserCode32;
  const Outcome out = run(group, input);
  EXPECT_EQ(out.vector, kBreakpoint);
  EXPECT_EQ(out.ds, 0);
  EXPECT_EQ(out.es, kUserData);
  EXPECT_EQ(out.fs, kUserData);
  EXPECT_EQ(out.fs_base, 0u);
  EXPECT_EQ(out.gs, kUserCode32);
  const CaseGroup plain = make_group({0x90});
  const Outcome after = run(plain, make_case(plain));
  EXPECT_EQ(after.ds, kUserData);
  EXPECT_EQ(after.fs, 0);
  EXPECT_EQ(after.gs, 0);
}

TEST_F(NativeInteger, CompatibilityMode) {
  const CaseGroup group =
      make_group({0x27, 0x43, 0x50, 0x8C, 0xCA}, Mode::kUser32);  // daa; inc ebx; push eax; mov edx, cs
  Case input = make_case(group);
  input.gpr[kRax] = 0x1111119B;
  input.gpr[kRbx] = 0xFFFFFFFF;
  const Outcome out = run(group, input);
  EXPECT_EQ(out.vector, kBreakpoint);
  EXPECT_EQ(out.cs, kUserCode32);
  EXPECT_EQ(out.ss, kUserData);
  EXPECT_EQ(out.rip, input.rip + 5 + 1);
  EXPECT_EQ(out.gpr[kRax], 0x11111101u);
  EXPECT_EQ(out.gpr[kRbx], 0u);
  EXPECT_EQ(out.gpr[kRdx], kUserCode32);
  EXPECT_EQ(out.gpr[kRsp], input.gpr[kRsp] - 4);
  EXPECT_EQ(out.rflags & (kCf | kZf), kCf | kZf);
  ASSERT_EQ(out.change_count, 1u);
  const u32 qword = static_cast<u32>((out.gpr[kRsp] - kRegion) / 8);
  EXPECT_EQ(out.changes[0].qword, qword);
  EXPECT_EQ(out.changes[0].value, (pristine_qword(qword) & 0xFFFFFFFF) | u64{0x11111101} << 32);
}

TEST_F(NativeInteger, ManyGroupsInOneCall) {
  std::vector<CaseGroup> groups;
  for (u8 i = 0; i < 100; ++i) {
    groups.push_back(make_group({0x48, 0x83, 0xC0, i}));  // add rax, i
    for (u64 j = 0; j < 1 + i % 13u; ++j) {
      groups.back().cases.push_back(make_case(groups.back()));
      groups.back().cases.back().gpr[kRax] = 1000 * j;
    }
  }
  groups.push_back(make_group({0x90}));  // without cases
  std::vector<const CaseGroup*> pointers;
  std::size_t cases = 0;
  for (const CaseGroup& group : groups) {
    pointers.push_back(&group);
    cases += group.cases.size();
  }
  std::vector<Outcome> outcomes(cases);
  ASSERT_TRUE(runner_->run(pointers, pristine_, outcomes).ok());
  std::size_t next = 0;
  for (u64 i = 0; i < 100; ++i) {
    for (u64 j = 0; j < groups[i].cases.size(); ++j) {
      ASSERT_EQ(outcomes[next].vector, kBreakpoint);
      ASSERT_EQ(outcomes[next++].gpr[kRax], 1000 * j + i);
    }
  }
}

}  // namespace
}  // namespace bhvm::oracle::test
