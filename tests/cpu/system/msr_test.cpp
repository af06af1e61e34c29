#include "cpu/system/msr.h"

#include "cpu/system/random.h"
#include "tests/cpu/system/system_machine.h"

namespace bhvm::test {
namespace {

TEST(Msr, TableIsAscendingAndComplete) {
  u32 previous = 0;
  for (const Msr& msr : msrs()) {
    EXPECT_GT(msr.first, previous) << msr.name;
    previous = std::max(msr.first, msr.last);
    EXPECT_NE(msr.read, nullptr) << msr.name;
    EXPECT_NE(msr.write, nullptr) << msr.name;
  }
}

TEST(Msr, UnknownOnesAreRefused) {
  SystemMachine m;
  for (const u32 index : {0x0u, 0xCEu, 0x179u, 0x210u, 0x800u, 0xC0000085u, 0xFFFFFFFFu}) {
    u64 value = 0;
    EXPECT_FALSE(read_msr(m.cpu, index, value)) << index;
    EXPECT_FALSE(write_msr(m.cpu, index, 0)) << index;
    EXPECT_EQ(m.cpu.fault.vector, vector::kGeneralProtection);
  }
}

struct WriteRow {
  u32 index;
  u64 good;
  u64 bad;
};

TEST(Msr, ReservedBitsAndAddresses) {
  constexpr u64 kFar = u64{1} << 47;
  const WriteRow rows[] = {
      {0x48, 0x401, 0x8},
      {0x174, 0x10, u64{1} << 32},
      {0x175, 0xFFFF800000000000, kFar},
      {0x176, 0x1000, kFar},
      {0x200, 0xC0000000 | 6, 0xC0000000 | 2},
      {0x201, 0x3FFFC0000800, 0x400000000800},
      {0x250, 0x0606060606060606, 0x0606060606060602},
      {0x26F, 0x0505050505050505, 0x0800000000000000},
      {0x277, 0x0007010600070106, 0x0002010600070106},
      {0x2FF, 0xC06, 0x1000},
      {0xC0000080, 0xD01, 0xD03},
      {0xC0000082, 0xFFFFFFFF81000000, kFar},
      {0xC0000084, 0x47700, u64{1} << 33},
      {0xC0000100, 0x7FFFFFFFFFFF, kFar},
      {0xC0000101, 0xFFFF888000000000, kFar},
      {0xC0000102, 0x1234, kFar},
      {0xC0000103, 0xFFFFFFFF, u64{1} << 32},
  };
  SystemMachine m;
  for (const WriteRow& row : rows) {
    u64 value = 0;
    EXPECT_TRUE(write_msr(m.cpu, row.index, row.good)) << std::hex << row.index;
    EXPECT_FALSE(write_msr(m.cpu, row.index, row.bad)) << std::hex << row.index;
    EXPECT_TRUE(read_msr(m.cpu, row.index, value));
    EXPECT_EQ(value, row.good) << std::hex << row.index;
  }
}

TEST(Msr, EveryFixedMtrrHasItsOwnPlace) {
  SystemMachine m;
  const u32 indices[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26A, 0x26B, 0x26C, 0x26D, 0x26E, 0x26F};
  constexpr u64 kTypes[] = {0, 1, 4, 5, 6};
  for (unsigned i = 0; i < 11; ++i) ASSERT_TRUE(write_msr(m.cpu, indices[i], kTypes[i % 5] | (kTypes[i / 5] << 8)));
  for (unsigned i = 0; i < 11; ++i) {
    u64 value = 0;
    ASSERT_TRUE(read_msr(m.cpu, indices[i], value));
    EXPECT_EQ(value, kTypes[i % 5] | (kTypes[i / 5] << 8));
  }
}

TEST(Msr, TimeStampWritesMoveTheAdjustment) {
  SystemMachine m;
  m.cpu.s.instructions = 1000;
  ASSERT_TRUE(write_msr(m.cpu, 0x10, 5000));
  EXPECT_EQ(m.cpu.s.msr.tsc_adjust, 4000u);
  EXPECT_EQ(m.last_adjust, 4000u);
  EXPECT_TRUE(m.cpu.touched_board);
  u64 value = 0;
  ASSERT_TRUE(write_msr(m.cpu, 0x3B, ~u64{0}));
  ASSERT_TRUE(read_msr(m.cpu, 0x10, value));
  EXPECT_EQ(value, 999u);
}

TEST(Msr, BoardMsrsGoThroughThePort) {
  SystemMachine m;
  u64 value = 0;
  ASSERT_TRUE(read_msr(m.cpu, 0x1B, value));
  EXPECT_EQ(value, 0xFEE00900u);
  ASSERT_TRUE(write_msr(m.cpu, 0x6E0, 77));
  EXPECT_EQ(m.board_msrs[0x6E0], 77u);
  EXPECT_TRUE(m.cpu.touched_board);
}

TEST(Msr, InstructionsUseEdxEax) {
  SystemMachine m;
  m.reg(kRcx) = 0xFFFFFFFF00000277;
  m.reg(kRax) = 0xFFFFFFFF00070106;
  m.reg(kRdx) = 0xFFFFFFFF00070106;
  m.run_program({0x0F, 0x30, 0x31, 0xC0, 0x31, 0xD2, 0x0F, 0x32, 0xF4});
  EXPECT_EQ(m.exit, RunExit::kHalted);
  EXPECT_EQ(m.cpu.s.msr.pat, 0x0007010600070106u);
  EXPECT_EQ(m.reg(kRax), 0x00070106u);
  EXPECT_EQ(m.reg(kRdx), 0x00070106u);
}

TEST(Msr, ArchCapabilitiesSayNotAffected) {
  EXPECT_TRUE(arch_capabilities() & 1);   // RDCL_NO
  EXPECT_TRUE(arch_capabilities() & 32);  // MDS_NO
  EXPECT_FALSE(arch_capabilities() & 4);  // RSBA
}

TEST(Random, WidthsAndFlags) {
  SystemMachine m;
  m.random_value = 0x1111222233334444 - 1;
  m.cpu.set_rflags(rflags::kArithmetic | 2);
  m.reg(kRax) = ~u64{0};
  m.reg(kRbx) = ~u64{0};
  // rdrand ax; rdseed ebx; rdrand rcx; hlt
  m.run_program({0x66, 0x0F, 0xC7, 0xF0, 0x0F, 0xC7, 0xFB, 0x48, 0x0F, 0xC7, 0xF1, 0xF4});
  EXPECT_EQ(m.reg(kRax), 0xFFFFFFFFFFFF4444u);
  EXPECT_EQ(m.reg(kRbx), 0x33334445u);
  EXPECT_EQ(m.reg(kRcx), 0x1111222233334446u);
  EXPECT_EQ(m.cpu.s.rflags, rflags::kCf | 2);
}

}  // namespace
}  // namespace bhvm::test
