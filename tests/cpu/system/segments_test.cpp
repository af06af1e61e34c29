#include "cpu/system/segments.h"

#include "cpu/system/stack.h"
#include "tests/cpu/system/system_machine.h"

namespace bhvm::test {
namespace {

struct LoadRow {
  const char* what;
  SegmentIndex index;
  u16 selector;
  int vector;  // -1: loads
  u32 error;
};

TEST(LoadSegment, Checks) {
  const LoadRow rows[] = {
      {"data", kDs, selector::kUserData, -1, 0},
      {"null", kEs, 3, -1, 0},
      {"conforming code", kFs, selector::kConforming | 3, -1, 0},
      {"rpl above dpl", kDs, selector::kKernelData | 3, vector::kGeneralProtection, selector::kKernelData},
      {"execute-only", kDs, selector::kExecuteOnly, vector::kGeneralProtection, selector::kExecuteOnly},
      {"system", kDs, selector::kTask, vector::kGeneralProtection, selector::kTask},
      {"outside", kGs, selector::kOutside, vector::kGeneralProtection, selector::kOutside},
      {"no ldt", kGs, 4, vector::kGeneralProtection, 4},
      {"absent", kDs, selector::kAbsentData, vector::kSegmentNotPresent, selector::kAbsentData},
      {"null ss", kSs, 0, -1, 0},
      {"null ss, rpl 3", kSs, 3, vector::kGeneralProtection, 0},
      {"ss of level 3", kSs, selector::kUserData, vector::kGeneralProtection, selector::kUserData & 0xFFFC},
      {"ss code", kSs, selector::kKernelCode, vector::kGeneralProtection, selector::kKernelCode},
      {"ss read-only", kSs, selector::kReadOnly, vector::kGeneralProtection, selector::kReadOnly},
      {"ss absent", kSs, selector::kAbsentData, vector::kStackFault, selector::kAbsentData},
  };
  for (const LoadRow& row : rows) {
    SystemMachine m;
    const bool loaded = load_segment(m.cpu, row.index, row.selector);
    EXPECT_EQ(loaded, row.vector < 0) << row.what;
    if (loaded) {
      EXPECT_EQ(m.cpu.s.segments[row.index].selector, row.selector) << row.what;
    } else {
      EXPECT_EQ(m.cpu.fault.vector, row.vector) << row.what;
      EXPECT_EQ(m.cpu.fault.error_code, row.error) << row.what;
    }
  }
}

TEST(LoadSegment, NullSsNeeds64BitCode) {
  SystemMachine m(true);
  EXPECT_FALSE(load_segment(m.cpu, kSs, 0));
  EXPECT_EQ(m.cpu.fault.vector, vector::kGeneralProtection);
}

TEST(LoadSegment, SetsTheAccessedBitAndReadsTheLdt) {
  SystemMachine m;
  m.write64(kLdt + 8, segment_descriptor(0xC0F2, 0x12345678, 0xABCDE));
  m.cpu.s.ldtr = {selector::kLocal, 0x0082, 0x1F, kLdt};
  ASSERT_TRUE(load_segment(m.cpu, kFs, 0xC | 3));
  EXPECT_EQ(m.cpu.s.segments[kFs].base, 0x12345678u);
  EXPECT_EQ(m.cpu.s.segments[kFs].limit, 0xABCDEFFFu);
  EXPECT_EQ(m.read64(kLdt + 8), segment_descriptor(0xC0F3, 0x12345678, 0xABCDE));
}

TEST(MovSegment, StoresZeroExtendAndMemoryTakes16Bits) {
  SystemMachine m;
  m.reg(kRax) = ~u64{0};
  m.write64(kData, ~u64{0});
  // mov eax, ss; mov [kData], ss; hlt
  m.run_program({0x8C, 0xD0, 0x8C, 0x14, 0x25, 0x00, 0x00, 0x10, 0x00, 0xF4});
  EXPECT_EQ(m.reg(kRax), selector::kKernelData);
  EXPECT_EQ(m.read64(kData), 0xFFFFFFFFFFFF0000 | selector::kKernelData);
}

TEST(MovSegment, PushPopAndLss) {
  SystemMachine m;
  m.write_bytes(kData, 0x70000, 4);
  m.write_bytes(kData + 4, selector::kKernelData, 2);
  // push fs; pop gs; lss esp, [kData]; hlt
  m.cpu.s.segments[kFs].selector = selector::kUserData;
  m.run_program({0x0F, 0xA0, 0x0F, 0xA9, 0x0F, 0xB2, 0x24, 0x25, 0x00, 0x00, 0x10, 0x00, 0xF4});
  EXPECT_EQ(m.exit, RunExit::kHalted);
  EXPECT_EQ(m.cpu.s.segments[kGs].selector, selector::kUserData);
  EXPECT_EQ(m.reg(kRsp), 0x70000u);
}

TEST(Stack, SixteenBitPointersWrapAndKeepTheUpperHalf) {
  SystemMachine m(true);
  m.reg(kRsp) = 0x12340002;
  Stack stack = segment_stack({selector::kData16, 0x0093, 0xFFFF, kData}, m.reg(kRsp), false, 0);
  ASSERT_TRUE(push_values(m.cpu, stack, std::array<u64, 2>{0x1111, 0x2222}, 2));
  commit_stack_pointer(m.cpu, stack);
  EXPECT_EQ(m.reg(kRsp), 0x1234FFFEu);
  EXPECT_EQ(m.read64(kData) & 0xFFFF, 0x1111u);
  EXPECT_EQ(m.read64(kData + 0xFFFE) & 0xFFFF, 0x2222u);
}

TEST(Stack, AGroupThatDoesNotFitWritesNothing) {
  SystemMachine m(true);
  Stack stack = segment_stack({selector::kData16, 0x4097, 0xFFF, kData}, 0x1004, false, 0x18);  // expand-down
  EXPECT_FALSE(push_values(m.cpu, stack, std::array<u64, 2>{0x1111, 0x2222}, 4));
  EXPECT_EQ(m.cpu.fault.vector, vector::kStackFault);
  EXPECT_EQ(m.cpu.fault.error_code, 0x18u);
  EXPECT_EQ(m.read64(kData + 0x1000), 0u);
}

// ---- LAR LSL VERR VERW ARPL ----

struct Probe {
  bool zf;
  u64 value;
};

/// 0F `opcode` for RAX, RCX with the selector in RCX.
Probe probe(SystemMachine& m, u8 opcode, u16 sel) {
  m.reg(kRcx) = sel;
  m.reg(kRax) = 0x5555;
  m.run_program({0x48, 0x0F, opcode, 0xC1, 0xF4});
  return {(m.cpu.s.rflags & rflags::kZf) != 0, m.reg(kRax)};
}

TEST(Probe, LarAndLsl) {
  SystemMachine m;
  EXPECT_EQ(probe(m, 0x02, selector::kKernelData).value, 0x00C09300u);
  EXPECT_EQ(probe(m, 0x03, selector::kKernelData).value, 0xFFFFFFFFu);
  EXPECT_EQ(probe(m, 0x03, selector::kTask).value, u64{kTssLimit});
  EXPECT_FALSE(probe(m, 0x02, 0).zf);
  EXPECT_FALSE(probe(m, 0x02, selector::kOutside).zf);
  EXPECT_EQ(probe(m, 0x02, selector::kOutside).value, 0x5555u);
  EXPECT_FALSE(probe(m, 0x02, selector::kKernelData | 3).zf);
  EXPECT_TRUE(probe(m, 0x02, selector::kConforming | 3).zf);
  m.descriptor(selector::kGate, gate_descriptor(0xEC, selector::kKernelCode, kTarget), 0, true);
  EXPECT_TRUE(probe(m, 0x02, selector::kGate).zf);
  EXPECT_FALSE(probe(m, 0x03, selector::kGate).zf);
  m.descriptor(selector::kGate, gate_descriptor(0xE4, selector::kKernelCode, kTarget), 0, true);
  EXPECT_FALSE(probe(m, 0x02, selector::kGate).zf);  // no 16-bit gates in IA-32e mode
}

TEST(Probe, VerrAndVerw) {
  SystemMachine m;
  const auto verify = [&](u8 modrm, u16 sel) {
    m.reg(kRcx) = sel;
    m.run_program({0x0F, 0x00, modrm, 0xF4});
    return (m.cpu.s.rflags & rflags::kZf) != 0;
  };
  constexpr u8 kVerr = 0xE1, kVerw = 0xE9;
  EXPECT_TRUE(verify(kVerr, selector::kKernelData));
  EXPECT_TRUE(verify(kVerw, selector::kKernelData));
  EXPECT_FALSE(verify(kVerw, selector::kReadOnly));
  EXPECT_FALSE(verify(kVerr, selector::kExecuteOnly));
  EXPECT_FALSE(verify(kVerr, selector::kTask));
  EXPECT_FALSE(verify(kVerr, 0));
}

TEST(Probe, Arpl) {
  SystemMachine m(true);
  m.reg(kRcx) = 0x10;
  m.reg(kRax) = 3;
  m.run_program({0x63, 0xC1, 0xF4});  // arpl cx, ax
  EXPECT_EQ(m.reg(kRcx), 0x13u);
  EXPECT_TRUE(m.cpu.s.rflags & rflags::kZf);
  m.run_program({0x63, 0xC1, 0xF4});
  EXPECT_FALSE(m.cpu.s.rflags & rflags::kZf);
}

// ---- descriptor tables ----

TEST(Tables, LgdtSgdtRoundTrip) {
  SystemMachine m;
  m.write_bytes(kData, 0xFFF, 2);
  m.write64(kData + 2, 0xFFFF800012345678);
  // lidt [kData]; sidt [kData+16]; hlt
  m.run_program({0x0F, 0x01, 0x1C, 0x25, 0, 0, 0x10, 0, 0x0F, 0x01, 0x0C, 0x25, 0x10, 0, 0x10, 0, 0xF4});
  EXPECT_EQ(m.exit, RunExit::kHalted);
  EXPECT_EQ(m.cpu.s.idtr.base, 0xFFFF800012345678u);
  EXPECT_EQ(m.cpu.s.idtr.limit, 0xFFF);
  EXPECT_EQ(m.read64(kData + 18), 0xFFFF800012345678u);

  SystemMachine bad;
  bad.write64(kData + 2, u64{1} << 60);
  bad.run_program({0x0F, 0x01, 0x14, 0x25, 0, 0, 0x10, 0});
  EXPECT_TRUE(bad.ended_in(vector::kGeneralProtection));
  EXPECT_EQ(bad.cpu.s.gdtr.base, kGdt);
}

TEST(Tables, SixteenBitOperandLoads24Bits) {
  SystemMachine m(true);
  m.write64(kData, 0x12FFFFFF00FF);
  m.run_program({0x66, 0x0F, 0x01, 0x1D, 0, 0, 0x10, 0, 0xF4});
  EXPECT_EQ(m.cpu.s.idtr.base, 0xFFFFFFu);
}

TEST(Tables, LtrMakesBusyAndRefusesABusyOne) {
  SystemMachine m;
  m.descriptor(selector::kTask, segment_descriptor(0x0089, 0x5000, 0x67), 0xFFFF8000, true);
  m.reg(kRax) = selector::kTask;
  m.run_program({0x0F, 0x00, 0xD8, 0xF4});
  EXPECT_EQ(m.cpu.s.tr.base, 0xFFFF800000005000u);
  EXPECT_EQ(m.read64(kGdt + selector::kTask), segment_descriptor(0x008B, 0x5000, 0x67));
  m.run_program({0x0F, 0x00, 0xD8, 0xF4});
  ASSERT_TRUE(m.ended_in(vector::kGeneralProtection));
  EXPECT_EQ(m.stack(0), selector::kTask);
}

TEST(Tables, Lldt) {
  SystemMachine m;
  m.descriptor(selector::kLocal, segment_descriptor(0x0082, kLdt, 0x1F), 0, true);
  m.reg(kRax) = selector::kLocal;
  m.run_program({0x0F, 0x00, 0xD0, 0x0F, 0x00, 0xC1, 0xF4});  // lldt ax; sldt ecx
  EXPECT_EQ(m.cpu.s.ldtr.base, kLdt);
  EXPECT_EQ(m.reg(kRcx), selector::kLocal);
  m.reg(kRax) = selector::kKernelData;
  m.run_program({0x0F, 0x00, 0xD0, 0xF4});
  EXPECT_TRUE(m.ended_in(vector::kGeneralProtection));
}

TEST(Tables, UmipHidesThemFromUsers) {
  const std::initializer_list<u8> programs[] = {{0x0F, 0x01, 0x04, 0x25, 0, 0, 0x10, 0},  // sgdt
                                                {0x0F, 0x01, 0x0C, 0x25, 0, 0, 0x10, 0},  // sidt
                                                {0x0F, 0x00, 0xC0},                       // sldt
                                                {0x0F, 0x00, 0xC8},                       // str
                                                {0x0F, 0x01, 0xE0}};                      // smsw
  for (const auto& program : programs) {
    for (const bool umip : {false, true}) {
      SystemMachine m;
      if (umip) m.cpu.s.cr4 |= cr4::kUmip;
      m.to_user();
      m.place(kCode, program);
      m.cpu.run(1);
      EXPECT_EQ(m.cpu.s.rip, umip ? handler_of(vector::kGeneralProtection) : kCode + program.size());
    }
  }
}

}  // namespace
}  // namespace bhvm::test
