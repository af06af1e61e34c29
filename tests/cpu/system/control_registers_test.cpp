#include "cpu/system/control_registers.h"

#include "tests/cpu/system/system_machine.h"

namespace bhvm::test {
namespace {

/// MOV CRn, RAX (RBX for reading back); ends in HLT or a handler.
void mov_to_cr(SystemMachine& m, u8 number, u64 value) {
  m.reg(kRax) = value;
  m.run_program(
      {0x0F, 0x22, static_cast<u8>(0xC0 | (number << 3)), 0x0F, 0x20, static_cast<u8>(0xC3 | (number << 3)), 0xF4});
}
bool done(const SystemMachine& m) { return m.exit == RunExit::kHalted && m.cpu.s.rip == kCode + 7; }

TEST(ControlRegisters, Cr0Rules) {
  SystemMachine m;
  const u64 value = m.cpu.s.cr0;
  mov_to_cr(m, 0, (value | cr0::kTs | (1 << 6)) & ~cr0::kEt);
  ASSERT_TRUE(done(m));
  EXPECT_EQ(m.reg(kRbx), value | cr0::kTs);  // ET stays one, undefined bits stay zero
  const u64 bad[] = {value | (u64{1} << 32), value & ~cr0::kPe, (value | cr0::kNw) & ~cr0::kCd,
                     value & ~cr0::kPg};  // the last: out of paging from 64-bit code
  for (const u64 v : bad) {
    SystemMachine refused;
    mov_to_cr(refused, 0, v);
    EXPECT_TRUE(refused.ended_in(vector::kGeneralProtection)) << std::hex << v;
    EXPECT_EQ(refused.cpu.s.cr0, value);
  }
}

TEST(ControlRegisters, LeavingProtectedModeIsUnsupported) {
  SystemMachine m(true);
  m.run_program({0x31, 0xC0, 0x0F, 0x22, 0xC0});
  EXPECT_EQ(m.exit, RunExit::kUnsupported);
  EXPECT_THAT(m.cpu.stop_message, testing::HasSubstr("real mode"));
}

TEST(ControlRegisters, Cr3Rules) {
  SystemMachine m;
  mov_to_cr(m, 3, kPageTables | 0x18);
  ASSERT_TRUE(done(m));
  EXPECT_EQ(m.reg(kRbx), kPageTables | 0x18);
  mov_to_cr(m, 3, kPageTables | (u64{1} << 46));
  EXPECT_TRUE(m.ended_in(vector::kGeneralProtection));
}

TEST(ControlRegisters, Cr3FlushesAllButGlobalTranslations) {
  for (const bool global : {false, true}) {
    SystemMachine m;
    const u64 entry = kPageTables + 0x2000 + 8 * 4;
    m.write64(entry, (u64{8} << 20) | 0x87 | (global ? 0x100 : 0));
    m.write64(u64{8} << 20, 0x1111);
    m.write64(u64{10} << 20, 0x2222);
    m.reg(kRbx) = u64{8} << 20;
    m.reg(kRsi) = entry;
    m.reg(kRdi) = (u64{10} << 20) | 0x87;
    // mov rax,[rbx]; mov [rsi],rdi; mov rcx,[rbx]; mov rdx,cr3; mov cr3,rdx; mov rdx,[rbx]; hlt
    m.run_program({0x48, 0x8B, 0x03, 0x48, 0x89, 0x3E, 0x48, 0x8B, 0x0B, 0x0F, 0x20, 0xDA, 0x0F, 0x22, 0xDA, 0x48, 0x8B,
                   0x13, 0xF4});
    EXPECT_EQ(m.reg(kRax), 0x1111u);
    EXPECT_EQ(m.reg(kRcx), 0x1111u);
    EXPECT_EQ(m.reg(kRdx), global ? 0x1111u : 0x2222u);
    // invlpg [rbx]; mov rdx,[rbx]; hlt
    m.run_program({0x0F, 0x01, 0x3B, 0x48, 0x8B, 0x13, 0xF4});
    EXPECT_EQ(m.reg(kRdx), 0x2222u);
  }
}

TEST(ControlRegisters, Cr4Rules) {
  SystemMachine m;
  const u64 value = m.cpu.s.cr4;
  mov_to_cr(m, 4, cr4::kSupported & ~(cr4::kSmep | cr4::kSmap));
  ASSERT_TRUE(done(m));
  EXPECT_EQ(m.reg(kRbx), cr4::kSupported & ~(cr4::kSmep | cr4::kSmap));
  for (const u64 v :
       {value & ~cr4::kPae, value | cr4::kVme, value | (1 << 13), value | (1 << 22), value | (u64{1} << 40)}) {
    SystemMachine refused;
    mov_to_cr(refused, 4, v);
    EXPECT_TRUE(refused.ended_in(vector::kGeneralProtection)) << std::hex << v;
  }
}

TEST(ControlRegisters, PcidRules) {
  SystemMachine refused;  // CR3[11:0] must be zero when PCIDs are turned on
  mov_to_cr(refused, 3, kPageTables | 0x18);
  ASSERT_TRUE(done(refused));
  mov_to_cr(refused, 4, refused.cpu.s.cr4 | cr4::kPcide);
  EXPECT_TRUE(refused.ended_in(vector::kGeneralProtection));
  SystemMachine narrow(true);
  mov_to_cr(narrow, 4, narrow.cpu.s.cr4 | cr4::kPcide);
  EXPECT_TRUE(narrow.ended_in(vector::kGeneralProtection));

  SystemMachine reserved;
  mov_to_cr(reserved, 3, kPageTables | (u64{1} << 63));  // without PCIDs
  EXPECT_TRUE(reserved.ended_in(vector::kGeneralProtection));

  SystemMachine m;
  mov_to_cr(m, 4, m.cpu.s.cr4 | cr4::kPcide);
  ASSERT_TRUE(done(m));
  mov_to_cr(m, 3, kPageTables | 0xABC | (u64{1} << 63));
  ASSERT_TRUE(done(m));
  EXPECT_EQ(m.reg(kRbx), kPageTables | 0xABC);  // bit 63 is not kept
  mov_to_cr(m, 4, m.cpu.s.cr4 & ~cr4::kPcide);
  EXPECT_TRUE(done(m));
}

/// What a load sees after the page's entry was changed and CR3 written, once or through another PCID and back.
struct PcidRow {
  const char* name;
  u64 first, second;  // CR3's low bits and bit 63; `second` 0: no second write
  bool global;
  bool new_page;  // the load walks the tables anew
};

TEST(ControlRegisters, TranslationsBelongToPcids) {
  constexpr u64 kKeep = u64{1} << 63;
  const PcidRow rows[] = {
      {"flush", 1, 0, false, true},
      {"flush, global", 1, 0, true, false},
      {"keep", 1 | kKeep, 0, false, false},
      {"another", 2 | kKeep, 0, false, true},
      {"another, global", 2 | kKeep, 0, true, false},
      {"another flushed and back", 2, 1 | kKeep, false, false},
      {"another and back with a flush", 2 | kKeep, 1, false, true},
      {"another and back with a flush, global", 2, 1, true, false},
  };
  for (const PcidRow& row : rows) {
    SystemMachine m;
    mov_to_cr(m, 4, m.cpu.s.cr4 | cr4::kPcide | cr4::kPge);
    ASSERT_TRUE(done(m));
    mov_to_cr(m, 3, kPageTables | 1);
    ASSERT_TRUE(done(m));
    const u64 entry = kPageTables + 0x2000 + 8 * 4;
    m.write64(entry, (u64{8} << 20) | 0x87 | (row.global ? 0x100 : 0));
    m.write64(u64{8} << 20, 0x1111);
    m.write64(u64{10} << 20, 0x2222);
    m.reg(kRbx) = u64{8} << 20;
    m.reg(kRsi) = entry;
    m.reg(kRdi) = (u64{10} << 20) | 0x87;
    m.reg(kR8) = kPageTables | row.first;
    m.reg(kR9) = row.second != 0 ? kPageTables | row.second : kPageTables | row.first | kKeep;
    // mov rax,[rbx]; mov [rsi],rdi; mov rcx,[rbx]; mov cr3,r8; mov cr3,r9; mov rdx,[rbx]; hlt
    m.run_program({0x48, 0x8B, 0x03, 0x48, 0x89, 0x3E, 0x48, 0x8B, 0x0B, 0x41, 0x0F,
                   0x22, 0xD8, 0x41, 0x0F, 0x22, 0xD9, 0x48, 0x8B, 0x13, 0xF4});
    EXPECT_EQ(m.exit, RunExit::kHalted) << row.name;
    EXPECT_EQ(m.reg(kRax), 0x1111u) << row.name;
    EXPECT_EQ(m.reg(kRcx), 0x1111u) << row.name;
    EXPECT_EQ(m.reg(kRdx), row.new_page ? 0x2222u : 0x1111u) << row.name;
  }
}

TEST(ControlRegisters, Cr8GoesToTheBoard) {
  SystemMachine m;
  m.reg(kRax) = 9;
  m.run_program({0x44, 0x0F, 0x22, 0xC0, 0x44, 0x0F, 0x20, 0xC3, 0xF4});
  EXPECT_EQ(m.cr8, 9u);
  EXPECT_EQ(m.reg(kRbx), 9u);
  m.reg(kRax) = 16;
  m.run_program({0x44, 0x0F, 0x22, 0xC0});
  EXPECT_TRUE(m.ended_in(vector::kGeneralProtection));
}

TEST(ControlRegisters, UsersAreRefused) {
  const std::initializer_list<u8> programs[] = {{0x0F, 0x22, 0xD8},
                                                {0x0F, 0x20, 0xD8},
                                                {0x0F, 0x21, 0xF8},
                                                {0x0F, 0x23, 0xF8},
                                                {0x0F, 0x06},
                                                {0xF4},
                                                {0x0F, 0x09},
                                                {0x0F, 0x08},
                                                {0x0F, 0x01, 0x38},
                                                {0x0F, 0x30},
                                                {0x0F, 0x32},
                                                {0x0F, 0x00, 0xD0},
                                                {0x0F, 0x00, 0xD8},
                                                {0x0F, 0x01, 0xF0},
                                                {0xFA},
                                                {0xFB},
                                                {0x0F, 0x33}};
  for (const auto& program : programs) {
    SystemMachine m;
    m.reg(kRax) = kData;
    m.to_user();
    m.run_program(program);
    EXPECT_TRUE(m.ended_in(vector::kGeneralProtection)) << std::hex << unsigned{program.begin()[1]};
    EXPECT_EQ(m.stack(0), 0u);
    EXPECT_EQ(m.stack(1), kCode);
  }
}

TEST(ControlRegisters, LmswSmswClts) {
  SystemMachine m;
  m.reg(kRax) = cr0::kTs | cr0::kMp;
  // lmsw ax; smsw ebx; clts; smsw ecx; hlt
  m.run_program({0x0F, 0x01, 0xF0, 0x0F, 0x01, 0xE3, 0x0F, 0x06, 0x0F, 0x01, 0xE1, 0xF4});
  EXPECT_EQ(m.reg(kRbx) & 0xF, cr0::kPe | cr0::kMp | cr0::kTs);
  EXPECT_EQ(m.reg(kRcx) & 0xF, cr0::kPe | cr0::kMp);
}

TEST(ControlRegisters, EnteringAndLeavingLongMode) {
  SystemMachine m(true);
  m.place(kTarget, {0xF4});
  m.cpu.s.cr3 = kPageTables;
  m.cpu.s.cr4 |= cr4::kPae;
  ASSERT_TRUE(write_efer(m.cpu, efer::kLme));
  m.descriptor(selector::kKernelCode32, segment_descriptor(0xA09B, 0, 0xFFFFF));
  m.reg(kRax) = m.cpu.s.cr0 | cr0::kPg;
  // mov cr0, eax; jmp far kKernelCode32:kTarget
  m.run_program({0x0F, 0x22, 0xC0, 0xEA, 0x00, 0x00, 0x04, 0x00, selector::kKernelCode32, 0});
  EXPECT_EQ(m.exit, RunExit::kHalted);
  EXPECT_EQ(m.cpu.s.rip, kTarget + 1);
  EXPECT_TRUE(m.cpu.code64());
  EXPECT_EQ(m.cpu.s.msr.efer, efer::kLme | efer::kLma);
  EXPECT_FALSE(write_efer(m.cpu, 0));  // LME under paging

  SystemMachine no_pae(true);
  ASSERT_TRUE(write_efer(no_pae.cpu, efer::kLme));
  no_pae.reg(kRax) = no_pae.cpu.s.cr0 | cr0::kPg;
  no_pae.run_program({0x0F, 0x22, 0xC0});
  EXPECT_TRUE(no_pae.ended_in(vector::kGeneralProtection));
}

TEST(ControlRegisters, PaePdptesAreLoadedAndChecked) {
  SystemMachine m(true);
  m.cpu.s.cr4 |= cr4::kPae;
  m.write64(0x6000, (kPageTables + 0x2000) | 1);
  m.write64(0x6008, 0);
  m.write64(0x6020, 0x7000 | 3);  // reserved bit 1
  m.cpu.s.cr3 = 0x6000;
  m.reg(kRax) = m.cpu.s.cr0 | cr0::kPg;
  m.reg(kRbx) = 0x6020;
  m.run_program({0x0F, 0x22, 0xC0, 0x0F, 0x22, 0xDB});  // mov cr0, eax; mov cr3, ebx
  ASSERT_TRUE(m.ended_in(vector::kGeneralProtection));
  EXPECT_EQ(m.cpu.s.cr3, 0x6000u);
  EXPECT_EQ(m.cpu.s.pdpte[0], (kPageTables + 0x2000) | 1);
}

// ---- time stamp, cache control ----

TEST(TimeStamp, ReadsCountAndObeysTsd) {
  SystemMachine m;
  m.cpu.s.msr.tsc_adjust = u64{7} << 32;
  m.cpu.s.msr.tsc_aux = 0x42;
  m.cpu.s.instructions = 100;
  m.run_program({0x90, 0x0F, 0x01, 0xF9, 0xF4});  // nop; rdtscp
  EXPECT_EQ(m.reg(kRax), 101u);
  EXPECT_EQ(m.reg(kRdx), 7u);
  EXPECT_EQ(m.reg(kRcx), 0x42u);
  SystemMachine user;
  user.cpu.s.cr4 |= cr4::kTsd;
  user.to_user();
  user.run_program({0x0F, 0x31});
  EXPECT_TRUE(user.ended_in(vector::kGeneralProtection));
}

TEST(Clflush, ChecksItsAddressAndReadsNoDevice) {
  SystemMachine m;
  m.reg(kRax) = kDevice;
  m.run_program({0x0F, 0xAE, 0x38, 0xF4});
  EXPECT_EQ(m.exit, RunExit::kHalted);
  EXPECT_TRUE(m.accesses.empty());
  m.write64(kPageTables + 0x2000 + 8 * 4, 0);
  m.reg(kRax) = 0x800000;
  m.run_program({0x0F, 0xAE, 0x38, 0xF4});
  EXPECT_TRUE(m.ended_in(vector::kPageFault));
  m.reg(kRax) = u64{1} << 62;
  m.run_program({0x0F, 0xAE, 0x38, 0xF4});
  EXPECT_TRUE(m.ended_in(vector::kGeneralProtection));
}

TEST(Lock, IsInvalid) {
  SystemMachine m;
  m.run_program({0xF0, 0x0F, 0x22, 0xD8});
  EXPECT_TRUE(m.ended_in(vector::kInvalidOpcode));
}

}  // namespace
}  // namespace bhvm::test
